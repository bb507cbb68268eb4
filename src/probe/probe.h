/* SPDX-License-Identifier: MIT */
/*
 * probe: probe descriptions to places.  One file per provider, behind struct
 * probe_provider.
 */
#ifndef PROBE_PROBE_H
#define PROBE_PROBE_H

#include "obj/obj.h"

#include <errno.h>

/* A description after macro expansion: globs allowed, "" matches all. */
struct probe_spec {
	const char *prov, *mod, *func, *name;
};

/* ---- of the kernel ---- */

/* What is attached to. */
enum probe_kern_at {
	PROBE_KERN_NONE,
	PROBE_KERN_ENTER, PROBE_KERN_EXIT, /* system call nr */
	PROBE_KERN_RAW,     /* tracepoint name: argN is what the kernel passes to it */
	PROBE_KERN_EVENT,   /* tracepoint group:name: argN are the fields of what it records */
	PROBE_KERN_CLOCK,   /* every period_ns of each CPU's time; arg0, arg1: kernel's and user's pc */
	PROBE_KERN_COUNTER, /* every period events of a counter */
	PROBE_KERN_KPROBE, PROBE_KERN_KRETPROBE, /* function name of the kernel; its return: arg1 is the result */
};
/* How a probe is made of what its place gives: whether it fires, and its arguments. */
enum probe_kern_recipe {
	PROBE_KERN_AS_IS,
	PROBE_KERN_SECOND,         /* arg0 = arg1 */
	PROBE_KERN_NEW_PROCESS,    /* arg0 = arg1, if that is not only a thread */
	PROBE_KERN_IF_ZERO, PROBE_KERN_IF_NOT_ZERO, PROBE_KERN_IF_POSITIVE, /* arg0 is */
	PROBE_KERN_LEADER_ZERO,    /* arg0 is zero, in a process's first thread */
	PROBE_KERN_LEADER_EXIT,    /* in a process's first thread; arg0 = how it ends: 1 exited, 2 killed, 3 dumped */
	PROBE_KERN_SIGNAL_SENT,    /* arg4 is zero; arg0, arg1 = arg2, arg0 */
	PROBE_KERN_SIGNAL_DROPPED, /* arg4 is one; likewise */
	PROBE_KERN_SIGNAL_HANDLED, /* arg0: the signal that was sent, where it kills; arg2: the handler */
	PROBE_KERN_CURRENT,        /* arg0 = the thread's task */
	PROBE_KERN_NEW_PRIO,       /* arg2 = the priority that task arg0 gets from arg1, who waits for it */
	PROBE_KERN_NEXT,           /* arg0 = arg2 */
	PROBE_KERN_IF_SLEEPS,      /* arg3, the state of who leaves, is not zero, and it was not preempted */
	PROBE_KERN_IF_FIRST,       /* arg0 is not zero */
	PROBE_KERN_SWITCH_OUT,     /* arg0 = arg1, if it sleeps: it leaves the queue; arg2 = CPU, arg3 = 0 */
	PROBE_KERN_ENQUEUED,       /* arg2 = the CPU of task arg0 */
	PROBE_KERN_RQ_BIO,         /* arg0 = the first bio of the request arg0 */
	PROBE_KERN_SENT, PROBE_KERN_RECEIVED, /* packet arg0 is of IP: arg1 = its socket, arg2 = its header, arg3 = the interface,
	                            * arg4 or arg5 = arg2 by its version */
	/* of a transport: arg0 packet, arg1 socket, arg2 IP header, arg3 socket if it is a whole one, arg4 header, arg5 the
	 * state before, arg6 its state, arg7 whether the packet comes in.  Without a packet arg2 and arg4 are the socket. */
	PROBE_KERN_TCP_SENT, PROBE_KERN_TCP_RECEIVED, PROBE_KERN_UDP_SENT, PROBE_KERN_UDP_RECEIVED,
	PROBE_KERN_TCP_STATE, PROBE_KERN_TCP_CONNECTS, PROBE_KERN_TCP_CONNECTED, PROBE_KERN_TCP_ACCEPTED,
	PROBE_KERN_TCP_REFUSED,    /* by the other side */
	PROBE_KERN_TCP_REFUSES,
	PROBE_KERN_NONE_LEFT,      /* no arguments */
	/* arg0 is a lock that somebody begins to wait for, arg1 what kind it is: of that kind; arg1 = 0, and arg2: reads */
	PROBE_KERN_MUTEX_BLOCKS, PROBE_KERN_MUTEX_SPINS, PROBE_KERN_SPINS, PROBE_KERN_RW_BLOCKS, PROBE_KERN_RW_SPINS,
	PROBE_KERN_RECIPE_CNT
};
/* A place in the kernel. */
struct probe_kern_place {
	enum probe_kern_at at;
	enum probe_kern_recipe recipe;
	uint32_t nr;
	const char *group, *name; /* of a tracepoint, system call or counter; live as long as the process */
	uint32_t counter_type;    /* PROBE_KERN_COUNTER: as perf_event_open() has them */
	uint64_t counter;
	bool not_user, not_kernel; /* what is not counted */
	bool instead;             /* of a probe's several: only where the kernel has none of those before it */
	uint64_t period;          /* of a counter; of a clock in ns */
};
/* An argument, as D sees it. */
struct probe_kern_arg {
	const char *native; /* type of argN, as in C; the kernel's names. "string": an address of the process's memory */
	const char *xlate;  /* type that it is translated to; NULL: none */
	uint8_t from;       /* N */
};
#define PROBE_KERN_PLACES 4
/* What providers like proc and sched are made of. */
struct probe_kern {
	const char *prov, *name;
	struct probe_kern_place places[PROBE_KERN_PLACES]; /* it fires at each that the kernel has */
	struct probe_kern_arg args[8]; /* native NULL behind the last */
};

