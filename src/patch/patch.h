/* SPDX-License-Identifier: MIT */
/*
 * patch: where probes can stand in a function, the windows of code they take,
 * the trampolines behind them.  All pure: bytes in, bytes out.  Writing to a
 * process is session's, with inject.
 *
 * A *window* is a run of whole instructions, at least 5 bytes (or 2, with a
 * short jump to a hole), into whose interior nothing jumps or returns.  Its
 * first bytes become a jump to a trampoline, which holds the displaced
 * instructions and, before each one that is an *anchor*, a call of that
 * anchor's body:
 *
 *   function            trampoline
 *   f:   jmp T     -->  T: call body(entry)       anchor at f+0
 *   f+5: ...               displaced f+0 .. f+4
 *                          jmp f+5
 *   r:   jmp T2    -->  T2: displaced pop, pop
 *        (pop pop ret)      call body(return)     anchor at the ret
 *                           ret
 *
 * A *hole* is 5 bytes for the long jump of a window that has only room for a
 * short one.  It lies in padding, or in a *host*: a longer window whose own
 * jump takes the first 5 bytes, so that the rest of it is free:
 *
 *   h:   jmp TH    -->  TH: displaced h .. h+9    (no anchor need be in it)
 *   h+5: jmp T3             jmp h+10
 *   ...
 *   r:   jmp short h+5
 *        (leave ret)
 *
 * A *pun* is a jump of which the window holds only the beginning; it leads to a
 * *landing*, a jump to the trampoline:
 *
 *	r:   e9                 (was c3, a ret)
 *	r+1: 48 89 d8 5b        as before: still an instruction, and the jump's displacement
 *	...
 *	r + 5 + 0x5bd88948: jmp trampoline
 *
 * What is behind it has to stay as long as the jump does.
 *
 * A ret that has no room, and at which branches of its function end, can be left as it is: then the windows are those of the
 * branches, whose trampolines hold the probe and a ret of their own.
 */
#ifndef PATCH_PATCH_H
#define PATCH_PATCH_H

#include "isa/isa.h"
#include "wire/wire.h"

struct patch_range {
	uint64_t start, end;
};

/* Five bytes in another function's host, for a short jump of this one. */
struct patch_lend {
	uint64_t lo, hi; /* where the hole may begin, both included */
	uint64_t hole;   /* 0: there is none */
};

/* A function's code as it stands in memory, unpatched. */
struct patch_func {
	uint64_t addr;
	const uint8_t *code;  /* @bytes of it, then @slack and @gap bytes that follow */
	uint32_t bytes;
	uint32_t slack;       /* bytes of padding after it that belong to nobody: patch_padding() */
	uint32_t gap;         /* bytes behind those, whatever they are, that belong to no section */
	bool asks_where;      /* its runtime interrupts threads and judges by the instruction pointer what is on their stack
	                       * (Go): in such code nothing may run but what stood there, so holes are of no use; nor has it
	                       * a red zone where none is seen */
	bool entered_anywhere; /* somebody whom nobody can find may go on at any of its instructions */
	bool is_frag;         /* not entered by a call: a .cold part, of which the returns are wanted */
	bool knows_near;      /* @targets has what code nearby jumps to with 8 bits */
	/* Further addresses inside it that something may jump to and that its own
	 * direct branches do not show: landing pads, other symbols, branches from
	 * elsewhere (patch_text_targets).  Sorted; those inside an instruction are ignored. */
	const uint64_t *targets;
	uint32_t target_cnt;
	/* Other pieces of the same function (.cold; for such a piece: the rest): a jump there is no
	 * return, and what they jump to is looked up with @read.  Sorted. */
	const struct patch_range *frags;
	uint32_t frag_cnt;
	/* The same as a question, for callers that do not know the pieces: whether @addr lies in another
	 * piece of this function.  NULL: never. */
	bool (*is_fragment)(void *arg, uint64_t addr);
	void *fragment_arg;
	/* Holes that neighbours lend to this function; of each it needs the hole only. */
	const struct patch_lend *borrowed;
	uint32_t borrowed_cnt;
	/* Holes that this one is to lend besides; out: those that it does. Their hosts are among its windows. */
	struct patch_lend *lends;
	uint32_t lend_cnt;
	/* Code that has to run where it stands (restartable sequences): no window meets it. */
	const struct patch_range *keep;
	uint32_t keep_cnt;
	/* Reads memory of the process (jump tables, frags); 0 or -errno. NULL: none. */
	int (*read)(void *arg, uint64_t addr, void *buf, size_t bytes);
	void *read_arg;
};

