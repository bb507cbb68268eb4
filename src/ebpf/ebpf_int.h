/* SPDX-License-Identifier: MIT */
#ifndef EBPF_EBPF_INT_H
#define EBPF_EBPF_INT_H

#include "ebpf/ebpf.h"
#include "ebpf/rtk.h"
#include "ebpf/rtk_image.h"

#include <linux/bpf.h>

struct ebpf {
	struct ebpf_in in;
	uint64_t k[RTK_K_CNT];
	uint64_t value_bytes; /* of the array that the shared memory is */
	struct rtk_tail *tail; /* mapped */
	int btf_fd;
	int doorbell_fd;
	void *doorbell; /* its consumer's page */
	void *doorbell_data;
	int self_prog_fd, self_link_fd; /* clears variables of threads that have ended; -1: none */
	uint32_t failed_clause;
	uint64_t first_ns, first_tsc; /* of the first look at both clocks */
};

/* Of the array behind head->bytes: what stands there, and its size. */
struct ebpf_extra {
	uint64_t tail_off, selfs_off, selfs_cnt, limit, bytes;
};
void ebpf_extra(const struct wire_shm *head, struct ebpf_extra *ret);
void ebpf_numbers(struct ebpf *);
bool ebpf_is_preempted(enum ebpf_kind); /* programs that may be preempted */

/* ---- code under construction ---- */

/* Registers of a main program. */
#define REG_CTX 6   /* map value: the struct rtk_ctx */
#define REG_OFF 7   /* its offset: first argument of the library's functions */
#define REG_REC 8   /* map value: the open record */
#define PROG_CTX (-8) /* on the stack: what the kernel passed */
#define SLOT_FIRST (-16)
#define SLOT_CNT 24

/* Places to jump to, known later. */
struct label {
	int32_t at; /* -1: not yet */
};

enum fix_kind { FIX_JUMP, FIX_CALL };
struct fix {
	uint32_t insn;
	uint8_t kind;
	uint32_t target; /* label, or index in rtk_funcs */
};

/* Where a virtual register is. */
enum loc_kind { LOC_NONE, LOC_CONST, LOC_STACK, LOC_SPILL };
struct loc {
	uint8_t kind;
	int32_t off; /* from r10, or from REG_CTX */
	int64_t val;
};

struct gen {
	struct ebpf *e;
	const struct ebpf_prog *p;
	const struct ebpf_group *group;
	const struct ir_prog *prog; /* being generated */
	uint32_t pc;
	struct loc *locs;
	struct bpf_insn *insns;
	uint32_t cnt, cap;
	struct fix *fixes;
	uint32_t fix_cnt, fix_cap;
	int32_t *labels;
	uint32_t label_cnt, label_cap;
	uint32_t lbl_fault, lbl_next, lbl_leave, lbl_out;
	uint32_t *lbl_insn; /* of each IR instruction; WIRE_NONE: never reached */
	bool exits;  /* the clause calls exit() */
	bool faults; /* something jumps to lbl_fault */
	int err; /* -ENOMEM, or what refuse() was told */
	struct err *reterr;
};

void emit(struct gen *, uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm);
void emit_mov(struct gen *, uint8_t dst, uint8_t src);
void emit_const(struct gen *, uint8_t dst, int64_t v);
void emit_shm(struct gen *, uint8_t dst, uint64_t off); /* address of the shared memory at @off */
/* Loads and stores at any distance; a far one uses (and, storing, destroys) r0 as the address. */
void emit_load(struct gen *, unsigned bytes, uint8_t dst, uint8_t base, int64_t off);
void emit_store(struct gen *, unsigned bytes, uint8_t base, int64_t off, uint8_t src);
void emit_extend(struct gen *, uint8_t reg, unsigned bits, bool is_signed);
uint32_t new_label(struct gen *);
void set_label(struct gen *, uint32_t label);
void emit_jump(struct gen *, uint32_t label);
/* Where the condition (BPF_JEQ, ...) holds between a register and a number. */
void emit_jump_if(struct gen *, uint8_t cond, uint8_t reg, int32_t imm, uint32_t label);
void emit_call(struct gen *, const char *rtk_name); /* a function of the library */
void emit_kernel(struct gen *, int32_t func);       /* enum bpf_func_id */
/* Remembers the first reason why there is no program. */
void refuse(struct gen *, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Index in rtk_funcs, or WIRE_NONE. */
uint32_t rtk_func_find(const char *name);

/* Decides where registers are. */
void gen_locate(struct gen *);
void gen_get(struct gen *, uint8_t reg, uint32_t vreg);
void gen_put(struct gen *, uint32_t vreg, uint8_t reg); /* WIRE_NONE: nowhere */

void gen_insn(struct gen *, const struct ir_insn *);
void gen_env(struct gen *, const struct ir_insn *);
/* Calls of helpers that want a stack; false: it is none of them. */
bool gen_stack(struct gen *, const struct ir_insn *);
void gen_call_args(struct gen *, const struct ir_insn *);
void gen_arg(struct gen *, const struct ebpf_arg *, uint8_t reg); /* to @reg */
void gen_uarg(struct gen *, const struct wire_uarg *, uint8_t reg); /* likewise */
/* An argument, of the group's, that a clause wants; to virtual register @dst. */
void gen_arg_use(struct gen *, uint32_t n, uint32_t dst);
#define EBPF_KPROBE_MULTI_TYPE 42 /* BPF_TRACE_KPROBE_MULTI, of Linux 5.18 */
#define EBPF_UPROBE_MULTI 48 /* BPF_TRACE_UPROBE_MULTI, of Linux 6.6 */
bool ebpf_has_uprobe_multi(void);
/* Learns what RTK_K_TASK_* are; and what is needed for paths. */
void task_offsets(struct gen *);
void path_offsets(struct gen *);
void pid_offsets(struct ebpf *); /* RTK_K_TASK_PID and its fellows */
void gen_check_fault(struct gen *);
void gen_note_pc(struct gen *);

/* The main program and the functions that it needs, ready to load. */
struct code {
	struct bpf_insn *insns;
	uint32_t cnt;
	struct bpf_func_info *funcs;
	uint32_t func_cnt;
	uint32_t *ids; /* of each: index in rtk_funcs; of the first: WIRE_NONE */
};
int code_link(struct gen *, struct code *ret);
void ebpf_code_deinit(struct code *);
/* Generates and links. */
/* The program that clears the variables of threads that are gone. */
int code_make_reaper(struct ebpf *, struct code *ret, struct err *reterr);
int code_make(struct ebpf *, const struct ebpf_prog *, struct code *ret, struct err *reterr);

/* why.c: whether programs may not read the kernel's memory; @r, with what is missing. */
bool ebpf_locked_down(void);
int ebpf_not_permitted(int r, struct err *reterr);

#endif
