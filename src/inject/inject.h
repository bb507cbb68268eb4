/* SPDX-License-Identifier: MIT */
/*
 * inject: a stopped process and what can be done to it from outside: threads,
 * registers, memory, system calls, mapping.  Leaves nothing behind that it
 * was not asked for; a stop is invisible to the program (interrupted system
 * calls are restarted, see ADR 3).
 */
#ifndef INJECT_INJECT_H
#define INJECT_INJECT_H

#include "base/base.h"

#include <sys/types.h>
#include <sys/user.h>

struct inject; /* one process */

/* Makes sure that @pid can be traced, and opens it; does not stop it.  Errors say which
 * permission is missing, who traces it already, that it is a zombie, a kernel
 * thread, 32-bit, gone. */
int inject_attach(pid_t pid, struct inject **ret, struct err *reterr);
/* The same for who only reads: another tracer is no obstacle. */
int inject_look(pid_t pid, struct inject **ret, struct err *reterr);
/* Whether inject_attach() would be refused at once, and why; the process notices nothing. */
int inject_may(pid_t pid, struct err *reterr);
/* Starts @argv (PATH searched) stopped before its first instruction, attached. */
int inject_spawn(char *const argv[], struct inject **ret, struct err *reterr);
/* The same in steps: it stands at the end of its exec, of whose return the kernel is to tell, and can be detached from;
 * then before its first instruction. */
int inject_spawn_at_exec(char *const argv[], struct inject **ret, struct err *reterr);
int inject_begin(struct inject *, struct err *reterr);
/* From there on to @addr, where it stops again.  -ESRCH: it ended before.  -ETIMEDOUT, or -EINTR after a signal to us: it did not
 * come there, and stands somewhere.  -EINVAL: it has other threads. */
int inject_run_to(struct inject *, uint64_t addr, struct err *reterr);
/* A process of another that is about to exec: watches thread @tid of it, from a moment when it waits for us. */
int inject_watch_exec(pid_t tid, struct err *reterr);
/* Thread @tid of process @pid; looks without blocking. 1: it stands at its exec; *ret: the new program, stopped before its first instruction.
 * 0: not yet.  -ESRCH: it has ended, or its exec failed; it is not watched any more. */
int inject_await_exec(pid_t tid, pid_t pid, bool give_up, struct inject **ret, struct err *reterr);
/* A process that offered itself (ADR 26): @sock is the connection to its thread @tid, as it says; duplicated.  Proves that this
 * thread is of @pid.  Then all below works, but that its other threads never stop: between inject_stop() and
 * inject_resume() it has no threads that could be looked at.  -ENOTSUP: it may not be asked (seccomp); -ETIMEDOUT: it does not
 * answer; -EPERM: it is not of @pid. */
int inject_offered(pid_t pid, pid_t tid, int sock, struct inject **ret, struct err *reterr);
#define INJECT_PROOF "dyntrace-proof" /* memory that is mapped in it for that, so begins its name; the rest: -PID of who asks */
bool inject_is_live(const struct inject *); /* it is such a one */
pid_t inject_offered_tid(const struct inject *);
/* Eight aligned bytes of a live process's code, each stored at once, and where @was stands only; in this order.
 * *ret_done: how many were.  -EAGAIN: something else stood there. */
struct inject_word {
	uint64_t addr, was, is;
	int prot; /* of the page */
};
int inject_store(struct inject *, const struct inject_word *, uint32_t cnt, uint32_t *ret_done, struct err *reterr);
/* A spawned one that is not to run by itself: inject_detach() will kill it instead of letting it go. */
void inject_doom(struct inject *, bool doomed);
/* Lets it run, frees.  NULL is fine. */
void inject_detach(struct inject *);
pid_t inject_pid(const struct inject *);
/* What was found in the process's code: the next who attaches to it need not search again.  0: nothing. */
struct inject_ways {
	uint64_t syscall_addr, syscall_ret, sigreturn;
};
struct inject_ways inject_ways(const struct inject *);
void inject_hint(struct inject *, const struct inject_ways *);

