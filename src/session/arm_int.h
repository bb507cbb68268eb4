/* SPDX-License-Identifier: MIT */
/* What the files that arm have in common. */
#ifndef SESSION_ARM_INT_H
#define SESSION_ARM_INT_H

#include "session/session_int.h"

#include <errno.h>
#include <stdlib.h>

/* One function and what is asked of it. */
struct plan_func {
	struct obj_module *mod;
	uint64_t addr, bytes;
	uint64_t whole; /* of a fragment: where its function begins; else 0 */
	struct patch_anchor *anchors;
	uint32_t *probe_of; /* by anchor: index into the probes */
	uint32_t anchor_cnt;
	struct patch_window *wins;
	uint32_t win_cnt;
	uint8_t *pack; /* NULL, or what entry.c made of the three in one piece: of ten thousands that counts */
	uint32_t pack_bytes;
	struct arena *arena;
	bool dropped, is_frag;
	bool spots; /* bodies stand in its trampolines (spots.c) */
	bool by_file;   /* its plan follows from its module's file alone: kept_entries.c may keep it */
	bool was_kept;
	bool postponed; /* dropped, but not refused: goroutines stand in it */
	/* Holes that this function lends, and those that it has of others (lend.c). */
	struct patch_lend *lends, *borrowed;
	uint32_t lend_cnt, borrowed_cnt;
};

/* Frees anchors, windows or probes of @pf, which has others then or none. */
static inline void plan_free(const struct plan_func *pf, void *p)
{
	if (!pf->pack || (uintptr_t)p - (uintptr_t)pf->pack >= pf->pack_bytes)
		free(p);
}

struct job {
	struct session *s;
	struct target *t;
	const struct session_probe *probes;
	uint32_t probe_cnt;
	session_refused_fn *refused;
	void *refused_arg;
	struct plan_func *funcs;
	uint32_t func_cnt, func_cap;
	uint32_t armed;
	/* what commit writes */
	struct write {
		uint64_t addr;
		uint32_t cnt, room; /* of them it could be as many */
		uint8_t bytes[PATCH_WINDOW_MAX], old[PATCH_WINDOW_MAX];
		bool fixed; /* a pun depends on its bytes */
		bool is_hole; /* of the long jump of a short one */
	} *writes;
	uint32_t write_cnt, write_cap;
	uint32_t write_at;   /* where jumps_at() was */
	uint32_t sorted_cnt; /* of them: in the order of addresses; behind them puns, backwards */
	uint32_t first_placed;
	uint64_t first_move;
	uint32_t first_sema;
	uint32_t first_site;
	bool told;  /* refusals have been told of an earlier plan: those that are known to have come since are due */
	bool written; /* so that what was placed may be there even where arming failed */
	bool again; /* out: where goroutines stand is not known any more; it is to be planned once more */
	uint32_t postponed_cnt; /* functions */
	bool places_only; /* no windows for them */
	bool has_hooks; /* those of the loader are among the probes */
	const struct kept_entries *kept; /* NULL: of none */
	struct text_near ahead;          /* what entry.c has read */
	struct text_blocks *blocks;      /* not owned; NULL: none */
	uint32_t kept_at;                /* where kept_entry_find() was */
};

static inline bool plan_has_windows(const struct plan_func *pf)
{
	return !pf->dropped && pf->win_cnt;
}

#define JUMP_BYTES 5

/* What nobody asked for, and nobody is told of. */
static inline bool job_is_own(uint8_t kind)
{
	return kind == WIRE_SITE_GUARD || kind == WIRE_SITE_HOOK;
}

/* What is asked of a function. */
struct request {
	uint64_t func;
	uint32_t probe; /* index into the job's */
};
int job_compare_requests(const void *, const void *); /* for qsort */

static inline int job_no_memory(struct err *reterr)
{
	return err_setf(reterr, -ENOMEM, "out of memory");
}

/* entry.c: anchors and a window for @cnt probes (indexes into the job's) at the entry of @pf.  1: done; 0: func_init() and patch_plan() know. */
int entry_plan(struct job *, struct plan_func *pf, const uint32_t *probes, uint32_t cnt);
/* What they have made of @pf: whether that may be kept. */
void entry_note(struct job *, struct plan_func *pf, const struct func *);

