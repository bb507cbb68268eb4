/* SPDX-License-Identifier: MIT */
/*
 * System calls in the target.
 *
 * One stopped thread is sent to a `syscall` instruction that is there already
 * (the vDSO's) and watched from the call's entry to its exit; only general
 * registers change, and they come back before it goes on:
 *
 *   stop --regs: rip=&syscall--> entry stop --> exit stop --(next call)--> ...
 *                                                   |
 *                     interrupt, own registers <----+  inject_settle()
 *
 * The end is an interrupt stop, not the exit stop: only there does the kernel
 * look at -ERESTART codes again, and the thread's own call may hold one.
 * Signals are blocked meanwhile, so that no handler runs with our registers.
 */
#include "inject/inject_int.h"

#include "host/host.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif
#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif
#ifndef PTRACE_GETSIGMASK
#define PTRACE_GETSIGMASK 0x420a
#define PTRACE_SETSIGMASK 0x420b
#endif
#define SYSCALL_STOP (SIGTRAP | 0x80)
/* A hint, far from libraries: below them the kernel would take the very place that was found free for code. */
#define SCRATCH_PLACE (1ull << 40)

/* ---- where a syscall instruction stands ---- */

/* The vDSO's, else that of any executable mapping. */
static uint64_t find_syscall(struct inject *in)
{
	static const uint8_t insn[] = { 0x0f, 0x05 };
	return inject_stands(in, in->syscall_addr, insn, sizeof(insn)) ? in->syscall_addr :
		inject_find_code(in, insn, sizeof(insn));
}

void inject_look_ahead(struct inject *in)
{
	in->syscall_addr = find_syscall(in);
	inject_abandon_look(in);
}

/* ---- the thread that does it ---- */

static bool has_filter(const struct inject *in, uint32_t i)
{
	return inject_status_field(in->pid, in->threads[i].tid, "Seccomp") > 0;
}

bool inject_has_seccomp(struct inject *in)
{
	bool any = in->link >= 0 && offered_has_seccomp(in);
	for (uint32_t i = 0; i < in->thread_cnt && !any; i++)
		any = has_filter(in, i);
	return any;
}

bool inject_is_strict(struct inject *in)
{
	bool any = false;
	for (uint32_t i = 0; i < in->thread_cnt && !any; i++)
		any = inject_status_field(in->pid, in->threads[i].tid, "Seccomp") == 1;
	return any;
}

/* Better one inside a system call: it is in no restartable sequence. */
static uint32_t choose_thread(struct inject *in, bool *ret_seccomp)
{
	uint32_t best = 0;
	int best_rank = -1;
	for (uint32_t i = 0; i < in->thread_cnt && i < 64; i++) {
		int rank = 2 * !has_filter(in, i) + ((int64_t)in->threads[i].regs.orig_rax >= 0);
		if (rank > best_rank) {
			best_rank = rank;
			best = i;
		}
		if (rank == 3)
			break;
	}
	*ret_seccomp = best_rank < 2;
	return best;
}

static int suspend_seccomp(struct inject *in, pid_t tid, struct err *reterr)
{
	if (!ptrace(PTRACE_SETOPTIONS, tid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP))
		return 0;
	return err_setf(reterr, -EPERM, "process %d runs under a seccomp filter, which only root (CAP_SYS_ADMIN) may suspend: %s",
			(int)in->pid, strerror(errno));
}

/* A program that has no code at all is only being made: it was between two of them. */
static int no_syscall(struct inject *in, struct err *reterr)
{
	const uint8_t any = 0;
	if (inject_find_code(in, &any, 0))
		return err_setf(reterr, -ENOTSUP, "no system call instruction was found in process %d", (int)in->pid);
	return err_setf(reterr, -ESRCH, "process %d runs another program now", (int)in->pid);
}

