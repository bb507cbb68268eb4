/* SPDX-License-Identifier: MIT */
/*
 * aim: the probes that a program's descriptions mean, each with its clauses; these armed; the tool's own fired.
 * The command line and the daemon's workers do it alike.
 *
 *   aim_init -> aim_match -> aim_arm -> aim_fire(BEGIN) -> aim_ticks_fire ... -> aim_fire(END)
 *                  ^-- again when modules or programs came
 */
#ifndef AIM_AIM_H
#define AIM_AIM_H

#include "ir/ir.h"
#include "probe/probe.h"
#include "session/session.h"

/* A process that is there. */
struct aim_target {
	pid_t pid;
	pid_t root;           /* of a followed program: the process whose probes it has; else 0 */
	uint32_t proc;        /* in the session */
	struct obj_proc *obj; /* not NULL */
};
/* Process @i of the caller's; false: it is gone. */
typedef bool aim_target_fn(const void *arg, uint32_t i, struct aim_target *ret);
/* Those of @cnt that are there, malloc'ed; NULL: no memory. */
struct aim_target *aim_targets(aim_target_fn *get, const void *arg, uint32_t cnt, uint32_t *ret_cnt);

struct aim_probe {
	uint32_t *progs;      /* clauses in the order of the script; owned */
	uint32_t prog_cnt;
	uint32_t proc;        /* 0: the tool's own */
	bool armed;
	uint64_t due_ns;      /* tick and profile: when next */
};
struct aim {
	const struct ir_image *image;
	struct session_desc *descs;  /* owned; what they point to is not */
	uint32_t desc_cnt;
	struct probe_table *table;
	struct aim_probe *probes;    /* [index in table]; owned */
	uint32_t probe_cnt;
	uint32_t armed_cnt;          /* places */
};

/* @image: kept by reference. @descs: malloc'ed, taken, also on an error; numbers of probes in them are those that a list
 * of all shows. 0 or -ENOMEM. */
int aim_init(struct aim *, const struct ir_image *, struct session_desc *descs, uint32_t desc_cnt);
void aim_deinit(struct aim *); /* as zeroes again */

/* Indexes in the table of the probes of @d: malloc'ed, also where there are none. Errors as probe_match(). */
int aim_find(struct aim *, const struct session_desc *d, const struct aim_target *, uint32_t target_cnt, uint32_t **ret,
	     uint32_t *ret_cnt, struct err *reterr);
/* What description @desc found: @rc and @why as of probe_match().  Who returns less than 0 ends the search with that. */
typedef int aim_found_fn(void *arg, uint32_t desc, int rc, const uint32_t *found, uint32_t cnt, const char *why);
/* The probes of all descriptions; those that are armed keep what they have. 0, -ENOMEM, or what @found returned. */
int aim_match(struct aim *, const struct aim_target *, uint32_t target_cnt, aim_found_fn *found, void *arg);

struct aim_arming {
	void (*say)(void *arg, const char *text); /* a place that is not traced, and why */
	void *arg;
	bool verbose;     /* all such places, and what was armed */
	bool may_uprobe;  /* as a last resort: the session's memory is the kernel's */
	/* Of @places in all some were refused: whether the session is to be made again so that they may; NULL: no. */
	bool (*again)(void *arg, uint32_t places);
	const char *(*why_not)(void *arg); /* why those that are not traced are no uprobes; NULL, or NULL of it: it is said elsewhere */
};
enum {
	AIM_NOTHING = 1, /* with a message: nothing of the program is placed, because each place was refused */
	AIM_AGAIN,       /* the session is to be made again, as .again said */
};
/* Arms what was matched and is not armed yet; the session watches for libraries from then on, also where that is
 * nothing. */
int aim_arm(struct aim *, struct session *, const struct aim_arming *, struct err *reterr);

/* The tool's own probes of that name, in the interpreter. A clause that faults fires ERROR. */
void aim_fire(struct aim *, struct session *, const char *name, const uint64_t args[10]);
/* ERROR, as dtrace has it on Linux: the probe, the clause, the place in it, what, and with which value. */
void aim_fire_error(struct aim *, struct session *, uint32_t probe, uint32_t clause, const struct wire_rec_error *);
uint64_t aim_ticks_start(struct aim *); /* ns to the first, or UINT64_MAX */
/* Those that are due; sets *ret_fired if any; ns to the next. */
uint64_t aim_ticks_fire(struct aim *, struct session *, bool *ret_fired);

#endif
