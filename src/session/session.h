/* SPDX-License-Identifier: MIT */
/*
 * session: one compiled program armed on targets: shared memory, bodies and
 * trampolines, arming and disarming, loader events, thread slots.
 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include "ir/ir.h"
#include "obj/obj.h"
#include "probe/probe.h"

struct session;

/* A description of a script, and what it is about. */
struct session_desc {
	struct probe_spec spec;
	uint32_t clause, id; /* id: of a probe by its number; 0: by its parts */
};
struct session_worlds {
	bool kernel, user;  /* it has probes of the kernel, of processes */
	bool uprobes;       /* those of processes are to be the kernel's, too */
	uint32_t threads;   /* that the processes have now; 0: nobody knows */
	uint32_t functions; /* probes of functions of the kernel, where programs may be preempted */
};
void session_worlds_of(const struct session_desc *, uint32_t cnt, struct session_worlds *ret);

struct session_opts {
	uint64_t ring_bytes;    /* per thread; rounded up to a power of two; 0: 4 MiB */
	uint64_t agg_bytes;     /* per thread; 0: 4 MiB */
	uint64_t dyn_bytes;     /* 0: 4 MiB */
	uint64_t agg_max, dyn_max; /* entries of a thread, elements of all arrays; 0: as many as fit */
	uint32_t thread_cnt;    /* slots; 0: 512 */
	uint32_t site_cap;      /* 0: made from the number of sites */
	uint64_t alloca_bytes;  /* that a clause may alloca() */
	uint32_t spec_cnt;      /* speculations at a time, and bytes of each */
	uint64_t spec_bytes;
	bool flight;            /* full rings overwrite their oldest records */
	bool looks_only;        /* nothing will fire: the clock is not measured */
	bool clock_later;       /* session_clock() will be called; not for probes of the kernel */
	/* Probes of the kernel: the shared memory is the kernel's, and not sparse. */
	bool kernel;
	bool mixed;             /* probes of processes besides: some may become kernel uprobes */
	uint32_t functions;     /* as many places more */
	bool preempts;          /* programs in the kernel may be preempted: uprobes, fentry */
	bool watch;             /* targets are only waited for and looked at */
	bool unwinds;           /* such targets there will be: user stacks need no frame pointers */
	bool from_entry;        /* commands run until the loader has done its work; else, where they are watched, it is seen
				 * how they come out of their exec */
	bool uprobes;           /* probes of processes through the kernel */
	uint32_t max_frames;    /* of their stacks; 0: as many as the kernel gives */
	bool one_cpu;           /* probes of the kernel fire on @cpu only */
	uint32_t cpu;
	void *verifier_log;     /* FILE; NULL: none */
	bool follow;            /* forked children are traced too, and what they run */
	bool forks_only;        /* with follow: not what they run */
	bool shared;            /* another process reads what is recorded: session_share() */
	bool may_write;         /* and might write to it, as root may */
	/* Whether a followed process may be traced as the program that it has become; it stands before its first
	 * instruction. NULL: it may. */
	bool (*may_follow)(void *arg, pid_t pid);
	void *may_arg;
	uint32_t budget;        /* percent that processes may be slower by (ADR 40); 0: any */
	/* With it, whether who reads a clause's records does more by them than show them: no hit may be left out. NULL: never. */
	bool (*acts)(void *arg, uint32_t clause);
	void *acts_arg;
	uint64_t site_max;      /* places at most; 0: as many as there is room for */
	bool grows;             /* the shared memory has room for larger images: session_grow() */
	const char *agent_path; /* NULL: beside the program, then the libdir */
};
/* Sizes as dtrace's options have them to what the memory needs for these worlds.  @agg_elem_bytes, @dyn_elem_bytes: by
 * which aggsize and dynvarsize count (struct plan); 0: they do not. */
void session_opts_fit(struct session_opts *, const struct session_worlds *, uint64_t agg_elem_bytes, uint64_t dyn_elem_bytes);

/* Makes the shared memory for @image (kept by reference until destroy). */
int session_create(const struct ir_image *image, const struct session_opts *, struct session **ret,
		   struct err *reterr);
/* With opts.clock_later: measures the clock now, which takes no time where enough has gone by.  Nothing that asks for it has
 * run yet, and who has copied the first page of the memory copies it again. */
int session_clock(struct session *, struct err *reterr);
/* What session_create() was given is another one now, or stands there changed: its first programs, variables,
 * aggregations and strings are as they were, more may follow (opts.grows).  -ENOSPC: there is no room for them. */