static int remote_begin(struct inject *in, struct err *reterr)
{
	struct inject_remote *r = &in->remote;
	uint64_t all = ~0ull;
	bool seccomp;
	if (!in->stopped || !in->thread_cnt)
		return err_setf(reterr, -EINVAL, "process %d is not stopped", (int)in->pid);
	in->syscall_addr = find_syscall(in);
	if (!in->syscall_addr)
		return no_syscall(in, reterr);
	r->idx = choose_thread(in, &seccomp);
	pid_t tid = in->threads[r->idx].tid;
	if (seccomp) {
		int e = suspend_seccomp(in, tid, reterr);
		if (e)
			return e;
	}
	r->resend_stop = false;
	if (ptrace(PTRACE_GETSIGMASK, tid, sizeof(r->sigmask), &r->sigmask))
		return inject_gone(in, reterr);
	inject_abandon_prepare(in);
	if (ptrace(PTRACE_SETSIGMASK, tid, sizeof(all), &all))
		return inject_gone(in, reterr);
	r->active = true;
	return 0;
}

/* Waits for the next stop; its kind: SYSCALL_STOP, PTRACE_EVENT_STOP << 8, or a signal. */
static int wait_stop(struct inject *in, pid_t tid)
{
	int status;
	while (waitpid(tid, &status, __WALL) < 0)
		if (errno != EINTR)
			return -ESRCH;
	if (!WIFSTOPPED(status)) {
		if (tid == in->pid) {
			in->exited = true;
			in->status = status;
		}
		return -ESRCH;
	}
	return status >> 16 ? PTRACE_EVENT_STOP << 8 : WSTOPSIG(status);
}

/* Runs to the next stop of @want. */
static int run_to(struct inject *in, int request, int want)
{
	pid_t tid = in->threads[in->remote.idx].tid;
	for (;;) {
		if (ptrace(request, tid, 0, 0))
			return -ESRCH;
		int stop = wait_stop(in, tid);
		if (stop < 0 || stop == want)
			return stop < 0 ? stop : 0;
		if (stop == SIGSTOP)
			in->remote.resend_stop = true;
	}
}

static int call_raw(struct inject *in, long nr, const uint64_t args[6], int64_t *ret)
{
	struct inject_thread *t = &in->threads[in->remote.idx];
	struct user_regs_struct regs = t->regs;
	regs.rip = in->abandon.saved ? in->abandon.syscall_ret : in->syscall_addr;
	if (in->abandon.saved)
		regs.rsp = in->abandon.frame;
	regs.rax = (uint64_t)nr;
	regs.orig_rax = (uint64_t)-1;
	regs.rdi = args[0];
	regs.rsi = args[1];
	regs.rdx = args[2];
	regs.r10 = args[3];
	regs.r8 = args[4];
	regs.r9 = args[5];
	regs.eflags &= ~0x100ull; /* TF */
	if (ptrace(PTRACE_SETREGS, t->tid, 0, &regs) || run_to(in, PTRACE_SYSCALL, SYSCALL_STOP) ||
	    run_to(in, PTRACE_SYSCALL, SYSCALL_STOP) || ptrace(PTRACE_GETREGS, t->tid, 0, &regs))
		return -ESRCH;
	*ret = (int64_t)regs.rax;
	return 0;
}

int inject_syscall(struct inject *in, long nr, const uint64_t args[6], int64_t *ret_value, struct err *reterr)
{
	if (in->link >= 0)
		return offered_syscall(in, nr, args, ret_value, reterr);
	int r = in->remote.active ? 0 : remote_begin(in, reterr);
	if (r)
		return r;
	if (!in->remote.lost && !call_raw(in, nr, args, ret_value))
		return 0;
	in->remote.lost = true;
	return inject_gone(in, reterr);
}

static int64_t call(struct inject *in, long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f,
		    struct err *reterr)
{
	uint64_t args[6] = { a, b, c, d, e, f };
	int64_t v;
	int r = inject_syscall(in, nr, args, &v, reterr);
	return r ? r : v;
}