enum patch_refusal {
	PATCH_OK,
	PATCH_NOT_BOUNDARY,   /* the offset is inside an instruction */
	PATCH_UNDECODABLE,
	PATCH_TOO_SHORT,      /* no window of 5 bytes, no hole, no padding */
	PATCH_TARGET_INSIDE,  /* something jumps into the only possible window */
	PATCH_UNKNOWN_JUMPS,  /* an indirect jump whose targets could not be found */
	PATCH_UNRELOCATABLE,
	PATCH_KEPT,          /* it is among patch_func.keep */
	PATCH_NO_LANDING,    /* caller's: nothing can be mapped where the only possible jump (a pun) leads */
	PATCH_NEEDS_STOP,    /* likewise: threads run on, and it would take more than one store */
	PATCH_REFUSAL_CNT
};
/* Half a sentence: "something jumps into ...". */
const char *patch_refusal_text(enum patch_refusal);

#define PATCH_FILTER_MAX 13
struct patch_anchor {
	uint32_t offset; /* of the instruction from the function's start */
	uint8_t kind;    /* enum wire_site_kind: ENTRY, RETURN, OFFSET, HOOK */
	uint8_t refusal; /* out: enum patch_refusal */
	uint16_t sp_adj; /* out: for wire_site.sp_adj */
	uint32_t window; /* out: index of its window; PATCH_NO_WINDOW where refused, or by_sources */
	bool by_sources; /* out: a ret whose probe stands in the windows of what leads to it */
	uint32_t site;   /* caller's: index of its wire_site */
	uint64_t body;   /* caller's: address of the body; set before patch_emit, or by patch_bodies.put */
	/* caller's: code that uses nothing but flags and ends in a jump with a rel32 (to be filled in), not taken where the
	 * body need not be called; left out where flags are live, or others have many. */
	uint8_t filter[PATCH_FILTER_MAX], filter_bytes;
	bool save_flags, skip_redzone; /* out */
	uint16_t dead;   /* caller's: of patch_dead().  A body of patch_bodies.put saves what it wants; around it not even rax is saved, if
			  * that is among them. */
	bool is_jump;    /* caller's: a RETURN that is a jump */
};
#define PATCH_NO_WINDOW UINT32_MAX

#define PATCH_WINDOW_MAX 64 /* more than a window ever has */
enum patch_form {
	PATCH_JMP5,  /* jmp rel32 in the window */
	PATCH_HOLE,  /* jmp rel8 to a jmp rel32 in padding or in a host */
	PATCH_PUN,   /* the beginning of a jmp rel32, whose end is what stands behind the window */
};
struct patch_window {
	uint64_t addr;
	uint32_t bytes;      /* of whole instructions displaced, padding behind them included */
	uint8_t form;        /* enum patch_form */
	uint8_t write_bytes; /* how many of them change: those of the jump: 5, 2, or 1 to 4 of a pun */
	uint8_t old[PATCH_WINDOW_MAX]; /* what stands there */
	uint64_t hole_addr;  /* PATCH_HOLE: where the 5-byte jump goes */
	uint8_t hole_old[5];
	bool hole_inside;    /* the hole is in a host, whose old bytes include it */
	bool hole_borrowed;  /* and that host is a neighbour's */
	uint32_t tramp_max;  /* upper bound of its trampoline's size; the caller may set it to patch_near_max() */
	bool moves_as_is;    /* what is displaced is copied as it is, with no probes but those of anchors whose window it is */
	uint64_t tramp;      /* caller's: where it stands */
	uint64_t landing;    /* caller's: of a pun */
};
#define PATCH_SOURCES 4 /* most that lead to a ret that is left as it is */
/* Upper bound of patch_plan's result: each anchor may need a window and a host, or one for each of its sources. (A hole
 * that is lent: a host.) */