int session_grow(struct session *, const struct ir_image *image, struct err *reterr);
/* Disarms whatever is armed. NULL is fine. */
void session_destroy(struct session *);
struct wire_shm *session_shm(struct session *); /* this process's mapping */

/* What another process needs to read (never write) all that session_shm() shows but its first page, which it gets as
 * a copy: the memory; and a file with the tool's own area, which goes over it.  Descriptors that cannot be opened
 * again for writing but by root; the caller closes them. */
struct session_shared {
	int shm_fd, own_fd;
	uint64_t own_off, own_bytes; /* the same in the memory and in the file */
};
int session_share(struct session *, struct session_shared *ret, struct err *reterr);
/* With a budget: what came of it; shares are of the time on processors that the processes needed for themselves. */
struct session_budget {
	uint32_t sampled; /* sites that were */
	double counted;   /* share of all their hits that were counted, the others being those that they stand for */
	bool is_vain;     /* places are armed, and none of them can be sampled */
	double off;       /* share that hits take even if they are only known; all 0: too little time has passed to tell */
	double on;        /* besides, by hits that were on, where they can be sampled */
	double unsampled; /* by those that cannot */
};
struct session_budget session_budget_report(struct session *);
/* Its places, those first that took most, or only those that were @sampled; how many of @cap. */
struct session_sampled {
	char place[256]; /* module, function, name */
	uint32_t weight; /* the most hits that one stood for; 1: all are there */
	double taken;    /* share of that time, those included that were off */
};
uint32_t session_budget_places(struct session *, struct session_sampled *ret, uint32_t cap, bool sampled);

uint64_t session_memory_used(struct session *); /* bytes of the memory that exist */

/* Sets wire_agg.gen for all: this process has a copy of its own of what describes aggregations. */
void session_agg_gen(struct session *, uint32_t agg, uint32_t gen);

/* Targets. @ret_proc: index of the wire_proc (1..). Attaches, maps the agent; nothing is armed
 * yet. The process runs on; a spawned one stays stopped until session_go(). */
int session_attach(struct session *, pid_t pid, uint32_t *ret_proc, struct err *reterr);
/* The same for one that runs, which then waits for session_go().  -EALREADY: it is a child of one that is traced, and has
 * its probes. */
int session_attach_held(struct session *, pid_t pid, uint32_t *ret_proc, struct err *reterr);
/* One that offered itself (ADR 26): nothing of it stops.  What there is of it is in inject_offered(). */
struct session_offer {
	int sock; /* the caller's */
	pid_t tid;
};
int session_attach_offered(struct session *, pid_t pid, const struct session_offer *, uint32_t *ret_proc, struct err *reterr);
int session_spawn(struct session *, char *const argv[], uint32_t *ret_proc, struct err *reterr);
/* A program that somebody else started and stopped before its first instruction: like session_spawn(), but its status
 * is its parent's to ask for.  It stays stopped until session_go(), and then until who stopped it lets it go. */
int session_attach_new(struct session *, pid_t pid, uint32_t *ret_proc, struct err *reterr);
/* The same in two steps: the compiler needs a pid ($target), and the session
 * needs what the compiler makes.  start: the program is stopped before its
 * first instruction and belongs to nobody.  adopt: it is a target of the
 * session; the child is freed, also on error.  kill: nothing came of it; NULL is fine. */
struct session_child;
int session_child_start(char *const argv[], struct session_child **ret, struct err *reterr);
pid_t session_child_pid(const struct session_child *);
int session_adopt(struct session *, struct session_child *, uint32_t *ret_proc, struct err *reterr);
void session_child_kill(struct session_child *);
/* Lets go of a program that was started here, for that: it is stopped as by SIGSTOP; frees. */
int session_child_hand_over(struct session_child *, struct err *reterr);
/* Whether it was attached while its loader worked, and still does: SESSION_MODULES will tell that it is done. */
bool session_is_loading(struct session *, uint32_t proc);
/* Programs that run in the tool itself (BEGIN, tick, END) read the memory of process @pid; 0: their own. */
void session_tool_reads(struct session *, pid_t pid);
#define SESSION_READS_NOTHING INT32_MAX /* as @pid: there is never such a process */
/* Who the tool's own probes say it is, where that is another than this process. */
struct session_identity {
	pid_t pid, ppid;
	uid_t uid;
	gid_t gid;
	const char *execname;
};
void session_tool_is(struct session *, const struct session_identity *);
struct obj_proc *session_obj(struct session *, uint32_t proc);
/* A number for session_obj() of any process; 0: no memory. */
uint32_t session_proc_of(struct session *, uint32_t pid);
/* The clause that session_arm() could not give to the kernel; WIRE_NONE: it was something else. */
uint32_t session_failed_clause(const struct session *);
pid_t session_pid(const struct session *, uint32_t proc);
int session_go(struct session *, struct err *reterr);
/* Stops a target until session_go(), or until the session ends. */
int session_hold(struct session *, uint32_t proc, struct err *reterr);