int inject_settle(struct inject *in, struct err *reterr)
{
	struct inject_remote *r = &in->remote;
	if (!r->active)
		return 0;
	struct inject_thread *t = &in->threads[r->idx];
	if (r->scratch)
		call(in, SYS_munmap, r->scratch, INJECT_SCRATCH_BYTES, 0, 0, 0, 0, NULL);
	r->scratch = 0;
	r->active = r->lost = false;
	/* Without it we would wait for a stop that never comes.  Then it finds its way back by its frame. */
	if (ptrace(PTRACE_INTERRUPT, t->tid, 0, 0) && ptrace(PTRACE_INTERRUPT, t->tid, 0, 0))
		return inject_gone(in, reterr);
	if (run_to(in, PTRACE_CONT, PTRACE_EVENT_STOP << 8))
		return inject_gone(in, reterr);
	ptrace(PTRACE_SETSIGMASK, t->tid, sizeof(r->sigmask), &r->sigmask);
	if (ptrace(PTRACE_SETREGS, t->tid, 0, &t->regs))
		return inject_gone(in, reterr);
	inject_abandon_undo(in);
	ptrace(PTRACE_SETOPTIONS, t->tid, 0, PTRACE_O_TRACESYSGOOD);
	if (r->resend_stop)
		syscall(SYS_tgkill, in->pid, t->tid, SIGSTOP);
	return 0;
}

/* ---- descriptors and mappings ---- */

static int failed(struct inject *in, const char *what, int64_t code, struct err *reterr)
{
	if (code == -ESRCH || code == INJECT_UNREACHED) /* said already */
		return (int)code;
	const char *hint = code == -EMFILE ? "; raise its limit of open files (prlimit --nofile)" :
			   code == -ENOMEM ? "; its address space or memory is limited (ulimit -v, cgroup)" :
			   code == -EAGAIN ? "; it locks what it maps: raise its limit for that (prlimit --memlock)" : "";
	return err_setf(reterr, (int)code, "process %d cannot %s: %s%s", (int)in->pid, what, strerror((int)-code), hint);
}

/* Where the kernel puts things in the scratch page. */
struct scratch {
	int32_t sv[2];
	struct msghdr msg;
	struct iovec iov;
	char data[8];
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
};

static int map_scratch(struct inject *in, struct err *reterr)
{
	if (in->remote.scratch)
		return 0;
	int64_t v = call(in, SYS_mmap, SCRATCH_PLACE, INJECT_SCRATCH_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 (uint64_t)-1, 0, reterr);
	if (v < 0)
		return failed(in, "map memory", v, reterr);
	in->remote.scratch = (uint64_t)v;
	return 0;
}

/* The target receives what was sent to its socket @sock. */
static int receive_fd(struct inject *in, int sock, int *ret_fd, struct err *reterr)
{
	uint64_t at = in->remote.scratch;
	struct scratch s = {
		.msg = { .msg_iov = (struct iovec *)(at + offsetof(struct scratch, iov)), .msg_iovlen = 1,
			 .msg_control = (void *)(at + offsetof(struct scratch, control)),
			 .msg_controllen = sizeof(s.control) },
		.iov = { (void *)(at + offsetof(struct scratch, data)), 1 },
	};
	int r = inject_write(in, at, &s, sizeof(s), reterr);
	if (r)
		return r;
	int64_t v = call(in, SYS_recvmsg, (uint64_t)sock, at + offsetof(struct scratch, msg), MSG_DONTWAIT | MSG_CMSG_CLOEXEC,
			 0, 0, 0, reterr);
	if (v < 0)
		return failed(in, "receive a descriptor", v, reterr);
	r = inject_read(in, at, &s, sizeof(s), reterr);
	if (r)
		return r;
	struct cmsghdr *cm = (struct cmsghdr *)s.control;
	if (s.msg.msg_controllen < CMSG_LEN(sizeof(int)) || cm->cmsg_type != SCM_RIGHTS)
		return failed(in, "receive a descriptor", -EMFILE, reterr);
	memcpy(ret_fd, CMSG_DATA(cm), sizeof(int));
	return 0;
}

static int pass_through(struct inject *in, const int32_t sv[2], int fd, int *ret_fd, struct err *reterr)
{
	int sock = (int)syscall(SYS_pidfd_getfd, in->pid_fd, sv[0], 0);
	if (sock < 0)
		return err_setf(reterr, -errno, "cannot reach a socket of process %d: %s (Linux 5.6 is needed)", (int)in->pid,
				strerror(errno));
	int r = host_send_fds(sock, "", 1, &fd, 1, 0) < 0 ? -errno : 0;
	close(sock);
	if (r < 0)
		return failed(in, "be sent a descriptor", r, reterr);
	return receive_fd(in, sv[1], ret_fd, reterr);
}

