/* SPDX-License-Identifier: MIT */
/*
 * A program started by us.  The child waits until it is seized, then execs;
 * the stop at the exec is turned into an ordinary one before its first
 * instruction.
 *
 *   parent                      child
 *   fork ---------------------> read(go)
 *   PTRACE_SEIZE
 *   write(go) ----------------> execvp ---- fails: errno into `why`, _exit
 *   waitpid: PTRACE_EVENT_EXEC
 */
#include "inject/inject_int.h"

#include <errno.h>
#include <signal.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct pipes {
	int go[2], why[2];
};

static int open_pipes(struct pipes *p, struct err *reterr)
{
	if (pipe2(p->go, O_CLOEXEC))
		return err_setf(reterr, -errno, "cannot make a pipe: %s", strerror(errno));
	if (!pipe2(p->why, O_CLOEXEC))
		return 0;
	int r = err_setf(reterr, -errno, "cannot make a pipe: %s", strerror(errno));
	close(p->go[0]);
	close(p->go[1]);
	return r;
}

static void close_pipes(struct pipes *p)
{
	for (int i = 0; i < 2; i++) {
		close(p->go[i]);
		close(p->why[i]);
	}
}

static _Noreturn void run_child(struct pipes *p, char *const argv[])
{
	char c;
	close(p->go[1]);
	if (read(p->go[0], &c, 1) == 1) {
		execvp(argv[0], argv);
		int e = errno;
		if (write(p->why[1], &e, sizeof(e)) < 0)
			_exit(126);
	}
	_exit(127);
}

/* 0: it stands at its exec; 1: it ended; or -errno. */
static int await_exec(pid_t pid)
{
	int status;
	for (;;) {
		if (waitpid(pid, &status, __WALL) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (!WIFSTOPPED(status))
			return 1;
		int event = status >> 16, sig = WSTOPSIG(status);
		if (event == PTRACE_EVENT_EXEC)
			return 0;
		if (ptrace(PTRACE_CONT, pid, 0, event ? 0 : sig) && errno != ESRCH)
			return -errno;
	}
}

static int exec_failed(struct pipes *p, const char *name, struct err *reterr)
{
	int e = 0;
	close(p->why[1]);
	p->why[1] = -1;
	if (read(p->why[0], &e, sizeof(e)) != (ssize_t)sizeof(e))
		return err_setf(reterr, -ECHILD, "cannot run %s: it ended before its first instruction", name);
	return err_setf(reterr, -e, "cannot run %s: %s", name, strerror(e));
}

/* From the stop at the exec to an ordinary one. */
static int stop_at_start(struct inject *in, struct err *reterr)
{
	if (ptrace(PTRACE_INTERRUPT, in->pid, 0, 0) && ptrace(PTRACE_INTERRUPT, in->pid, 0, 0))
		return inject_gone(in, reterr); /* it would run on */
	ptrace(PTRACE_CONT, in->pid, 0, 0);
	in->stopped = true;
	int r = inject_add_thread(in, in->pid, reterr);
	return r ? r : inject_await(in, reterr);
}

int inject_watch_exec(pid_t tid, struct err *reterr)
{
	if (!ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD))
		return 0;
	return err_setf(reterr, -errno, "process %d cannot be followed into its next program: %s", (int)tid, strerror(errno));
}

static int take_over(pid_t pid, struct inject **ret, struct err *reterr)
{
	struct inject *in = inject_new(pid);
	int r = in ? inject_open_files(in, reterr) : err_setf(reterr, -ENOMEM, "out of memory");
	if (!r)
		r = stop_at_start(in, reterr);
	if (r) {
		ptrace(PTRACE_DETACH, pid, 0, 0);
		inject_free(in);
		return r;
	}
	*ret = in;
	return 1;
}