#define PATCH_WINDOW_CNT(anchor_cnt) (2 * PATCH_SOURCES * (anchor_cnt))
/* Where a short jump at @addr can find its hole. */
#define PATCH_REACH_LO(addr) ((addr) + 2 - 128)
#define PATCH_REACH_HI(addr) ((addr) + 2 + 127)

/* How many of the @cnt bytes at @code (that stand at @addr) are padding: whole nops and int3s.
 * The caller ends @cnt at the next thing that is known to start. */
uint32_t patch_padding(const uint8_t *code, uint32_t cnt, uint64_t addr);

/* Finds the offsets at which @f is left: rets and, where they lead out of the
 * function, jumps (tail calls, conditional ones included).  Stores at most @cap,
 * sorted, returns how many there are, or -errno. */
int patch_find_returns(const struct patch_func *, uint32_t *ret_offsets, uint32_t cap, struct err *reterr);

/* Offset of the instruction where the probe of the entry belongs: 0, but in functions that may begin again for
 * want of stack (Go's) the place that they get to once for each call, with arguments and stack as at the start. */
uint32_t patch_entry_offset(const struct patch_func *);

/* Decides windows for @anchors (sorted by offset; several may share an offset,
 * and then fire in their order).  Sets each anchor's out fields; @ret_windows
 * has room for PATCH_WINDOW_CNT(anchor_cnt).  Returns the number of windows, or
 * -ENOMEM.  Refused anchors are no error.
 *
 * Windows and holes of one function do not overlap and lie within its code and
 * slack, so functions whose slack does not overlap can be armed together.  The
 * windows are to be armed all or none: one may hold another's hole. */
int patch_plan(const struct patch_func *, struct patch_anchor *anchors, uint32_t anchor_cnt,
	       struct patch_window *ret_windows);
/* The same for entries that get a plain window of 5 bytes, sooner: the function is not taken apart.  False: patch_plan()
 * knows, and nothing was written.  Of @targets those in the first PATCH_WINDOW_MAX bytes count; neither slack nor gap are
 * looked at. */
bool patch_plan_entry(const struct patch_func *, struct patch_anchor *anchors, uint32_t anchor_cnt, struct patch_window *ret);

/* What there is to know of a plan for an entry that is a plain window: what stands in it says the rest. */
struct patch_known {
	uint8_t bytes; /* of the window */
	bool save_flags;
};
#define PATCH_KNOWN_BYTES 20 /* more than such a window has */
/* Whether that is what patch_plan() or patch_plan_entry() has made of @anchors. */
bool patch_plan_is_known(const struct patch_func *, const struct patch_anchor *anchors, uint32_t anchor_cnt, const struct patch_window *,
			 uint32_t win_cnt, struct patch_known *ret);
/* The same plan again.  Of @f address, code, bytes and slack count, and no more code than the window's: bytes are those that are the
 * function's, slack what is behind it.  False: they do not allow it, and nothing was written. */
bool patch_plan_known(const struct patch_func *, const struct patch_known *, struct patch_anchor *anchors, uint32_t anchor_cnt,
		      struct patch_window *ret);

/* Where an instruction pointer in a window has to go, and back. */
struct patch_move {
	uint64_t from, to; /* original instruction -> its displaced copy */
};
#define PATCH_MOVES(window_bytes) (2 * (window_bytes) + 4u) /* upper bound of patch_emit's */
/* General registers (a bit for each number) that the code at @code overwrites before anybody looks at them: of those that a called
 * function may change, from its first instruction on, as far as nothing branches or faults.  Nobody else's ABI is trusted: a caller
 * that knows its callee (-fipa-ra) may keep a value in any other one. */
uint16_t patch_dead(const uint8_t *code, size_t bytes);

/* Caller's: a body that stands in the trampoline, where else it would be called.  Writes it for @addr to @buf and returns its length;
 * 0: it is to be called, an->body is set; or -errno.  It goes in at its first byte and on behind its last, with the stack as the
 * trampoline leaves it (without rax, if that is dead) and no return address.  patch_window.tramp_max knows nothing of it: the
 * caller adds what it may take. */