static int pass_fd(struct inject *in, int fd, int *ret_fd, struct inject_limit *l, struct err *reterr)
{
	int32_t sv[2];
	int64_t v = call(in, SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in->remote.scratch, 0, 0, reterr);
	inject_limit_lift(in, v, l);
	if (l->lifted)
		v = call(in, SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in->remote.scratch, 0, 0, reterr);
	if (v < 0)
		return failed(in, "make a socket", v, reterr);
	int r = inject_read(in, in->remote.scratch, sv, sizeof(sv), reterr);
	if (r)
		return r;
	r = pass_through(in, sv, fd, ret_fd, reterr);
	inject_close_fd(in, sv[0], NULL);
	inject_close_fd(in, sv[1], NULL);
	return r;
}

int inject_pass_fd(struct inject *in, int fd, int *ret_fd, struct err *reterr)
{
	struct inject_limit l;
	if (in->link >= 0)
		return offered_pass_fd(in, fd, ret_fd, reterr);
	int r = in->remote.active ? 0 : remote_begin(in, reterr);
	r = r ? r : map_scratch(in, reterr);
	if (r)
		return r;
	r = pass_fd(in, fd, ret_fd, &l, reterr);
	inject_limit_restore(in, &l);
	return r;
}

int inject_close_fd(struct inject *in, int remote_fd, struct err *reterr)
{
	int64_t v = call(in, SYS_close, (uint64_t)remote_fd, 0, 0, 0, 0, 0, reterr);
	return v < 0 ? failed(in, "close a descriptor", v, reterr) : 0;
}

int inject_mmap(struct inject *in, uint64_t addr, uint64_t bytes, int prot, int flags, int remote_fd, uint64_t off,
		uint64_t *ret_addr, struct err *reterr)
{
	if (addr && !(flags & MAP_FIXED))
		flags |= MAP_FIXED_NOREPLACE;
	int64_t v = call(in, SYS_mmap, addr, bytes, (uint64_t)prot, (uint64_t)flags, (uint64_t)(int64_t)remote_fd, off, reterr);
	if (v < 0 && v > -4096)
		return failed(in, "map memory", v, reterr);
	if (addr && (uint64_t)v != addr) {
		inject_munmap(in, (uint64_t)v, bytes, NULL);
		return failed(in, "map memory where it is needed", -EEXIST, reterr);
	}
	*ret_addr = (uint64_t)v;
	return 0;
}

int inject_munmap(struct inject *in, uint64_t addr, uint64_t bytes, struct err *reterr)
{
	int64_t v = call(in, SYS_munmap, addr, bytes, 0, 0, 0, 0, reterr);
	return v < 0 ? failed(in, "unmap memory", v, reterr) : 0;
}

#define MEMBARRIER_SYNC_CORE (1 << 5)
#define MEMBARRIER_REGISTER_SYNC_CORE (1 << 6)

/* For a process with threads, and where resuming does not serialise, that takes some ten milliseconds (the kernel waits until every processor has been through its
 * scheduler), in which only one of them need stand. */
int inject_announce_sync(struct inject *in, struct err *reterr)
{
	if (inject_serial_can(in))
		return inject_resume(in, reterr);
	int r = in->remote.active ? 0 : remote_begin(in, reterr);
	if (r)
		return r;
	inject_release_but(in, in->remote.idx);
	in->remote.idx = 0;
	call(in, SYS_membarrier, MEMBARRIER_REGISTER_SYNC_CORE, 0, 0, 0, 0, 0, NULL);
	return inject_resume(in, reterr);
}

/* All threads stand in the kernel; the barrier is for those whose way back is no serialising one. */
int inject_sync_core(struct inject *in, struct err *reterr)
{
	if (in->stopped && inject_serial_can(in) && inject_serial_mark(in))
		return 0;
	int64_t v = call(in, SYS_membarrier, MEMBARRIER_REGISTER_SYNC_CORE, 0, 0, 0, 0, 0, reterr);
	if (v == 0)
		v = call(in, SYS_membarrier, MEMBARRIER_SYNC_CORE, 0, 0, 0, 0, 0, reterr);
	return v == -ESRCH || v == INJECT_UNREACHED ? (int)v : 0;
}
