/* SPDX-License-Identifier: MIT */
/*
 * Stopping and letting go.
 *
 * Nobody is traced between two stops, so signals cost nothing extra then.  A
 * stop seizes and interrupts every thread, waits until all stand, and looks
 * for threads that came meanwhile until there are none.  A signal that meets
 * us on the way is delivered at once: its handler's frame is set up, and the
 * thread stops at the handler's first instruction.
 *
 * A blocked system call that would show EINTR although no signal came is given
 * -ERESTARTNOHAND instead, which makes the kernel itself call it again or, if
 * a signal's handler runs after all, return EINTR as it should (ADR 3).
 */
#include "inject/inject_int.h"

#include "host/host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif
#define STOP_PATIENCE_NS 2000000000ull /* longer than the other: who waited that long does not try again */
#define STARVED_PATIENCE_NS 10000000000ull /* for one that stops as soon as it gets a processor */
#define LET_GO_PATIENCE_NS 1000000000ull
#define GONE_PATIENCE_NS 300000000ull
#define TRACER_PATIENCE_NS 500000000ull
#define SEIZE_TRIES 5 /* one that another tracer had, who is not there any more when one looks who it is */
#define KERNEL_ERESTARTNOHAND 514

static struct inject_thread *find_thread(struct inject *in, pid_t tid)
{
	for (uint32_t i = 0; i < in->thread_cnt; i++)
		if (in->threads[i].tid == tid)
			return &in->threads[i];
	return NULL;
}

int inject_add_thread(struct inject *in, pid_t tid, struct err *reterr)
{
	if (in->thread_cnt == in->thread_cap) {
		uint32_t cap = in->thread_cap ? in->thread_cap * 2 : 16;
		struct inject_thread *t = realloc(in->threads, cap * sizeof(*t));
		if (!t)
			return err_setf(reterr, -ENOMEM, "out of memory");
		in->threads = t;
		in->thread_cap = cap;
	}
	in->threads[in->thread_cnt++] = (struct inject_thread){ .tid = tid };
	return 0;
}

static int try_seize(struct inject *in, pid_t tid, struct err *reterr)
{
	if (!ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_TRACESYSGOOD)) {
		ptrace(PTRACE_INTERRUPT, tid, 0, 0); /* a stranger too: only who stands can be let go */
		return 1;
	}
	int e = errno;
	char st = inject_task_state(in->pid, tid);
	if (!st || st == 'Z' || st == 'X')
		return 0;
	if (e == ESRCH) /* to go on would be to change code that it runs */
		return err_setf(reterr, -EIO, "thread %d of process %d runs, but the kernel says that there is none to trace; "
				"something stands between (a sandbox, strace)", (int)tid, (int)in->pid);
	int r = inject_check_tracer(in->pid, tid, reterr);
	if (r)
		return r;
	return err_setf(reterr, -e, "not permitted to trace process %d (%s): %s", (int)in->pid, strerror(e), inject_what_helps(false));
}

/* 1: seized and told to stop; 0: it is ending; or -errno. */
static int seize(struct inject *in, pid_t tid, struct err *reterr)
{
	int r = -EPERM;
	for (int i = 0; i < SEIZE_TRIES && r == -EPERM; i++)
		r = try_seize(in, tid, reterr);
	return r;
}

/* A seized thread keeps its number.  Whether it got it after the folder was read, from one that ended there. */
static bool is_stranger(const struct inject *in, int folder, const char *name)
{
	pid_t tid = (pid_t)atoi(name);
	return faccessat(folder, name, F_OK, 0) && inject_status_field(tid, tid, "Tgid") > 0 &&
	       inject_status_field(tid, tid, "Tgid") != in->pid;
}

/* Seizes threads that are not known yet; their number, or -errno. */
static int seize_new(struct inject *in, struct err *reterr)
{
	char path[64];
	int cnt = 0, r = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)in->pid);
	DIR *dir = opendir(path);
	if (!dir && errno != ENOENT && errno != ESRCH)
		return err_setf(reterr, -errno, "cannot look at the threads of process %d: %s", (int)in->pid, strerror(errno));
	if (!dir)
		return inject_gone(in, reterr);
	if (inject_has_ended(in)) /* whose folder this is, nobody knows; if not, it stays the one */
		r = inject_gone(in, reterr);
	for (struct dirent *d; r >= 0 && (d = readdir(dir));) {
		pid_t tid = (pid_t)atoi(d->d_name);
		if (!tid || find_thread(in, tid))
			continue;
		r = seize(in, tid, reterr);
		if (r <= 0)
			continue;
		r = inject_add_thread(in, tid, reterr);
		cnt++;
		if (!r && is_stranger(in, dirfd(dir), d->d_name))
			r = err_setf(reterr, -EBUSY, "the threads of process %d change too fast; try again", (int)in->pid);
	}
	closedir(dir);
	return r < 0 ? r : cnt;
}