typedef int patch_body_fn(void *arg, struct patch_anchor *an, uint64_t addr, uint8_t *buf, size_t cap);
struct patch_bodies {
	patch_body_fn *put;
	void *arg;
};
/* Writes the trampoline of window number @w of the function at @func_addr, to
 * stand at @tramp_addr, to @buf.  Returns its length or -errno.  Bodies (NULL: all are called) are put as often as
 * their probes stand in it.
 *
 * @moves (room for PATCH_MOVES(@w->bytes)) gets an entry for each displaced instruction, for the jump back, where there is
 * one (from: the window's end), and for each ret of its own that stands for one that is left as it is: behind a branch of two
 * bytes or more, and at the end.  Behind a probe with a filter there may be all of these a second time.  Arming: a
 * thread at `from` goes to `to`, so that it is not probed; at the window's first
 * byte (moves[0]) and past its end it can stay.  Disarming: a thread at `to` goes
 * to `from`; all moves count.  A thread elsewhere in the trampoline has to be
 * stepped until it is at a `to` or outside. */
int patch_emit(const struct patch_window *, uint32_t w, uint64_t func_addr, struct patch_anchor *anchors, uint32_t anchor_cnt,
	       const struct patch_bodies *, uint64_t tramp_addr, uint8_t *buf, size_t cap, struct patch_move *moves,
	       uint32_t *ret_move_cnt, struct err *reterr);
/* The upper bound of a trampoline's size if window and called bodies are within 2 GiB of it: of most windows a third of
 * tramp_max.  Of each anchor filter_bytes is how many there will be at most. */
uint32_t patch_near_max(const struct patch_window *, uint32_t w, const struct patch_anchor *anchors, uint32_t anchor_cnt);
/* The bytes to write at w->addr, for forms but PATCH_PUN (@ret_new; only the first w->write_bytes change) and, for
 * PATCH_HOLE, at w->hole_addr.  What follows the jump in the window stays as it is: a signal handler
 * may yet return there, and a host has holes there.  0, or -ERANGE where the trampoline is more than 2 GiB
 * away.  The order of the writes of one plan does not matter. */
int patch_jump_bytes(const struct patch_window *, uint64_t tramp_addr, uint8_t ret_new[PATCH_WINDOW_MAX], uint8_t ret_hole[5],
		     struct err *reterr);

/* Where a pun can lead, both included, if @behind follows its window once all else is written. */
void patch_pun_range(const struct patch_window *, const uint8_t behind[4], uint64_t *ret_lo, uint64_t *ret_hi);
/* The bytes of a pun that leads to @landing: w->write_bytes of them. 0, or -ERANGE. */
int patch_pun_bytes(const struct patch_window *, const uint8_t behind[4], uint64_t landing, uint8_t ret_new[4],
		    struct err *reterr);

/* Direct branches anywhere in @text (a module's code that stands at @addr) whose target is in
 * [lo, hi): for patch_func.targets.  An over-approximation without decoding it all, of
 * 32-bit branches only (8-bit ones stay within 128 bytes).  Calls of @lo itself are left out, and what @wanted (NULL: all are) does
 * not want: asked in the order of @from.  Stores at most @cap targets, sorted, each once; returns how many there are, or -ENOMEM. */
typedef bool patch_wanted_fn(void *arg, uint64_t from, uint64_t target);
int64_t patch_text_targets(const uint8_t *text, size_t bytes, uint64_t addr, uint64_t lo, uint64_t hi,
			   patch_wanted_fn *wanted, void *arg, uint64_t *ret, uint32_t cap);
/* The same in pieces: those that begin at text[@from] to text[@to], of which 64 bytes before and 16 behind are there, as far as
 * there are any.  @seen, (hi - lo) / 64 + 1 words: a bit for each target; several threads may set some at a time. */
void patch_text_mark(const uint8_t *text, size_t bytes, size_t from, size_t to, uint64_t addr, uint64_t lo, uint64_t hi,
		     patch_wanted_fn *wanted, void *arg, uint64_t *seen);
uint32_t patch_text_list(const uint64_t *seen, uint64_t lo, uint64_t hi, uint64_t *ret, uint32_t cap);

#endif