int inject_await_exec(pid_t tid, pid_t pid, bool give_up, struct inject **ret, struct err *reterr)
{
	int status;
	pid_t got = waitpid(tid, &status, __WALL | WNOHANG);
	if (got < 0 && pid != tid) /* at its exec a thread becomes the process's first */
		got = waitpid(pid, &status, __WALL | WNOHANG);
	if (!got) {
		if (give_up)
			ptrace(PTRACE_INTERRUPT, tid, 0, 0);
		return 0;
	}
	if (got < 0 || !WIFSTOPPED(status))
		return err_setf(reterr, -ESRCH, "process %d has ended", (int)tid);
	int event = status >> 16, sig = WSTOPSIG(status);
	if (event == PTRACE_EVENT_EXEC)
		return take_over(pid, ret, reterr);
	if (!event || !give_up) {
		ptrace(event && sig != SIGTRAP ? PTRACE_LISTEN : PTRACE_CONT, tid, 0, event ? 0 : sig);
		return 0;
	}
	ptrace(PTRACE_DETACH, tid, 0, 0);
	return err_setf(reterr, -ESRCH, "process %d runs no other program", (int)tid);
}

static int start(struct inject *in, struct pipes *p, const char *name, struct err *reterr)
{
	/* Until it begins it is no longer than we are. */
	if (ptrace(PTRACE_SEIZE, in->pid, 0, PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL))
		return err_setf(reterr, -errno, "not permitted to trace a program of our own: %s", strerror(errno));
	if (inject_status_field(in->pid, in->pid, "TracerPid") == 0)
		return err_setf(reterr, -EPERM, "cannot run %s: the kernel says that we trace it, but we do not; something stands between "
				"(a sandbox, strace)", name);
	if (write(p->go[1], "", 1) != 1)
		return err_setf(reterr, -errno, "cannot run %s: %s", name, strerror(errno));
	int r = await_exec(in->pid);
	if (r == 1) {
		in->exited = true;
		return exec_failed(p, name, reterr);
	}
	if (r < 0)
		return err_setf(reterr, r, "cannot run %s: %s", name, strerror(-r));
	r = inject_check_target(in->pid, reterr);
	if (r && r != -EBUSY)
		return err_prefixf(reterr, "cannot run %s", name);
	in->at_exec = true;
	return inject_open_files(in, reterr);
}

int inject_begin(struct inject *in, struct err *reterr)
{
	if (!in->at_exec)
		return 0;
	in->at_exec = false;
	ptrace(PTRACE_SETOPTIONS, in->pid, 0, PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD);
	return stop_at_start(in, reterr);
}

int inject_spawn(char *const argv[], struct inject **ret, struct err *reterr)
{
	struct inject *in;
	int r = inject_spawn_at_exec(argv, &in, reterr);
	if (r)
		return r;
	r = inject_begin(in, reterr);
	if (!r) {
		*ret = in;
		return 0;
	}
	kill(in->pid, SIGKILL);
	waitpid(in->pid, NULL, __WALL);
	inject_free(in);
	return r;
}

/* Where dyntrace has capabilities from its file, its memory is nobody's to look at, and so that of a child would be until
 * its exec. Who has not the same capabilities may not look at that child either way. */
static pid_t fork_traceable(void)
{
	bool hidden = prctl(PR_GET_DUMPABLE) != 1;
	if (hidden)
		prctl(PR_SET_DUMPABLE, 1);
	pid_t pid = fork();
	if (hidden && pid)
		prctl(PR_SET_DUMPABLE, 0);
	return pid;
}

int inject_spawn_at_exec(char *const argv[], struct inject **ret, struct err *reterr)
{
	struct pipes p;
	int r = open_pipes(&p, reterr);
	if (r)
		return r;
	pid_t pid = fork_traceable();
	if (!pid)
		run_child(&p, argv);
	struct inject *in = pid > 0 ? inject_new(pid) : NULL;
	if (!in) {
		r = err_setf(reterr, -errno, "cannot start a process: %s", strerror(errno));
		close_pipes(&p);
		if (pid > 0)
			waitpid(pid, NULL, 0);
		return r;
	}
	in->spawned = true;
	r = start(in, &p, argv[0], reterr);
	close_pipes(&p);
	if (r < 0) {
		if (!in->exited) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, __WALL);
		}
		inject_free(in);
		return r;
	}
	*ret = in;
	return 0;
}