static void drop_thread(struct inject *in, struct inject_thread *t)
{
	*t = in->threads[--in->thread_cnt];
}

/* At once: should we be killed before all stand, this thread is right already. */
static void hide_interruption(struct inject_thread *t)
{
	t->stopped = !ptrace(PTRACE_GETREGS, t->tid, 0, &t->regs);
	if (!t->stopped)
		return; /* it is being killed; poll_threads() asks again */
	if ((int64_t)t->regs.orig_rax < 0 || (int64_t)t->regs.rax != -EINTR)
		return;
	/* close() has closed although it says EINTR: again would be wrong. */
	if (t->regs.orig_rax == SYS_close)
		return;
	t->regs.rax = (uint64_t)-KERNEL_ERESTARTNOHAND;
	ptrace(PTRACE_SETREGS, t->tid, 0, &t->regs);
}

/* What waitpid said of @t; true: it is no more. */
static bool note_status(struct inject *in, struct inject_thread *t, int status)
{
	if (!WIFSTOPPED(status)) {
		if (t->tid == in->pid) {
			in->exited = true;
			in->status = status;
		}
		return true;
	}
	int event = status >> 16, sig = WSTOPSIG(status);
	if (event == PTRACE_EVENT_STOP) {
		t->stands = true;
		hide_interruption(t);
		return false;
	}
	/* Any other stop eats the interrupt: ask again, before the signal goes its way. */
	ptrace(PTRACE_INTERRUPT, t->tid, 0, 0);
	ptrace(PTRACE_CONT, t->tid, 0, event ? 0 : sig);
	return false;
}

static bool memory_gone(const struct inject *in)
{
	char c;
	return in->mapped_addr && pread(in->mem_fd, &c, 1, (off_t)in->mapped_addr) == 0;
}

/* Who was killed is told no sooner than it has ended: so a process that seems to live may yet be going. */
int inject_gone(struct inject *in, struct err *reterr)
{
	uint64_t end = host_now_ns() + GONE_PATIENCE_NS;
	const struct timespec nap = { 0, 1000000 };
	int status;
	enum inject_state st;
	while ((st = inject_poll(in, &status)) != INJECT_EXITED && st != INJECT_EXECED && in->link < 0 && host_now_ns() < end)
		nanosleep(&nap, NULL);
	if (st == INJECT_EXECED)
		return err_setf(reterr, -ESRCH, "process %d runs another program now", (int)in->pid);
	if (st == INJECT_EXITED || in->link >= 0 || memory_gone(in) || !inject_live_task(in->pid))
		return err_setf(reterr, -ESRCH, "process %d has ended", (int)in->pid);
	return err_setf(reterr, INJECT_UNREACHED, "process %d lives, but the kernel does not let us do to it what it should; something stands "
			"between (a sandbox, strace)", (int)in->pid);
}

/* waitpid knows nothing of @t, although it was seized: it has ended, or something stands between (a sandbox, strace), and
 * to go on would be to change code that it runs. */
static bool is_hidden(const struct inject *in, const struct inject_thread *t)
{
	char st = inject_task_state(in->pid, t->tid);
	return st && st != 'Z' && st != 'X' && !memory_gone(in); /* at an exec numbers change hands */
}

/* One look at all that still run; returns how many those are, or -EIO. */
static int poll_threads(struct inject *in, struct err *reterr)
{
	int running = 0;
	for (uint32_t i = 0; i < in->thread_cnt;) {
		struct inject_thread *t = &in->threads[i];
		int status = 0;
		pid_t r = t->stopped ? 0 : waitpid(t->tid, &status, __WALL | WNOHANG);
		if (r < 0 && errno == ECHILD && is_hidden(in, t))
			return err_setf(reterr, -EIO, "thread %d of process %d runs, but the kernel says that there is none to wait for; "
					"something stands between (a sandbox, strace)", (int)t->tid, (int)in->pid);
		if (!r && t->stands && !t->stopped)
			hide_interruption(t);
		if ((r < 0 && errno != EINTR) || (r > 0 && note_status(in, t, status))) {
			drop_thread(in, t);
			continue;
		}
		running += !t->stopped;
		i++;
	}
	return running;
}

