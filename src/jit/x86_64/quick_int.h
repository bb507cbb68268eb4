/* SPDX-License-Identifier: MIT */
/*
 * Private to quick*.c: bodies without a context.
 *
 *     rbx      struct wire_thread, once a program needs it; or rsi, where nothing behind that needs the process
 *     r8       the record under way: in the ring, or in the frame
 *     rax rcx rdx       temporary
 *     rsi      struct wire_proc
 *     rdi r9 r10 r11, rbp r12 ... r15   vregs, saved where used; arguments may stay in rdi, r9 and rdx (quick_args.c)
 *     rsp      [record] [scratch] [tsc], then the application's return value, the site, the saved registers
 */
#ifndef JIT_X86_64_QUICK_INT_H
#define JIT_X86_64_QUICK_INT_H

#include "jit/x86_64/gen_int.h"

#define COLD_MAX 512
#define REC X64_R8
#define SCRATCH_MAX 96u
#define KEY_WORDS_MAX 4u
#define PAYLOAD_MAX 48u

/* The register of struct wire_thread.  It may be JIT_PROC's: behind a call of the cold code it is back only when what is held is popped. */
static inline enum x64_reg thr(const struct jit_gen *g)
{
	return g->thr;
}

/* What is emitted behind the body. */
struct cold {
	enum { COLD_GATE, COLD_THREAD, COLD_AGG, COLD_REC, COLD_COMMIT, COLD_ID, COLD_TSC } kind;
	uint32_t label, back;
	uint32_t second;          /* another way in. COLD_REC: the record is to be closed; COLD_COMMIT: only publishing is left */
	uint32_t stale, young;    /* COLD_REC: a third one: it is open, but its time may be older than a drain; and the way back */
	bool timed;               /* COLD_REC, COLD_COMMIT: the time was read for this record */
	const struct ir_insn *in;
	const struct jit_alloc *al;
	uint32_t key_words;       /* COLD_AGG */
	struct jit_thread thread; /* COLD_THREAD, COLD_GATE */
};

/* quick_join.c: the instructions [lo, hi) of the clause that @insn belongs to. */
struct jit_part {
	uint32_t lo, hi, clause;
};
struct jit_part jit_part_of(const struct jit_gen *, const struct ir_prog *, uint32_t insn);
/* Before which instruction to look up what @needs: the first that does, where no path leads past that one to another, and
 * nothing was changed before (there may be no thread); else the first of all.  WIRE_NONE: none does. */
uint32_t jit_part_first_need(const struct ir_prog *, const struct jit_alloc *, const struct jit_part *,
			     bool (*needs)(const struct ir_insn *));
/* Whether each way through the clause comes past instruction @at, which may be WIRE_NONE. */
bool jit_part_passes(const struct ir_prog *, const struct jit_part *, uint32_t at);

struct jit_quick {
	const struct jit_frame *f;
	struct cold colds[COLD_MAX];
	uint32_t cold_cnt;
	/* What programs use. */
	bool site, this_vars;
	uint32_t rec_bytes, scratch_bytes; /* the largest record, header included */
	/* Places from rsp, where the record is. */
	int32_t scratch_at, tsc_at, value_at, site_at, saved_at; /* saved_at: of the last register that was pushed */
	int32_t entry_at;          /* where rsp was at the body's first instruction */
	int32_t pushed;            /* bytes below the record, for now */
	bool thread_known, tsc_known;   /* on all paths to the next program */
	struct jit_part part;           /* under way */
	uint32_t thread_insn, tsc_insn; /* of the program under way: before which they are looked up; WIRE_NONE */
};

/* quick_args.c: arguments stay where they are, and are no vregs that take a register.  Before the frame is laid out. */
void jit_quick_args(struct jit_gen *);
/* What ARG @insn sets is where it was. */
bool jit_quick_arg_stays(const struct jit_gen *, const struct ir_insn *insn);

