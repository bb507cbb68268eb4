/* SPDX-License-Identifier: MIT */
/*
 * ebpf: runs IR programs in the kernel (ADR 12).
 *
 * A session whose script has kernel probes keeps its shared memory in a BPF
 * array instead of a memfd.  All of wire.h stands in it as always; kernel
 * programs have thread slots of their own, one per CPU, in which they write
 * records, aggregations and losses just as traced threads do, so whoever
 * drains and shows need not know where a record was made.
 *
 *	struct wire_layout_in in = ...;
 *	in.thread_cnt += ebpf_slot_cnt(true);       // behind the others
 *	ebpf_layout(&in, img);
 *	wire_layout(&head, &in, reterr);
 *	ebpf_shm_create(&head, &fd, &shm, reterr); // head is copied to it
 *	... sites, strings, aggregations as ever ...
 *	ebpf_create(&e, &(struct ebpf_in){ ... }, reterr);
 *	ebpf_load(e, &prog, &prog_fd, reterr);
 *	ebpf_attach_raw_tp(prog_fd, "sys_enter", &link_fd, reterr);
 *	shm->armed = 1;
 *
 * Only tools use this room; it is the only one that uses libbpf.
 */
#ifndef EBPF_EBPF_H
#define EBPF_EBPF_H

#include "ir/ir.h"

#include <stdio.h>
#include <sys/types.h>

struct wire_layout_in;

/* Thread slots that kernel programs take: one per possible CPU, and as many more (four at least)
 * where there may be programs that can be preempted (@preempts): uprobes, fentry, fexit. */
uint32_t ebpf_slot_cnt(bool preempts);

/* Raises what kernel programs need more of (registers, contexts). */
void ebpf_layout(struct wire_layout_in *, const struct ir_image *);

/* Makes the BPF array that @head (of wire_layout()) describes, maps it and
 * copies @head there.  *ret_fd: close it; *ret_shm: munmap head->bytes of it.
 * -E2BIG: more than 512 MiB (kernel memory, allocated at once); -EPERM, ...: what is missing. */
int ebpf_shm_create(const struct wire_shm *head, int *ret_fd, struct wire_shm **ret_shm, struct err *reterr);

/* What programs of one session share. */
struct ebpf;
struct ebpf_in {
	struct wire_shm *shm; /* borrowed; geometry and clock are filled */
	int shm_fd;           /* borrowed */
	uint32_t first_slot;  /* index of the first of ebpf_slot_cnt() thread slots; they become LIVE here */
	bool preempts;        /* as ebpf_slot_cnt() was told */
	bool shares_self;     /* threads of traced processes have their self-> variables in their slots, which are those before first_slot */
	const struct ir_image *img; /* verified; borrowed */
	uint32_t max_frames;  /* of a stack; 0: as many as the kernel gives */
	/* Where the kernel keeps a member ("se.exec_start") of a structure; negative: nobody knows. NULL: nothing is known. */
	int64_t (*offset_of)(const char *tag, const char *path);
	/* For comparing executors only: self-> variables are those of the slot, addresses those of the tool. */
	bool as_in_tool;
	/* Verifier's logs of programs that it refuses, for -d verifier; NULL: none. */
	FILE *log;
};
int ebpf_create(struct ebpf **ret, const struct ebpf_in *in, struct err *reterr);
void ebpf_destroy(struct ebpf *);

/* To be called about once a second: keeps time stamps of the kernel in step with the time stamp counter. */
void ebpf_clock_update(struct ebpf *);

/* Processes whose user stacks were wanted and for which there are no unwind tables: takes at most @cap of them off. */
#define EBPF_UNWINDS 64u /* only that many processes, from the first on, have unwind tables that the kernel finds */
uint32_t ebpf_strangers(struct ebpf *, uint32_t *ret_pids, uint32_t cap);

/* Becomes readable (poll, epoll) when the consumer should look soon: exit(),
 * a ring that is half full. */
int ebpf_doorbell_fd(const struct ebpf *);
void ebpf_doorbell_clear(struct ebpf *);

/* ---- programs ---- */

/* What a program is attached to: says what its context is, and what may be read of it. */
enum ebpf_kind {
	EBPF_RAW_TP,     /* words: the tracepoint's arguments */
	EBPF_TRACEPOINT, /* the bytes of the event, as its format file has them */
	EBPF_PERF_EVENT, /* struct bpf_perf_event_data */
	EBPF_UPROBE,     /* struct pt_regs */
	EBPF_KPROBE,     /* struct pt_regs, the kernel's */
	EBPF_KPROBE_MULTI, /* likewise, of many functions */
	EBPF_FENTRY, EBPF_FEXIT, /* words: the function's arguments, and behind them its result */
};

/* Where a value comes from. */
enum ebpf_arg_kind {
	EBPF_ARG_NONE,  /* 0 */
	EBPF_ARG_CONST, /* val */
	EBPF_ARG_CTX,   /* @bytes of the program's context at @off */
	EBPF_ARG_DEREF, /* @bytes of kernel memory at the pointer in the context at @off, plus @val */
	EBPF_ARG_CTX_ADDR, /* (TRACEPOINT) address that data at @off would have: its data_loc offset is added by the provider */
	EBPF_ARG_KPC,   /* PERF_EVENT: the kernel's pc, 0 in user mode */
	EBPF_ARG_UPC,   /* likewise the user's */
	EBPF_ARG_CTX_READ, /* (FENTRY, FEXIT) a word of the context at @off, which the verifier does not let be loaded */
	EBPF_ARG_COOKIE, /* (UPROBE, KPROBE_MULTI) the upper half of the place's cookie, signed */
	EBPF_ARG_UARG,  /* (UPROBE) argument @val of the site, a USDT probe's: where @uarg says */
};
struct ebpf_arg {
	uint8_t kind;  /* enum ebpf_arg_kind */
	uint8_t bytes; /* 1, 2, 4, 8 */
	bool is_signed;
	uint32_t off;
	uint64_t val;
	const struct wire_uarg *uarg; /* borrowed */
};