/* A probe and the clauses (program numbers, in order) that it runs. */
struct session_probe {
	const struct probe *probe;
	uint32_t proc;         /* 0: the tool's own */
	const uint32_t *progs;
	uint32_t prog_cnt;
	/* Instead of programs: a function of a library in the process (jit_extern_body), and a text whose address it finds in
	 * wire_site.sema.  0: none. */
	uint64_t hook;
	const char *hook_text;
};
struct session_refusal {
	const struct probe *probe;
	uint64_t addr;
	const char *why;
	bool has_no_return; /* a return probe of a function that has no place to return from: no event is missed */
	bool is_ours;    /* of a function at which the session itself has a probe */
	uint32_t index;  /* of the probe, among those that were given */
	bool is_whole;   /* nothing is known of the function's places: @addr is where it begins */
	bool is_last;    /* the kernel refused it: nothing else is left */
	bool is_gone;    /* its library was unloaded meanwhile: it may be asked for again once that is back */
};
/* Called for each place that cannot be armed; nothing has been changed yet. */
typedef void session_refused_fn(void *arg, const struct session_refusal *);
/* Arms all @probes of a target (under one stop). May be called again for modules that
 * came later. *ret_site_cnt: places armed. Tool probes get a site each. */
int session_arm(struct session *, const struct session_probe *probes, uint32_t cnt, session_refused_fn *, void *arg,
		uint32_t *ret_site_cnt, struct err *reterr);
/*
 * The functions that begin at @funcs have those of @probes that are in them, and no others, from now on: they
 * are exchanged under one stop, in which nothing fires and nobody runs.  Others whose jumps need the same
 * bytes are planned again with what @probes has of them; so @probes are all that the process is to have.
 * Nothing of @funcs is armed: as session_arm().  Where a place that is armed would be lost by it, nothing changes: -EBUSY,
 * or, where some are to go, their jumps stay and lead to nothing.  On other errors nothing changes either, or the functions' code is
 * as in their files.
 */
int session_rearm(struct session *, uint32_t proc, const uint64_t *funcs, uint32_t func_cnt, const struct session_probe *probes,
		  uint32_t cnt, session_refused_fn *, void *arg, uint32_t *ret_site_cnt, struct err *reterr);
/* Makes a target load the library at @path, which has a uint32_t dyntrace_library_ready that becomes 1: dlopen() on
 * a thread of it whose stack proves that it holds none of the locks that this takes, all others running.  It stays
 * there.  -EBUSY: there was no such thread for some seconds. */
int session_load(struct session *, uint32_t proc, const char *path, struct err *reterr);
/* Calls dyntrace_library_tell(@text) of such a library, by its base name, in the same way; its uint64_t dyntrace_library_told counts
 * the calls that are through. */
int session_tell(struct session *, uint32_t proc, const char *library, const char *text, struct err *reterr);
/* Places that session_arm() refused, as uprobes of the kernel: of a session that has probes of the kernel.  What they run
 * shares all variables with what runs in the process.  An error where none could be placed. */
struct session_uprobe {
	const struct session_probe *probe;
	uint64_t addr;
	bool armed;     /* out */
	char *why;      /* out: why not, malloc'ed; NULL: it is the error of all, or there was no memory */
};
void session_uprobes_free(struct session_uprobe *, uint32_t cnt); /* also an array without texts, or NULL */
int session_arm_uprobes(struct session *, struct session_uprobe *, uint32_t cnt, struct err *reterr);
/* How many probes of functions of the kernel, among many, the kernel refused in the last session_arm(); *ret_why: the first. */
uint32_t session_kernel_refused(const struct session *, const char **ret_why);
/* Site of a tool probe, for ir_interp_fire. */
const struct wire_site *session_tool_site(struct session *, uint32_t probe_id);

/* All probes silent or live: the data flag. */
void session_enable(struct session *, bool on);
/* Restores every byte, unmaps what nobody can return to, detaches. The target goes on. */
int session_disarm(struct session *, struct err *reterr);