/* Stops all threads, those that come meanwhile too.  Between two stops nobody
 * traces the process.  -EBUSY: a thread does not stop, or a debugger is there. */
int inject_stop(struct inject *, struct err *reterr);
/* Lets all go on. */
int inject_resume(struct inject *, struct err *reterr);
/* -ESRCH from any call: the process ended; -ECHILD-like details by inject_status(). */
enum inject_state { INJECT_RUNNING, INJECT_STOPPED, INJECT_EXITED, INJECT_EXECED };
/* Looks without blocking; *ret_status: wait status when exited (only for spawned ones, else 0). */
enum inject_state inject_poll(struct inject *, int *ret_status);

/* Threads of a stopped process. */
uint32_t inject_thread_cnt(const struct inject *);
pid_t inject_thread_tid(const struct inject *, uint32_t i);
int inject_get_regs(struct inject *, uint32_t i, struct user_regs_struct *ret, struct err *reterr);
int inject_set_regs(struct inject *, uint32_t i, const struct user_regs_struct *, struct err *reterr);

/* Whether any thread of a stopped process runs under seccomp: a filter may be one thread's alone. */
bool inject_has_seccomp(struct inject *);
/* And in strict mode, which takes rdtsc away as well. */
bool inject_is_strict(struct inject *);

/* Memory, through /proc/PID/mem: read-only text can be written too. All or nothing is
 * not promised on error. */
int inject_read(struct inject *, uint64_t addr, void *buf, size_t bytes, struct err *reterr);
int inject_write(struct inject *, uint64_t addr, const void *buf, size_t bytes, struct err *reterr);

/* Of a stopped process: has the kernel make pages of private memory that nobody can write to its own, as a first write does, by writing what
 * stands there; @buf has room for it.  -EFAULT: some of it cannot be read, and nothing was written; -EIO: it can, but the kernel does not
 * let us write there; -ESRCH: the process is gone. */
int inject_own_pages(struct inject *, uint64_t addr, void *buf, size_t bytes);

/* Runs a system call in a stopped thread chosen to be safe; *ret_value is what
 * the kernel returned (-errno included). The call must not block. */
int inject_syscall(struct inject *, long nr, const uint64_t args[6], int64_t *ret_value, struct err *reterr);
/* Puts the thread that ran system calls back to where it was.  Until then our own
 * death would leave it astray, so call this before anything that takes time;
 * inject_resume() does too. */
int inject_settle(struct inject *, struct err *reterr);
/* Thread @i of a stopped process will, when it goes on, call @fn on its own stack and then go on with what it did, by
 * itself: nobody waits for it.  An interrupted system call is called again; what is left of a timed wait is lost (EINTR).
 * The caller knows that the thread holds no lock that @fn wants. */
int inject_call(struct inject *, uint32_t i, uint64_t fn, const uint64_t args[3], struct err *reterr);
/* Passes our descriptor @fd into the process (socketpair, SCM_RIGHTS), works
 * across namespaces; *ret_fd is its number there. */
int inject_pass_fd(struct inject *, int fd, int *ret_fd, struct err *reterr);
int inject_close_fd(struct inject *, int remote_fd, struct err *reterr);
/* mmap there; *ret_addr. @addr 0: anywhere; else exactly there (MAP_FIXED_NOREPLACE,
 * unless @flags has MAP_FIXED). -EEXIST: something is there. */
int inject_mmap(struct inject *, uint64_t addr, uint64_t bytes, int prot, int flags, int remote_fd,
		uint64_t off, uint64_t *ret_addr, struct err *reterr);
int inject_munmap(struct inject *, uint64_t addr, uint64_t bytes, struct err *reterr);
/* Serialises instruction fetch of all its threads after code was changed. */
int inject_sync_core(struct inject *, struct err *reterr);
/* Lets a stopped process go on, as inject_resume(); where inject_sync_core() will need the kernel's barrier, it is told: the
 * next stop is that much shorter. */
int inject_announce_sync(struct inject *, struct err *reterr);

#endif