#define EBPF_ARG_MAX 10

/* Sites that run the same clauses. */
struct ebpf_case {
	uint64_t value; /* of the key; without one ignored */
	uint32_t site;  /* index of struct wire_site */
};
struct ebpf_group {
	const struct ir_prog *const *progs; /* verified, in order */
	uint32_t prog_cnt;
	const struct ebpf_case *cases;
	uint32_t case_cnt; /* without a key: 1 */
	struct ebpf_arg args[EBPF_ARG_MAX]; /* arg0.. */
	/* Registers (uregs[], ucaller): where the address of a struct pt_regs is: EBPF_ARG_NONE: there are none;
	 * for UPROBE and PERF_EVENT they are known. */
	struct ebpf_arg regs;
};

/* One program: at one place of the kernel.  Several sites can share it, told
 * apart by a value: system calls by their number. */
struct ebpf_prog {
	const char *name; /* for bpftool and messages; at most 15 characters are kept */
	enum ebpf_kind kind;
	/* FENTRY, FEXIT: the function, in the kernel's types.  RAW_TP: type of what the tracepoint passes: pointers are followed
	 * by loads then, where the kernel has that; 0: not known. */
	uint32_t btf_id;
	struct ebpf_arg key; /* EBPF_ARG_NONE: one group with one case; EBPF_ARG_COOKIE: one group, whose site the place tells */
	const struct ebpf_group *groups;
	uint32_t group_cnt;
};

/* Generates and loads.  *ret_fd: close it (which detaches).  -EOPNOTSUPP: the
 * programs want what there is not in the kernel (the message says which, and
 * names clause and action); -E2BIG: too large for the verifier; -EPERM. */
int ebpf_load(struct ebpf *, const struct ebpf_prog *, int *ret_fd, struct err *reterr);

/* Where ebpf_load() failed: the clause, or WIRE_NONE. */
uint32_t ebpf_failed_clause(const struct ebpf *);

/* Runs a RAW_TP program once, here and now, on CPU @cpu, with these words as its context (at most 12). */
int ebpf_run(int prog_fd, const uint64_t *words, uint32_t cnt, uint32_t cpu, struct err *reterr);

/* ---- the kernel's memory, for who runs outside of it ---- */

struct ebpf_peek;
struct ebpf_peek *ebpf_peek_create(void); /* NULL: no memory. Nothing is loaded before it is used. */
void ebpf_peek_destroy(struct ebpf_peek *); /* NULL is fine */
/* 0, or -EFAULT: there is nothing, or it cannot be read here. */
int ebpf_peek_read(struct ebpf_peek *, void *dst, uint64_t addr, uint64_t bytes);
uint64_t ebpf_peek_task(struct ebpf_peek *); /* the calling thread's struct task_struct; 0: not known */

/* ---- attaching ---- */

/* To a raw tracepoint; close *ret_fd to detach. */
int ebpf_attach_raw_tp(int prog_fd, const char *name, int *ret_fd, struct err *reterr);
/* A FENTRY or FEXIT program, to the function that it was loaded for. */
int ebpf_attach_function(int prog_fd, int *ret_fd, struct err *reterr);
/* Whether this kernel has one link for kprobes at many functions (Linux 5.18, CONFIG_FPROBE). */
bool ebpf_has_kprobe_multi(void);
/* A KPROBE_MULTI program, whose key is EBPF_ARG_COOKIE, to the entries or returns of functions: all, or none. */
int ebpf_attach_kprobes(int prog_fd, bool is_return, const char *const *funcs, const uint32_t *sites, uint32_t cnt, int *ret_fd,
			struct err *reterr);
/* A number that the kernel gives of a source of perf events: its type ("kprobe/type"), the first bit of what can be set
 * ("kprobe/format/retprobe"); -1: there is none. */
int ebpf_event_source(const char *what);
/* A perf event of process @pid, or on processor @cpu, -1: of any; a descriptor (close on exec), or -errno. */
struct perf_event_attr;
int ebpf_event_open(const struct perf_event_attr *, pid_t pid, int cpu);
/* To an open perf event (tracepoint, software clock), which is enabled. */
int ebpf_attach_perf(int prog_fd, int perf_fd, struct err *reterr);

/* A place of a file for an UPROBE program whose key is EBPF_ARG_COOKIE. */
struct ebpf_place {
	uint64_t off;  /* in the file */
	uint32_t site;
	int32_t word;  /* EBPF_ARG_COOKIE */
	uint64_t count_off; /* in the file, of a 16-bit count of those who listen, which is one more meanwhile; 0: none */
};
/* To places of the file at @path, in the memory of process @pid: all, or none.  Links are added to @ret_fds, which has room for @cnt, and *ret_cnt; close them to detach.  Kernels from 6.6 on
 * take all places as one link, which goes at once; before, each is one (perf_event_open), and each takes a while to go. */
int ebpf_attach_uprobes(int prog_fd, const char *path, pid_t pid, const struct ebpf_place *, uint32_t cnt, int *ret_fds,
			uint32_t *ret_cnt, struct err *reterr);

#endif