enum session_event {
	SESSION_NOTHING,
	SESSION_DATA,       /* somebody rang: look at the rings */
	SESSION_MODULES,    /* a target waits in its loader: match and arm, then session_modules_done() */
	SESSION_EXITED,     /* a target ended; *ret_status */
	SESSION_FORKED,     /* a forked child is traced from now on: a new target */
	SESSION_STARTED,    /* a followed process runs another program, stopped at its start: match, arm, session_go() */
	SESSION_EXECED,     /* a target runs another program now: its probes are gone */
};
/* Waits at most @timeout_ns for something to happen. */
enum session_event session_wait(struct session *, uint64_t timeout_ns, uint32_t *ret_proc, int *ret_status);
int session_modules_done(struct session *, uint32_t proc, struct err *reterr);

/* Marks slots of threads that have ended as DEAD, and frees (zeroes) DEAD ones
 * for which @drained returns true: its ring was read to the end and what else
 * the area holds was kept (consume_fold_thread). Call after a drain. */
typedef bool session_drained_fn(void *arg, uint32_t slot);
void session_reap_threads(struct session *, session_drained_fn *drained, void *arg);

/* Fills *ret with how @probe would be placed: mechanism, bytes before and after,
 * relocations, cost, or the refusal. Changes nothing. Text to @out. */
int session_explain(struct session *, uint32_t proc, const struct probe *, FILE *out, struct err *reterr);

/* ---- without a session ---- */

/* Who runs a new program, as the kernel tells root.  next: a process that has since then, 0: none any more; *ret_lost:
 * some were missed.  NULL: it does not tell. */
struct session_execs;
struct session_execs *session_execs_open(struct err *reterr);
pid_t session_execs_next(struct session_execs *, bool *ret_lost);
void session_execs_close(struct session_execs *);

enum session_whose {
	SESSION_WHOSE_DYNTRACE, /* jumps to generated code; whose is in the verdict */
	SESSION_WHOSE_BREAKPOINT, /* a debugger's, or a kernel uprobe's */
	SESSION_WHOSE_UPROBE,
	SESSION_WHOSE_UNKNOWN,  /* the program itself, another tool */
};
/* A run of bytes in which a process's code differs from its file. */
struct session_diff {
	uint64_t addr, off;   /* off: from the function's start */
	const char *path, *func; /* func: mangled; NULL where none is known */
	uint32_t bytes;
#define SESSION_DIFF_MAX 16
	uint8_t now[SESSION_DIFF_MAX], file[SESSION_DIFF_MAX];
	enum session_whose whose;
};
struct session_verdict {
	uint32_t map_cnt, fd_cnt; /* mappings and descriptors of dyntrace */
	uint32_t place_cnt[SESSION_WHOSE_UNKNOWN + 1];
	uint32_t unknown_cnt; /* executable mappings that could not be compared: their file is gone or no ELF file */
	pid_t owner;          /* the dyntrace that lives; 0: none does */
	bool owner_unsure;    /* or it is one that we may not look into */
	bool is_over;         /* who had it has taken its probes back: what is mapped, threads may still return to */
	pid_t ended;          /* who had it, if that is a zombie; else 0 */
	char owner_command[128];
};
typedef void session_diff_fn(void *arg, const struct session_diff *);
/* Compares the code of @pid with its files; reads, and stops nothing. */
int session_verify(pid_t pid, session_diff_fn *, void *arg, struct session_verdict *ret, struct err *reterr);
/* 0, or why @pid cannot be traced by who calls: -EPERM, -EBUSY (another tracer has it), -ENOTSUP (of another processor), -EINVAL (no ELF
 * program), -ESRCH.  It looks only; what is refused later (seccomp, one that has no loader yet) is not known here. */
int session_may_enter(pid_t pid, struct err *reterr);

/* How many jumps had to stay in the code of @pid when it was disarmed: no code leads to them, but a thread that was never seen
 * outside of ours may stand before one; or it could not be stopped.  session_repair() takes them away. */
uint32_t session_left(const struct session *, pid_t pid);
/* Whether memory of ours had to stay mapped in @pid when it was disarmed, with nothing in its code that leads there: a thread may be about to
 * return through it. session_repair() takes it away once none is. */
bool session_stays(const struct session *, pid_t pid);
/* That, to who asked for the tracing; of the process's number (int). Who takes it away comes behind it. */
#define SESSION_STAYS "process %d: its code is as before, but memory of ours stays mapped, since a thread may be about to return there; "

struct session_repaired {
	uint32_t place_cnt, sema_cnt, map_cnt, fd_cnt; /* restored, lowered, unmapped, closed; all 0: nothing was left */
};
/* Takes away what a controller that was killed left in @pid. -EBUSY: it lives, or threads still stand in
 * its code. */
int session_repair(pid_t pid, struct session_repaired *ret, struct err *reterr);
int session_repair_offered(pid_t pid, const struct session_offer *, struct session_repaired *ret, struct err *reterr);

#endif
