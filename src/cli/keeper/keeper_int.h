/* SPDX-License-Identifier: MIT */
/*
 * Keepers (ADR 18) and the verbs that talk to them.
 *
 *   verb --(words of the command, over a socket)--> keeper of the process
 *                 image.c    D text to programs, behind those that run
 *                 place.c    what is written for a place
 *                 lib.c      libraries of tracers, in the process
 *                 arm.c      places, sites, what is armed
 *                 far.c      the session, where dyntraced has it
 *                 follow.c   programs that the process and its children run
 *                 point.c    tracepoints
 *                 list.c     what is told of them
 *                 req.c      requests
 *                 keeper.c   its life
 */
#ifndef CLI_KEEPER_INT_H
#define CLI_KEEPER_INT_H

#include "cli/record/record_int.h"
#include "keep/keep.h"
#include "tracer/tracer.h"

/* ---- places (place.c) ---- */

/* MODULE:SYMBOL, SYMBOL@MODULE, SYMBOL+OFFSET, ADDRESS: as a probe of provider pid.  PROVIDER:MODULE:FUNCTION:NAME: one that
 * the program declares (USDT). */
struct keeper_place {
	char *prov; /* without the process's number; NULL: pid; owned */
	char *mod, *func, *name; /* owned; name: "entry", or an offset in hexadecimal */
};
int keeper_place_parse(struct obj_proc *, const char *text, struct keeper_place *ret, struct err *reterr);
void keeper_place_deinit(struct keeper_place *);
bool keeper_place_is_kernel(const char *text, size_t len); /* its first @len characters are a provider of the kernel's, more follow */

/* ---- in the keeper ---- */

struct keeper_point {
	struct tracer_point tp;
	char *name, *place, *words;  /* owned; words: the tracer and its arguments */
	struct keeper_place where;
	struct keeper_probe {
		struct probe p;      /* a copy with its own id */
		enum tracer_at at;
		const char *why;     /* NULL: it is armed, or else why not; owned */
		uint32_t proc;       /* whose; of the session */
		bool came;           /* with a followed program, and it is not armed yet */
	} *probes;
	uint32_t probe_cnt;
	char *source[TRACER_AT_CNT]; /* D; owned */
	uint64_t hook;               /* the tracer's library's function in the process; 0: none */
	char *hook_text;             /* owned */
	uint64_t faults;
};

struct keeper {
	struct cli cli;              /* compiler, session, consumer, with the process as its only target */
	pid_t pid;
	uint32_t proc;               /* in the session */
	int listener;
	bool attached, ends, is_unlinked;
	bool stays;                  /* attach asked for it, or an add that did something */
	struct obj_proc *obj;
	bool far;                    /* dyntraced has the session (far.c) */
	struct probe_table *table;
	struct tracer_host host;
	uint32_t *kids, kid_cnt;     /* followed programs: of the session; owned */
	struct keeper_point **points; /* by id */
	uint32_t point_cnt, next_id, next_nr;
	struct keeper_site {
		uint32_t id;         /* D's id of it */
		uint64_t addr;
	} *sites;
	uint32_t site_cnt;
	/* In the foreground: the program is a child, and what is said goes to standard error at once. */
	struct session_child *child;
	bool is_parent, was_execed;
	bool begins;                 /* it has not come to its own code */
	int said_fd;                 /* that; -1: it waits for the next request */
	int status;                  /* of the child: as of waitpid() */
};

/* start.c: forks one for @pid, unless there is one. 0, or an error. */
int keeper_start(pid_t pid, const char *const *options, struct err *reterr); /* "NAME[=VALUE]", as -x has them; NULL-terminated, or NULL */
/* run.c: starts @argv with tracepoints (words of add, without a process), keeps it until it ends. The command's status, or an
 * error's after a message. @preload: libraries of tracers, each once; NULL-terminated. */
struct keeper_wish {
	int argc;
	char *argv[8];
};
int keeper_run(char *const argv[], const struct keeper_wish *, uint32_t wish_cnt, const char *const *preload);
int run_main(int argc, char **argv);     /* dyntrace-run */
int trace_main(int argc, char **argv);   /* dyntrace trace */
int event_main(int argc, char **argv);   /* dyntrace enable-event */

int keeper_init(struct keeper *, pid_t pid);
void keeper_deinit(struct keeper *);

/* keeper.c: its life */
void keeper_live(struct keeper *);   /* until nobody wants it any more */
enum session_event keeper_step(struct keeper *, int *ret_status); /* waits a little, does what came */
int keeper_drain(struct keeper *, bool final);
void keeper_unlink(struct keeper *); /* nobody finds it any more */
/* The process is as it was; what tracers gathered goes to @out, and the keeper's life ends. */
int keeper_detach(struct keeper *, FILE *out, bool json, struct err *reterr);
void keeper_end(struct keeper *);    /* detaches, frees its points */
void keeper_end_points(struct keeper *); /* frees them; their files are complete */