/* The first that still runs; there is one. */
static pid_t who_runs(const struct inject *in)
{
	uint32_t i = 0;
	while (in->threads[i].stopped)
		i++;
	return in->threads[i].tid;
}

/* @waited: ns.  0: goes on waiting. */
static int give_up(struct inject *in, uint64_t waited, struct err *reterr)
{
	pid_t tid = who_runs(in);
	char state = inject_task_state(in->pid, tid);
	if (state == 'R' && waited < STARVED_PATIENCE_NS)
		return 0;
	return err_setf(reterr, -EBUSY, "thread %d of process %d does not stop (state %c: %s); try again", (int)tid,
			(int)in->pid, state, state == 'R' ? "it gets no processor" :
			state == 'S' ? "it does not hear us: is it frozen, or in a sandbox?" : "it waits for a device or for a vfork child");
}

#define NEWS_THREADS 32 /* of more the news would be too many */

/* The kernel tells of each thread that stops, to whom does not handle that otherwise; then naps end sooner. */
struct news {
	bool listens;
	sigset_t chld, before;
};

static void news_begin(struct news *n, const struct inject *in)
{
	struct sigaction now;
	sigemptyset(&n->chld);
	sigaddset(&n->chld, SIGCHLD);
	n->listens = in->thread_cnt <= NEWS_THREADS && !sigaction(SIGCHLD, NULL, &now) && now.sa_handler == SIG_DFL &&
		     !pthread_sigmask(SIG_BLOCK, &n->chld, &n->before);
}

static void news_await(const struct news *n, const struct timespec *nap)
{
	if (!n->listens)
		nanosleep(nap, NULL);
	else
		sigtimedwait(&n->chld, NULL, nap);
}

static void news_end(const struct news *n)
{
	if (n->listens)
		pthread_sigmask(SIG_SETMASK, &n->before, NULL);
}

static int wait_all(struct inject *in, const struct news *news, struct err *reterr)
{
	uint64_t begin = host_now_ns();
	struct timespec nap = { 0, 20000 };
	int running;
	while ((running = poll_threads(in, reterr)) > 0) {
		uint64_t waited = host_now_ns() - begin;
		int r = waited > STOP_PATIENCE_NS ? give_up(in, waited, reterr) : 0;
		if (r)
			return r;
		news_await(news, &nap);
		if (nap.tv_nsec < 1000000)
			nap.tv_nsec += nap.tv_nsec / 2;
	}
	if (running < 0)
		return running;
	if (!in->thread_cnt)
		return inject_gone(in, reterr);
	return 0;
}

static int wait_threads(struct inject *in, struct err *reterr)
{
	struct news n;
	news_begin(&n, in);
	int r = wait_all(in, &n, reterr);
	news_end(&n);
	return r;
}

int inject_await(struct inject *in, struct err *reterr)
{
	return wait_threads(in, reterr);
}

/* It would stand until we end. */
void inject_detach_thread(pid_t tid, int sig)
{
	if (ptrace(PTRACE_DETACH, tid, 0, sig))
		ptrace(PTRACE_DETACH, tid, 0, sig);
}

/* A thread that does not stop is let go when it does (inject_poll() looks), or when we end. */
static void note_loose(struct inject *in, pid_t tid)
{
	pid_t *more = realloc(in->loose, (in->loose_cnt + 1) * sizeof(*more));
	if (!more)
		return;
	in->loose = more;
	more[in->loose_cnt++] = tid;
}

static void let_go_loose(struct inject *in)
{
	for (uint32_t i = 0; i < in->loose_cnt;) {
		int status;
		pid_t r = waitpid(in->loose[i], &status, __WALL | WNOHANG);
		if (r == 0 || (r < 0 && errno == EINTR)) {
			i++;
			continue;
		}
		bool signal = r > 0 && WIFSTOPPED(status) && !(status >> 16);
		if (r > 0)
			inject_detach_thread(in->loose[i], signal ? WSTOPSIG(status) : 0);
		in->loose[i] = in->loose[--in->loose_cnt];
	}
}

static int try_stop(struct inject *in, struct err *reterr)
{
	int r;
	while ((r = seize_new(in, reterr)) > 0)
		if ((r = wait_threads(in, reterr)) < 0)
			break;
	if (!r && !in->thread_cnt)
		r = inject_gone(in, reterr);
	if (!r && memory_gone(in))
		r = inject_gone(in, reterr);
	if (r < 0) {
		inject_release(in);
		return r;
	}
	in->stopped = true;
	return 0;
}