/* kept_entries.c: entries of many functions, as they were planned before.  Starts as zeroes. */
struct kept_entries {
	struct kept_mod *v;
	uint32_t cnt;
};
/* Looks for @mod's; the requests are for functions of it, sorted.  How many functions are to be planned anew. */
uint32_t kept_entries_look(struct kept_entries *, struct job *, struct obj_module *, const struct request *, uint32_t cnt);
/* Where what is planned for @mod may be kept: what is read of its file; empty: nowhere. */
struct patch_range kept_entries_range(const struct kept_entries *, const struct obj_module *);
/* *at: where the one before was found, of whoever asks in the order of addresses; 0 at first. */
bool kept_entry_find(const struct kept_entries *, uint32_t *at, const struct plan_func *, struct patch_known *ret);
/* Adds what was planned anew. */
void kept_entries_store(struct kept_entries *, struct target *, const struct plan_func *funcs, uint32_t cnt);
void kept_entries_free(struct kept_entries *);

/* plan.c: sorted requests to j->funcs. */
int job_plan(struct job *, const struct request *, uint32_t cnt, struct err *reterr);
int job_plan_requests(struct job *, const struct request *, uint32_t cnt, struct err *reterr); /* each by itself */
/* plan_many.c: the same, on more than one processor. */
int job_plan_many(struct job *, const struct request *, uint32_t cnt, struct err *reterr);
/* One function and its probes (indexes into the job's). */
int job_plan_func(struct job *, const struct plan_func *what, const uint32_t *probes, uint32_t cnt, struct err *reterr);
void job_free(struct job *);
struct plan_func *job_push_func(struct job *); /* to be filled; NULL: no memory */
/* @why NULL: it is the return of a function that has none. */
void job_refuse(struct job *, uint32_t probe, uint64_t addr, const char *why);
#define JOB_UNLOADED "its library was unloaded"
/* All of a function that was not refused yet. */
void job_drop(struct job *, struct plan_func *, const char *why);

/* Whether something that is armed already has bytes of [addr, end). */
bool plan_is_taken(const struct target *, uint64_t addr, uint64_t end);

/* lend.c: finds room among their neighbours for short functions that have none. */
int job_lend(struct job *, struct err *reterr);
/* Whether @pf (with windows) relies on a host in a function that is dropped; j->funcs is sorted. */
bool lend_is_void(const struct job *, const struct plan_func *);

#define SPOTS_MAX 64u /* in a process; what many share, the processor's caches hold */
/* spots.c.  Whether bodies are to stand in trampolines, and room for them there. */
void spots_plan(struct job *);
/* None of them after all: there is too little room, or nothing was armed. Whether there were any. */
bool spots_drop(struct job *);
/* Most that the body of @a may have there; 0: it is called. */
uint64_t spots_hot_bytes(const struct job *, const struct plan_func *, const struct patch_anchor *);
/* What its body need not save there (patch_dead): as the process's memory says, not the file. */
uint16_t spots_dead(const struct job *, const struct plan_func *, const struct patch_anchor *);
/* What the function's bodies want of the arena besides. */
uint64_t spots_cold_bytes(const struct job *, const struct plan_func *);

/* place.c: all of the plan, or nothing. */
int job_place(struct job *, struct err *reterr);

/* goscan.c: all threads stand, what is new in t->placed is about to be written: takes functions out in which goroutines
 * stand.  -EAGAIN with j->again. */
int goscan_check(struct job *, struct err *reterr);

/* jumps.c: decides where trampolines stand and what is written to the code.  The memory for code is mapped; the target may
 * run.  1: there are puns, for which jumps_land() is to be called while it stands; those that have no place to lead to are refused. */
int jumps_make(struct job *, struct err *reterr);
int jumps_land(struct job *, struct err *reterr);
/* The write at @addr, one that jumps_make made. */
const struct write *jumps_at(struct job *, uint64_t addr);

/* copies.c: whether many pages of code that is the file's will be written; and to have them copied before, while the target is stopped for some
 * milliseconds now and then.  Called while it runs. */
bool copies_worth(const struct job *);
int copies_make(struct job *, struct err *reterr);

#endif