/* A probe that exists. */
struct probe {
	uint32_t id;     /* as -l shows it; counted over the session */
	const char *prov, *mod, *func, *name; /* owned by the table */
	uint8_t kind;    /* enum wire_site_kind */
	/* pid provider, USDT (a function that has the probe's places): */
	struct obj_module *module;
	uint64_t func_addr;
	uint64_t func_bytes;
	uint32_t offset; /* of an OFFSET probe */
	/* tool provider: tick-N and profile-N */
	uint64_t period_ns; /* 0: BEGIN, END, ERROR */
	pid_t pid;       /* pid provider, USDT: of the process; else 0 */
	/* kernel (WIRE_SITE_KERNEL): */
	struct probe_kern_place place; /* PROBE_KERN_NONE: those of kern */
	const struct probe_kern *kern; /* of proc, sched and their like; else NULL */
};

/* Of fbt: at a function of the kernel. */
static inline bool probe_is_kernel_function(const struct probe *p)
{
	return !p->kern && (p->place.at == PROBE_KERN_KPROBE || p->place.at == PROBE_KERN_KRETPROBE);
}

struct probe_table; /* all probes that were asked for so far, each once */

struct probe_table *probe_table_create(void);
void probe_table_destroy(struct probe_table *);
uint32_t probe_cnt(const struct probe_table *);
const struct probe *probe_at(const struct probe_table *, uint32_t i); /* NULL behind the last */

/* Finds the probes that @spec means in the tool and, for `pidN` specs, in the
 * processes given; adds new ones to the table; stores the indexes of all that
 * match (malloc'ed, caller frees), each once. @procs: those whose pid the provider
 * part may name.
 *
 * None is no error here: *ret_cnt is 0 and, if @reterr is given, its message says
 * what is missing and which names are near. Impossible descriptions are errors:
 *   -ESRCH   the process is not among @procs and never was (D_PROC_BADPID)
 *   -EINVAL  a pid probe's name that is none, or inside an instruction (D_PROC_NAME)
 *   -ERANGE  an offset or address outside the function or code (D_PROC_OFF)
 *   -ELIBBAD function "-" in a module other than a.out (D_PROC_LIB)
 *   -ENOMEM
 * The message is empty where something matched.  Its code is PROBE_NO_MODULE where the process may load what was meant yet.
 *
 * Modules: by base name or path, globs allowed; "a.out" is the executable, which the link that it was run by means, too; where no name
 * matches as a whole, parts up to a dot do ("libc", "libc.so"), at last without regard to
 * the version; the vDSO only by its own name.
 * USDT: provider "PROVIDERpid"; two underscores in a probe's name are a dash, and either form is found.
 * Functions: by mangled or demangled name; a glob gives each address once, under its
 * preferred name.  Functions without any symbol are called sub_VADDR (hexadecimal); globs that
 * do not begin so mean them only in modules that have no names left. */
#define PROBE_NO_MODULE (-ENXIO)
int probe_match(struct probe_table *, const struct probe_spec *spec, struct obj_proc *const *procs,
		const pid_t *pids, uint32_t proc_cnt, uint32_t **ret, uint32_t *ret_cnt, struct err *reterr);

/* Whether a description's module part means @mod of the process. */
bool probe_module_meant(const char *pattern, const struct obj_proc *, const struct obj_module *mod);
/* Tells @fn of functions of @mod without a symbol, sub_VADDR, that @pattern means as a glob; or -errno. */
int probe_unnamed(struct obj_proc *, struct obj_module *mod, const char *pattern,
		  void (*fn)(void *arg, const char *name, uint64_t addr, uint64_t bytes), void *arg);
/* PATTERN and NAME of a description's parts; "" matches all. */
bool probe_glob(const char *pattern, const char *name);

/* Whether the description can mean a probe of the kernel, going by its provider and name. */
bool probe_may_be_kernel(const struct probe_spec *);
/* Whether place @i of it is there, and is what the probe is made of on this kernel. */
bool probe_kern_place_counts(const struct probe_kern *, uint32_t i);
/* Types of args[] of a probe of the kernel; at most @cap. *ret_known is false where nobody knows. */
uint32_t probe_kern_args(const struct probe *, struct probe_kern_arg *ret, uint32_t cap, bool *ret_known);

/* Whether @u is a place of the USDT probe @p, which is in the same module. */
bool probe_usdt_is(const struct probe *p, const struct obj_usdt *u);

#endif
