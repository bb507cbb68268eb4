/* SPDX-License-Identifier: MIT */
/*
 * patch: where probes can stand in a function, the windows of code they take,
 * the trampolines behind them.  All pure: bytes in, bytes out.  Writing to a
 * process is session's, with inject.
 *
 * A *window* is a run of whole instructions, at least 5 bytes (or 2, with a
 * short jump to a hole), into whose interior nothing jumps.  Its first bytes
 * become a jump to a trampoline, which holds the displaced instructions and,
 * before each one that is an *anchor*, a call of that anchor's body:
 *
 *   function            trampoline
 *   f:   jmp T     -->  T: call body(entry)       anchor at f+0
 *   f+5: ...               displaced f+0 .. f+4
 *                          jmp f+5
 *   r:   jmp T2    -->  T2: displaced pop, pop
 *        (pop pop ret)      call body(return)     anchor at the ret
 *                           ret
 */
#ifndef PATCH_PATCH_H
#define PATCH_PATCH_H

#include "isa/isa.h"
#include "wire/wire.h"

/* A function's code as it stands in memory. */
struct patch_func {
	uint64_t addr;
	const uint8_t *code;  /* @bytes of it, then @slack bytes that follow */
	uint32_t bytes;
	uint32_t slack;       /* bytes of padding after it that belong to nobody (nop, int3) */
	/* Further addresses inside it that something may jump to and that its own
	 * direct branches do not show: landing pads, jump tables, other symbols.
	 * Sorted. */
	const uint64_t *targets;
	uint32_t target_cnt;
	/* Reads memory of the process (jump tables); 0 or -errno. NULL: none. */
	int (*read)(void *arg, uint64_t addr, void *buf, size_t bytes);
	void *read_arg;
	/* Whether @addr lies in another part of the same function (a cold fragment): a jump
	 * there is not a return. NULL: never. */
	bool (*is_fragment)(void *arg, uint64_t addr);
	void *fragment_arg;
};

enum patch_refusal {
	PATCH_OK,
	PATCH_NOT_BOUNDARY,   /* the offset is inside an instruction */
	PATCH_UNDECODABLE,
	PATCH_TOO_SHORT,      /* no window of 5 bytes, no hole, no padding */
	PATCH_TARGET_INSIDE,  /* something jumps into the only possible window */
	PATCH_UNKNOWN_JUMPS,  /* an indirect jump whose targets could not be found */
	PATCH_UNRELOCATABLE,
	PATCH_REFUSAL_CNT
};
const char *patch_refusal_text(enum patch_refusal);

struct patch_anchor {
	uint32_t offset; /* of the instruction from the function's start */
	uint8_t kind;    /* enum wire_site_kind: ENTRY, RETURN, OFFSET, HOOK */
	uint8_t refusal; /* out: enum patch_refusal */
	uint16_t sp_adj; /* out: for wire_site.sp_adj */
	uint32_t window; /* out: index of its window */
	uint32_t site;   /* caller's: index of its wire_site */
	uint64_t body;   /* caller's: address of the body; set before patch_emit */
	bool save_flags, skip_redzone; /* out */
};

#define PATCH_WINDOW_MAX 64
enum patch_form {
	PATCH_JMP5,  /* jmp rel32 in the window */
	PATCH_HOLE,  /* jmp rel8 to a jmp rel32 in padding or in a second window */
};
struct patch_window {
	uint64_t addr;
	uint32_t bytes;      /* of whole instructions displaced */
	uint8_t form;        /* enum patch_form */
	uint8_t old[PATCH_WINDOW_MAX]; /* what stands there */
	uint64_t hole_addr;  /* PATCH_HOLE: where the 5-byte jump goes */
	uint8_t hole_old[5];
	bool hole_inside;    /* the hole is behind the jump of another window: that one restores its bytes */
	uint32_t tramp_max;  /* upper bound of its trampoline's size */
};

/* Finds the offsets at which @f is left: rets and, where they lead out of the
 * function, jumps (tail calls).  Stores at most @cap, returns how many there
 * are, or -errno. */
int patch_find_returns(const struct patch_func *, uint32_t *ret_offsets, uint32_t cap, struct err *reterr);

/* Decides windows for @anchors (sorted by offset; several may share one).
 * Sets each anchor's out fields; @ret_windows has room for twice @anchor_cnt
 * (a window may exist only to make room for another's jump).  Returns the
 * number of windows, or -ENOMEM.  Refused anchors are no error. */
int patch_plan(const struct patch_func *, struct patch_anchor *anchors, uint32_t anchor_cnt,
	       struct patch_window *ret_windows);

/* Where an instruction pointer in a window has to go, and back. */
struct patch_move {
	uint64_t from, to; /* original instruction -> its displaced copy */
};
/* Writes the trampoline of window number @w of the function at @func_addr, to stand at @tramp_addr, to @buf.
 * Returns its length or -errno.  @moves gets one entry for each displaced
 * instruction (at most PATCH_WINDOW_MAX). */
int patch_emit(const struct patch_window *, uint32_t w, uint64_t func_addr, const struct patch_anchor *anchors,
	       uint32_t anchor_cnt, uint64_t tramp_addr, uint8_t *buf, size_t cap,
	       struct patch_move *moves, uint32_t *ret_move_cnt, struct err *reterr);
/* The bytes to write over the window (@ret_new: w->bytes; behind the jump the old ones stay) and over
 * the hole (PATCH_HOLE only). Write holes before windows. */
int patch_jump_bytes(const struct patch_window *, uint64_t tramp_addr, uint8_t *ret_new, uint8_t ret_hole[5],
		     struct err *reterr);

#endif