/* Another tracer may be there only for a moment: a second controller that finds us, and goes. */
int inject_stop(struct inject *in, struct err *reterr)
{
	uint64_t end = host_now_ns() + TRACER_PATIENCE_NS;
	const struct timespec nap = { 0, 5000000 };
	let_go_loose(in);
	if (in->stopped)
		return 0;
	if (in->exited || in->execed || memory_gone(in))
		return inject_gone(in, reterr);
	if (in->link >= 0)
		return offered_stop(in, reterr);
	inject_look_ahead(in);
	for (;;) {
		int r = try_stop(in, reterr);
		if (r != -EBUSY || host_now_ns() > end)
			return r;
		nanosleep(&nap, NULL);
	}
}

/* Only a stopped thread can be detached from.  One that we gave up waiting for mostly stops soon; it may not have heard. */
static void let_go(struct inject *in, struct inject_thread *t)
{
	uint64_t end = host_now_ns() + LET_GO_PATIENCE_NS;
	const struct timespec nap = { 0, 1000000 };
	int status;
	while (!t->stands) {
		pid_t r = waitpid(t->tid, &status, __WALL | WNOHANG);
		if (r < 0 && errno != EINTR)
			return;
		if (r > 0 && note_status(in, t, status))
			return;
		if (r > 0)
			continue;
		if (host_now_ns() > end) {
			note_loose(in, t->tid);
			return;
		}
		ptrace(PTRACE_INTERRUPT, t->tid, 0, 0);
		nanosleep(&nap, NULL);
	}
	inject_detach_thread(t->tid, 0);
}

void inject_release(struct inject *in)
{
	for (int late = 0; late < 2; late++)
		for (uint32_t i = 0; i < in->thread_cnt; i++)
			if (in->threads[i].stopped == !late) {
				let_go(in, &in->threads[i]);
				in->threads[i].stopped = !late;
			}
	in->thread_cnt = 0;
	in->stopped = false;
}

int inject_resume(struct inject *in, struct err *reterr)
{
	if (!in->stopped)
		return 0;
	int r = inject_settle(in, reterr);
	inject_release(in);
	return r;
}

void inject_release_but(struct inject *in, uint32_t keep)
{
	struct inject_thread last = in->threads[keep];
	in->threads[keep] = in->threads[--in->thread_cnt];
	inject_release(in);
	in->threads[in->thread_cnt++] = last;
	in->stopped = true;
}

uint32_t inject_thread_cnt(const struct inject *in)
{
	return in->thread_cnt;
}

pid_t inject_thread_tid(const struct inject *in, uint32_t i)
{
	return in->threads[i].tid;
}

int inject_get_regs(struct inject *in, uint32_t i, struct user_regs_struct *ret, struct err *reterr)
{
	if (!in->stopped || i >= in->thread_cnt)
		return err_setf(reterr, -EINVAL, "thread %u of process %d is not stopped", i, (int)in->pid);
	*ret = in->threads[i].regs;
	return 0;
}

int inject_set_regs(struct inject *in, uint32_t i, const struct user_regs_struct *regs, struct err *reterr)
{
	if (!in->stopped || i >= in->thread_cnt)
		return err_setf(reterr, -EINVAL, "thread %u of process %d is not stopped", i, (int)in->pid);
	in->threads[i].regs = *regs;
	/* The one that runs our system calls gets its registers when it is through. */
	if (in->remote.active && in->remote.idx == i)
		return 0;
	if (ptrace(PTRACE_SETREGS, in->threads[i].tid, 0, regs))
		return inject_gone(in, reterr);
	return 0;
}

static bool process_ended(struct inject *in)
{
	if (in->exited)
		return true;
	if (!inject_has_ended(in))
		return false;
	in->exited = true;
	if (in->spawned)
		waitpid(in->pid, &in->status, WNOHANG | __WALL);
	return true;
}

enum inject_state inject_poll(struct inject *in, int *ret_status)
{
	let_go_loose(in);
	if (process_ended(in)) {
		if (ret_status)
			*ret_status = in->status;
		return INJECT_EXITED;
	}
	if (in->execed || memory_gone(in)) {
		/* A process loses its memory some time before it is seen as ended. */
		if (!in->execed && inject_status_field(in->pid, in->pid, "VmSize") < 0 && !inject_has_ended(in))
			return INJECT_RUNNING;
		if (process_ended(in))
			return inject_poll(in, ret_status);
		in->execed = true;
		return INJECT_EXECED;
	}
	return in->stopped ? INJECT_STOPPED : INJECT_RUNNING;
}
