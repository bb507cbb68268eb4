/* SPDX-License-Identifier: MIT */
#ifndef INJECT_INJECT_INT_H
#define INJECT_INJECT_INT_H

#include "inject/inject.h"

#include <sys/resource.h>

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>

/* One thread of a stopped process. */
struct inject_thread {
	pid_t tid;
	bool stands;   /* so waitpid said */
	bool stopped;  /* and its registers are known */
	struct user_regs_struct regs; /* as the thread will go on with */
};

/* The thread that runs remote system calls, while it is away from its own code. */
struct inject_remote {
	bool active;
	uint32_t idx;
	uint64_t sigmask;
	bool lost;             /* a call went wrong: nobody knows where it stands, until it is settled */
	bool resend_stop;      /* a SIGSTOP came meanwhile */
	uint64_t scratch;      /* a page mapped there; 0: none */
};
#define INJECT_SCRATCH_BYTES 4096

/* How the thread would find its way back without us. */
struct inject_abandon {
	bool none;                       /* looked for in vain */
	uint64_t syscall_ret, sigreturn; /* code in the target */
	uint64_t frame;                  /* where it stands meanwhile */
	uint8_t *saved;                  /* what the frame covers; NULL: there is none */
	uint32_t saved_bytes;
};

struct inject {
	pid_t pid;
	int mem_fd, pid_fd;
	bool spawned;
	bool stopped;
	bool doomed;           /* killed instead of let go */
	bool at_exec;          /* a spawned one: its only thread stands there, and is not among @threads */
	bool exited, execed;
	int status;            /* wait status of a spawned one */
	uint64_t mapped_addr;  /* some address of the memory that we attached to */
	uint64_t syscall_addr; /* a `syscall` instruction; 0: not looked for yet */
	struct inject_thread *threads;
	uint32_t thread_cnt, thread_cap;
	pid_t *loose;          /* still traced: they did not stop when they were to be let go */
	uint32_t loose_cnt;
	struct inject_remote remote;
	struct inject_abandon abandon;
	int link;              /* of one that offered itself: to its thread; else -1 */
	pid_t link_tid;
	uint32_t link_seq;     /* of the last request */
	uint64_t link_slow_ns; /* waited for answers that were not prompt */
	int link_error;        /* it does not answer any more, or never did */
};

/* Why a call failed that only a process that has ended makes fail: -ESRCH, or it lives all the same. */
#define INJECT_UNREACHED (-EREMOTEIO) /* no system call that we have it make fails so */
int inject_gone(struct inject *, struct err *reterr);
int inject_check_target(pid_t pid, struct err *reterr);
/* rights.c: why it was forbidden and what to do, to be said behind "not permitted to trace process N: " */
const char *inject_what_helps(bool yama);
int inject_check_tracer(pid_t pid, pid_t tid, struct err *reterr); /* -EBUSY: somebody traces it */
int inject_watch_end(struct inject *, struct err *reterr); /* the first thing that is opened by its number */
bool inject_has_ended(const struct inject *);              /* the number may be another's */
int inject_open_files(struct inject *, struct err *reterr);
struct inject *inject_new(pid_t pid);
void inject_free(struct inject *);
pid_t inject_live_task(pid_t pid); /* the first may have ended, and the process lives on; 0: all have */
char inject_task_state(pid_t pid, pid_t tid);
/* The number after "Key:" in /proc/PID/task/TID/status, or -1. */
long inject_status_field(pid_t pid, pid_t tid, const char *key);

/* ways.c: @bytes in the vDSO, or in other executable mappings but ours, which may go; its address or 0. */
uint64_t inject_find_code(struct inject *, const uint8_t *bytes, size_t cnt);
bool inject_stands(struct inject *, uint64_t addr, const uint8_t *bytes, size_t cnt); /* at most 16 */
/* remote.c: what remote calls will need of the process's code, looked for while it still runs. */
void inject_look_ahead(struct inject *);
void inject_abandon_look(struct inject *);

/* abandon.c: puts the thread of in->remote on its way back, from which it may be sent to system calls:
 * abandon.syscall_ret with rsp at abandon.frame. false: it stands as before. */
bool inject_abandon_prepare(struct inject *);
/* When it has its own registers again. */
void inject_abandon_undo(struct inject *);

/* serial.c: whether threads that stand can be made to go on by a serialising instruction; and that, for all of them.  false:
 * it was not to be had of each. */
bool inject_serial_can(const struct inject *);
bool inject_serial_mark(struct inject *);

/* stop.c */
int inject_add_thread(struct inject *, pid_t tid, struct err *reterr);
void inject_detach_thread(pid_t tid, int sig);         /* it stands */
int inject_await(struct inject *, struct err *reterr); /* all known threads stopped, registers read */
void inject_release(struct inject *);                  /* detaches from all threads */
void inject_release_but(struct inject *, uint32_t i);  /* from all others; it is the first then */

/* offered.c, for those that have a link: what the functions of the same names do. */
int offered_stop(struct inject *, struct err *reterr);
int offered_syscall(struct inject *, long nr, const uint64_t args[6], int64_t *ret_value, struct err *reterr);
int offered_pass_fd(struct inject *, int fd, int *ret_fd, struct err *reterr);
bool offered_has_seccomp(struct inject *);

/* limits.c: where a call failed with @error because of the process's limit of descriptors, lifts it; then call again. */
struct inject_limit {
	bool lifted;
	struct rlimit old;
};
void inject_limit_lift(struct inject *, int64_t error, struct inject_limit *ret);
void inject_limit_restore(struct inject *, const struct inject_limit *);

#endif