/* attach.c */
/* Attaches to the process, if it is not yet (again after all was disarmed). */
int keeper_attach(struct keeper *, struct err *reterr);
int keeper_disarm(struct keeper *, struct err *reterr); /* nothing fires any more */
/* Nothing is armed any more; programs and what they recorded are forgotten. */
void keeper_reset(struct keeper *);
void keeper_direct(struct tracer_host *, FILE *out); /* tracer_host.direct */
void keeper_catch_knocks(int fd);    /* of the listener: they end a wait */

/* said.c: standard error becomes memory, of which requests and keeper_relay() take what was said. */
int keeper_gather_messages(void);
char *keeper_take_messages(void);
void keeper_relay(struct keeper *);  /* what was said meanwhile, to said_fd */
void keeper_bound_messages(void);    /* the first of them are kept */

/* image.c: the number of the clause with this text (taken over); messages may be on stderr. */
int keeper_clause(struct keeper *, char *text, uint32_t *ret, struct err *reterr);
void keeper_image_reset(struct keeper *);

/* follow.c (attach -x followfork) */
void keeper_followed(struct keeper *, uint32_t proc);  /* it runs a new program, and stands before its first instruction */
void keeper_modules_came(struct keeper *, uint32_t proc); /* to any; its loader waits */
void keeper_left(struct keeper *, uint32_t proc);      /* a followed program ended, or runs another one */
void keeper_execed(struct keeper *);                   /* the process runs another program, and is not followed */

/* arm.c */
/* Places of @pt in a followed program, as far as they are not known; 0 or -ENOMEM. */
int keeper_find_in(struct keeper *, struct keeper_point *pt, uint32_t proc);
/* Arms what keeper_find_in() found since. */
int keeper_arm_came(struct keeper *, uint32_t proc, struct err *reterr);
int keeper_find(struct keeper *, struct keeper_point *, struct err *reterr); /* fills its probes */
/* Arms what all points want, where the functions of @pt changed; how many places of it are armed: its parts' place_cnt. */
int keeper_arm(struct keeper *, struct keeper_point *pt, bool with, struct err *reterr);
int keeper_event(void *keeper, const struct consume_event *, struct err *reterr);

/* far.c: as what is named so of the session, with a session of dyntraced's */
bool keeper_far_wanted(const struct keeper *);
int keeper_far_open(struct keeper *, struct err *reterr);
int keeper_far_grow(struct keeper *, struct err *reterr); /* the image is another one */
int keeper_far_rearm(struct keeper *, uint32_t changed, const struct session_probe *, uint32_t cnt, session_refused_fn *, void *arg,
		     struct err *reterr);
enum session_event keeper_far_wait(struct keeper *, uint64_t timeout_ns);

/* lib.c: the library of the point's tracer, if it has one, into the process */
int keeper_lib_load(struct keeper *, struct keeper_point *, struct err *reterr);
int keeper_lib_read(struct tracer_host *, const char *library, const char *symbol, void *buf, size_t bytes);
int keeper_lib_path(const char *name, char *buf, size_t cap, struct err *reterr);

/* point.c */
/* argv: [-e] [-n NAME] [--json] PLACE TRACER ARGS... */
int keeper_add(struct keeper *, int argc, char **argv, FILE *out, struct err *reterr);
int keeper_remove(struct keeper *, const char *name, FILE *out, bool json, struct err *reterr);
void keeper_point_free(struct keeper_point *);
/* list.c */
void keeper_list(struct keeper *, FILE *out, bool all, bool json);
void keeper_show_gathered(struct keeper_point *, FILE *out); /* lines, indented */
void keeper_show_json(const struct keeper *, struct keeper_point *, FILE *out); /* as a list of it alone */

/* req.c: one request of the listener's, if there is one */
bool keeper_serve(struct keeper *);

/* ---- verbs ---- */

/* procs.c: the process that @text (a number or a name) means; 0 after a message. */
pid_t procs_one(const char *text, size_t len);
/* Text that filled @cap bytes loses the half of a character at its end. */
void procs_uncut(char *text, size_t cap);
/* The command line, words apart by blanks; "" of a thread of the kernel. */
void procs_command(pid_t, char *buf, size_t cap);
/* What a terminal obeys becomes blanks, what is no text question marks: one line, in which each character is one column. */
void procs_plain(char *line);
/* "PID|NAME:REST": *ret_rest is behind the colon. */
pid_t procs_split(const char *arg, const char **ret_rest);
/* whose.c: why @pid cannot be traced; false: nothing is known that forbids it */
bool whose_refused(pid_t pid, char *why, size_t cap);
const char *whose_user(uid_t, char buf[64]); /* the user's name, or the number */
void whose_hint(pid_t pid); /* of one that the caller has not attached: who has, or whose it is */
int procs_main(int argc, char **argv);   /* list-processes */
int symbols_main(int argc, char **argv); /* list-symbols */
int points_main(int argc, char **argv);  /* attach, detach, add, rm, list-tracepoints */

#endif