struct cold *jit_quick_cold(struct jit_gen *, struct cold);
/* Behind the body: around a call of @fn, all registers are kept that hold vregs, the application's values, the record or JIT_PROC. */
int32_t jit_quick_held_bytes(const struct jit_gen *);
void jit_quick_push_held(struct jit_gen *);
void jit_quick_pop_held(struct jit_gen *);
void jit_quick_call(struct jit_gen *, uint64_t fn);
/* The address of the site's struct in @reg, in the array @off behind the start of the shared memory. */
void jit_quick_site(struct jit_gen *, enum x64_reg, uint64_t off);
/* The application's rsp in @reg, rsp being @pushed bytes below the frame.  Changes rax. */
void jit_quick_app_sp(struct jit_gen *, enum x64_reg, int32_t pushed);

/* quick_key.c: a key that is the same whenever the site is hit. */
struct jit_site_key {
	const struct ir_prog *p;
	uint32_t insn, begin; /* AGG and its tuple_begin */
	uint32_t word_cnt;
	struct jit_site_word {
		enum { SITE_WORD_CONST, SITE_WORD_ENV } kind;
		int64_t v; /* the value, or enum wire_env */
	} words[KEY_WORDS_MAX];
};
/* That of AGG @insn; NULL: it has none. */
const struct jit_site_key *jit_site_key(const struct jit_gen *, const struct ir_insn *insn);
/* @reg is what ENV @env of the site is; changes rcx.  rsp is as within the body. */
void jit_quick_site_env(struct jit_gen *, enum x64_reg, enum wire_env);

/* rate.c: @dst is how many hits this one stands for. */
void jit_quick_weight(struct jit_gen *, uint32_t dst);

/* quick_agg.c.  Whether the key of AGG @insn, if it has one, is of whole words that are at hand; their number. */
bool jit_quick_agg_fits(const struct jit_gen *, const struct ir_prog *, uint32_t insn);
bool jit_quick_agg_inline(const struct wire_agg *); /* a value that is there is changed without a call */
/* Of all tuples that AGG @insn's clause makes in its slot; 0: not the same. */
uint64_t jit_quick_key_bytes(const struct jit_gen *, const struct ir_prog *, uint32_t insn);
void jit_quick_tuple_begin(struct jit_gen *, uint32_t insn);
void jit_quick_agg(struct jit_gen *, const struct ir_insn *);
void jit_quick_cold_agg(struct jit_gen *, const struct cold *);

/* quick_rec.c.  Whether the record that REC @insn opens has a fixed size and is committed on all ways. */
bool jit_quick_rec_fits(const struct ir_prog *, const struct jit_alloc *, uint32_t insn);
/* Before the clock is read for REC @insn. */
void jit_quick_drains(struct jit_gen *);
void jit_quick_tsc_again(struct jit_gen *); /* quick.c: into the frame, without cold code; changes rax, rdx */
void jit_quick_rec(struct jit_gen *, uint32_t insn);
void jit_quick_commit(struct jit_gen *, uint32_t insn);
void jit_quick_cold_rec(struct jit_gen *, const struct cold *);
void jit_quick_cold_commit(struct jit_gen *, const struct cold *);

static inline bool jit_quick_branches(const struct ir_insn *in)
{
	return in->op == IR_OP_JMP || in->op == IR_OP_BRZ || in->op == IR_OP_BRNZ;
}

/* Whether the word at @at is stored to (STR, STS) behind @insn, before ways meet or part and before it is used. */
static inline bool jit_quick_is_stored(const struct jit_gen *g, uint32_t insn, enum ir_op store, int64_t at)
{
	for (uint32_t i = insn + 1; i < g->p->insn_cnt; i++) {
		const struct ir_insn *in = &g->p->insns[i];
		if (g->al->insn_flags[i] & JIT_INSN_TARGET || jit_quick_branches(in) || in->op == IR_OP_RET)
			return false;
		if (in->op == (store == IR_OP_STR ? IR_OP_COMMIT : IR_OP_AGG))
			return false;
		if (in->op == store && in->aux == 8 && in->imm == at)
			return true;
	}
	return false;
}

#endif
