/* SPDX-License-Identifier: MIT */
/* Getting into a process: what of ours is mapped there. */
#include "session/kern_int.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct session_child {
	struct inject *inj;
};

struct target *target_at(const struct session *s, uint32_t proc)
{
	return proc < s->target_cnt ? s->targets[proc] : NULL;
}

struct wire_proc *target_proc(struct target *t)
{
	return (struct wire_proc *)((uint8_t *)t->s->shm + t->s->shm->proc_off) + t->proc;
}

void target_forget_main(struct target *t)
{
	const uint64_t none = 0, addr = t->wipe_addr + offsetof(struct wire_wipe, main_thread);
	if (__atomic_exchange_n(&target_proc(t)->no_main, 1, __ATOMIC_SEQ_CST) || !t->wipe_addr)
		return;
	ssize_t n = pwrite(t->memfd, &none, sizeof(none), (off_t)addr);
	(void)n; /* it fails where the program has ended, or is another one by now: then nobody is named there */
}

void target_ask_always(struct target *t)
{
	__atomic_store_n(&target_proc(t)->fs_set, WIRE_FS_NEVER, __ATOMIC_SEQ_CST);
	target_forget_main(t);
}

int target_read(void *target, uint64_t addr, void *buf, size_t bytes)
{
	struct target *t = target;
	return pread(t->memfd, buf, bytes, (off_t)addr) == (ssize_t)bytes ? 0 : -EFAULT;
}

size_t target_read_some(struct target *t, uint64_t addr, void *buf, size_t bytes)
{
	size_t done = 0;
	ssize_t n;
	while (done < bytes && (n = pread(t->memfd, (uint8_t *)buf + done, bytes - done, (off_t)(addr + done))) > 0)
		done += (size_t)n;
	return done;
}

/* The file descriptor belongs to the memory of one program: after an exec it reads nothing. */
bool target_same_program(const struct target *t)
{
	char c;
	uint64_t addr = t->shm_addr ? t->shm_addr : t->known_addr;
	return addr ? pread(t->memfd, &c, 1, (off_t)addr) == 1 : true;
}

bool target_has_ended(const struct target *t)
{
	return host_pidfd_ended(t->pidfd);
}

int target_stop(struct target *t, struct err *reterr)
{
	if (t->link)
		t->inj = t->link;
	if (!t->inj) {
		int r = inject_attach(t->pid, &t->inj, reterr);
		if (!r && target_has_ended(t)) { /* who was attached to may be another with its number */
			target_go(t);
			r = err_setf(reterr, -ESRCH, "process %d has ended", t->pid);
		}
		if (r)
			return r;
		inject_hint(t->inj, &t->ways);
	}
	int r = inject_stop(t->inj, reterr);
	if (!r && !target_same_program(t))
		r = err_setf(reterr, -ESRCH, "process %d runs another program now", t->pid);
	if (r)
		target_go(t);
	return r;
}

void target_go(struct target *t)
{
	if (t->link) {
		inject_resume(t->link, NULL);
	} else {
		if (t->inj)
			t->ways = inject_ways(t->inj);
		inject_detach(t->inj);
	}
	t->inj = NULL;
}

/* struct wire_wipe (ADR 6). */
static int map_wipe_page(struct target *t, struct err *reterr)
{
	uint64_t proc = t->shm_addr + (uint64_t)((uint8_t *)target_proc(t) - (uint8_t *)t->s->shm);
	int64_t ret;
	int r = inject_mmap(t->inj, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &t->wipe_addr, reterr);
	if (r)
		return r;
	const uint64_t args[6] = { t->wipe_addr, 4096, MADV_WIPEONFORK };
	r = inject_syscall(t->inj, SYS_madvise, args, &ret, reterr);
	if (r || ret < 0)
		return r ? r : err_setf(reterr, (int)ret, "the kernel has no MADV_WIPEONFORK (Linux 4.14 and later have)");
	return inject_write(t->inj, t->wipe_addr, &proc, sizeof(proc), reterr);
}

static int remote_mem(struct target *t, long nr, uint64_t arg, struct err *reterr)
{
	const uint64_t args[6] = { t->shm_addr, t->shm_bytes, arg };
	int64_t ret;
	int r = inject_syscall(t->inj, nr, args, &ret, reterr);
	return r || ret >= 0 ? r : err_setf(reterr, (int)ret, "the process cannot set up the shared memory: %s", strerror((int)-ret));
}

/* Of a ghost (no proc) the sign is counted in already. */
void target_unmap_shm(struct target *t, struct inject *inj)
{
	uint64_t before = t->proc && t->s->opts.kernel ? OWNER_SIGN_BYTES : 0;
	if (t->shm_addr)
		inject_munmap(inj, t->shm_addr - before, t->shm_bytes + before, NULL);
}

static int map_fd_there(struct target *t, int fd, uint64_t addr, uint64_t bytes, int prot, int flags, uint64_t *ret, struct err *reterr)
{
	int remote;
	int r = inject_pass_fd(t->inj, fd, &remote, reterr);
	if (r)
		return r;
	r = inject_mmap(t->inj, addr, bytes, prot, MAP_SHARED | MAP_NORESERVE | flags, remote, 0, ret, reterr);
	inject_close_fd(t->inj, remote, NULL);
	if (r == -ENOMEM || r == -EAGAIN)
		return err_prefixf(reterr, "cannot map the shared memory in the process (try %s)", session_smaller(t->s));
	return r ? err_prefixf(reterr, "cannot map the shared memory in the process") : 0;
}

/* The sign first, and as long as both: whoever kills us in between leaves nothing that cannot be told.  The kernel's memory is there
 * already, and what was mapped without the right to write never gets it. */
static int map_kernel_there(struct target *t, struct err *reterr)
{
	uint64_t bytes = t->s->shm->bytes, all = OWNER_SIGN_BYTES + bytes, addr;
	int r = map_fd_there(t, t->s->sign_fd, arena_far_place(t->obj, all), all, PROT_READ, 0, &addr, reterr);
	if (r)
		return r;
	t->shm_bytes = bytes;
	t->shm_addr = addr + OWNER_SIGN_BYTES;
	r = remote_mem(t, SYS_munlock, 0, reterr); /* where all is locked, it would count twice */
	r = r ? r : map_fd_there(t, t->s->shm_fd, t->shm_addr, bytes, PROT_READ | PROT_WRITE, MAP_FIXED, &addr, reterr);
	return r ? r : remote_mem(t, SYS_madvise, MADV_DONTDUMP, reterr);
}

/* Nearly all of it is never touched.  A process that locks what it maps (mlockall) would get gigabytes at once:
 * so it is mapped without access, which makes no pages, unlocked, and only then opened. */
static int map_shm_there(struct target *t, struct err *reterr)
{
	if (t->s->opts.kernel)
		return map_kernel_there(t, reterr);
	t->shm_bytes = t->s->shm->bytes;
	int r = map_fd_there(t, t->s->shm_fd, arena_far_place(t->obj, t->shm_bytes), t->shm_bytes, PROT_NONE, 0, &t->shm_addr, reterr);
	if (!r)
		r = remote_mem(t, SYS_munlock, 0, reterr);
	if (!r)
		r = remote_mem(t, SYS_mprotect, PROT_READ | PROT_WRITE, reterr);
	return r ? r : remote_mem(t, SYS_madvise, MADV_DONTDUMP, reterr);
}

static int map_all(struct target *t, const struct agent_file *agent, struct err *reterr)
{
	int r = map_shm_there(t, reterr);
	if (!r)
		r = map_wipe_page(t, reterr);
	if (!r)
		r = agent_load(t, agent, reterr);
	if (!r)
		r = inject_settle(t->inj, reterr);
	return r ? r : procinfo_fill(t, target_proc(t), reterr);
}

/* What can be refused is refused before anything is mapped. */
static int enter(struct target *t, struct err *reterr)
{
	struct agent_file *agent;
	int r = procinfo_check(t, reterr);
	if (!r)
		r = agent_open(t->s->opts.agent_path, &agent, reterr);
	if (r)
		return r;
	r = map_all(t, agent, reterr);
	agent_close(agent);
	if (r)
		return r;
	struct wire_proc *proc = target_proc(t);
	if (t->s->opts.follow && !(proc->flags & WIRE_PROC_NO_SYSCALL))
		proc->flags |= WIRE_PROC_FOLLOW;
	proc->shm_addr = t->shm_addr;
	proc->wipe_addr = t->wipe_addr;
	t->env.geometry = t->s->shm;
	t->env.shm_addr = t->shm_addr;
	t->env.wipe_addr = t->wipe_addr;
	t->env.proc_idx = t->proc;
	t->env.proc_flags = proc->flags;
	return 0;
}

static void leave(struct target *t)
{
	if (t->wipe_addr)
		inject_munmap(t->inj, t->wipe_addr, 4096, NULL);
	if (t->agent_addr)
		inject_munmap(t->inj, t->agent_addr, t->agent_bytes, NULL);
	target_unmap_shm(t, t->inj);
}

int target_open(struct target *t, struct err *reterr)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/mem", t->pid);
	t->memfd = open(path, O_RDWR | O_CLOEXEC);
	if (t->memfd < 0)
		return err_setf(reterr, -errno, "cannot read the memory of process %d: %s", t->pid, strerror(errno));
	t->pidfd = (int)syscall(SYS_pidfd_open, t->pid, 0);
	struct obj_proc_info info;
	if (t->pidfd < 0 && !obj_proc_info(t->pid, &info, NULL) && info.leader != t->pid)
		return err_setf(reterr, -EINVAL, "%d is a thread of process %d: use that number", t->pid, info.leader);
	if (t->pidfd < 0)
		return err_setf(reterr, -errno, "cannot watch process %d: %s", t->pid, strerror(errno));
	return obj_proc_open(t->pid, &t->obj, reterr);
}

void target_close(struct target *t)
{
	inject_detach(t->link ? t->link : t->inj);
	obj_proc_close(t->obj);
	if (t->memfd >= 0)
		close(t->memfd);
	if (t->pidfd >= 0)
		close(t->pidfd);
	free(t->holes);
}

static void target_abort(struct target *t)
{
	if (t->inj)
		leave(t);
	target_close(t);
	free(t);
}

/* A free index: followed children take some by themselves. 0: none. */
static uint32_t take_index(struct session *s)
{
	struct wire_proc *procs = (struct wire_proc *)((uint8_t *)s->shm + s->shm->proc_off);
	for (uint32_t i = 1; i < s->shm->proc_cnt; i++) {
		uint32_t free = WIRE_PROC_FREE;
		if (!s->targets[i] && __atomic_compare_exchange_n(&procs[i].state, &free, WIRE_PROC_CLAIM, false,
								  __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return i;
	}
	return 0;
}

/* Takes over @inj, also on failure. */
static int target_create(struct session *s, struct inject *inj, bool is_child, bool held, uint32_t *ret_proc, struct err *reterr)
{
	struct target *t = calloc(1, sizeof(*t));
	uint32_t idx = t ? take_index(s) : 0;
	if (!idx) {
		free(t);
		inject_detach(inj);
		return err_setf(reterr, -E2BIG, "too many processes in one session: at most %u", (uint32_t)s->shm->proc_cnt - 1);
	}
	*t = (struct target){ .s = s, .proc = idx, .pid = inject_pid(inj), .is_child = is_child,
			      .pidfd = -1, .memfd = -1, .inj = inj, .link = inject_is_live(inj) ? inj : NULL };
	int r = target_open(t, reterr);
	if (!r && !obj_proc_is_64bit(t->obj))
		r = err_setf(reterr, -ENOTSUP, "process %d is a 32-bit program: only 64-bit ones can be traced", t->pid);
	if (!r)
		r = owner_check(t, reterr); /* before anything is disturbed */
	if (!r)
		r = inject_stop(inj, reterr);
	/* As what it stands there as. */
	if (!r && held && !is_child && s->opts.may_follow && !s->opts.may_follow(s->opts.may_arg, t->pid))
		r = err_setf(reterr, -EPERM, "not permitted to trace process %d: it belongs to another user than others of this script", t->pid);
	if (!r)
		r = obj_proc_refresh(t->obj, reterr);
	if (!r)
		r = owner_check(t, reterr); /* one that came meanwhile */
	if (!r)
		r = leftover_clean(t, NULL, reterr);
	if (!r)
		r = obj_proc_refresh(t->obj, reterr);
	if (!r)
		r = owner_check(t, reterr); /* likewise, while that waited for threads */
	if (!r)
		r = enter(t, reterr);
	if (r) {
		STORE_RELEASE(&target_proc(t)->state, WIRE_PROC_FREE);
		target_abort(t);
		return r;
	}
	s->targets[idx] = t;
	s->target_cnt = idx >= s->target_cnt ? idx + 1 : s->target_cnt;
	STORE_RELEASE(&target_proc(t)->state, WIRE_PROC_LIVE);
	*ret_proc = t->proc;
	t->loading = !is_child && target_is_loading(t);
	if (!held) {
		inject_announce_sync(t->inj, NULL);
		target_go(t);
	}
	return 0;
}

int target_adopt(struct session *s, struct inject *inj, uint32_t *ret_proc, struct err *reterr)
{
	return target_create(s, inj, true, true, ret_proc, reterr);
}

int session_attach(struct session *s, pid_t pid, uint32_t *ret_proc, struct err *reterr)
{
	struct inject *inj;
	if (s->opts.watch)
		return watch_create(s, pid, NULL, ret_proc, reterr);
	int r = inject_attach(pid, &inj, reterr);
	r = r ? r : target_create(s, inj, false, false, ret_proc, reterr);
	return r == -EALREADY ? -EBUSY : r;
}

int session_attach_offered(struct session *s, pid_t pid, const struct session_offer *o, uint32_t *ret_proc, struct err *reterr)
{
	struct inject *inj;
	int r = inject_offered(pid, o->tid, o->sock, &inj, reterr);
	return r ? r : target_create(s, inj, false, false, ret_proc, reterr);
}

int session_attach_held(struct session *s, pid_t pid, uint32_t *ret_proc, struct err *reterr)
{
	struct inject *inj;
	int r = inject_attach(pid, &inj, reterr);
	return r ? r : target_create(s, inj, false, true, ret_proc, reterr);
}

/* What the kernel tells the loader. */
struct begin {
	uint64_t entry;  /* of the program */
	uint64_t loader; /* where that stands; 0: it has none */
};

static struct begin begin_of(pid_t pid)
{
	struct begin ret = { 0 };
	uint64_t v[2];
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/auxv", (int)pid);
	FILE *fp = fopen(path, "re");
	while (fp && fread(v, sizeof(v), 1, fp) == 1) {
		ret.entry = v[0] == AT_ENTRY ? v[1] : ret.entry;
		ret.loader = v[0] == AT_BASE ? v[1] : ret.loader;
	}
	if (fp)
		fclose(fp);
	return ret;
}

/* 0: it has no loader. */
static uint64_t entry_of(pid_t pid)
{
	struct begin b = begin_of(pid);
	return b.loader ? b.entry : 0;
}

/* Whoever asks for it may say of any process that it is new. */
static int check_new(struct inject *inj, struct err *reterr)
{
	struct begin b = begin_of(inject_pid(inj));
	struct user_regs_struct regs;
	Elf64_Ehdr head;
	int r = inject_thread_cnt(inj) != 1 ? 1 : inject_get_regs(inj, 0, &regs, reterr);
	if (!r && b.loader && !inject_read(inj, b.loader, &head, sizeof(head), NULL))
		b.entry = b.loader + head.e_entry;
	if (!r && regs.rip == b.entry)
		return 0;
	return r < 0 ? r : err_setf(reterr, -EINVAL, "process %d has begun already", (int)inject_pid(inj));
}

/* Stopped by whoever handed it over: when we let go of it, it stops again. */
static int attach_new(pid_t pid, struct inject **ret, struct err *reterr)
{
	int r = inject_attach(pid, ret, reterr);
	if (r)
		return r;
	r = inject_stop(*ret, reterr);
	r = r ? r : check_new(*ret, reterr);
	if (r)
		inject_detach(*ret);
	return r;
}

static int run_stopped(pid_t pid, struct err *reterr)
{
	uint64_t entry = entry_of(pid);
	struct inject *inj;
	int r = attach_new(pid, &inj, reterr);
	if (r)
		return r;
	r = entry ? inject_run_to(inj, entry, reterr) : 0;
	inject_detach(inj);
	return r;
}

int session_attach_new(struct session *s, pid_t pid, uint32_t *ret_proc, struct err *reterr)
{
	struct inject *inj;
	if (s->opts.watch) {
		int r = s->opts.from_entry ? run_stopped(pid, reterr) : 0;
		return r ? r : watch_create(s, pid, NULL, ret_proc, reterr);
	}
	int r = attach_new(pid, &inj, reterr);
	return r ? r : target_create(s, inj, true, true, ret_proc, reterr);
}

int session_child_hand_over(struct session_child *c, struct err *reterr)
{
	pid_t pid = inject_pid(c->inj);
	int r = kill(pid, SIGSTOP) ? err_setf(reterr, -errno, "cannot stop process %d: %s", (int)pid, strerror(errno)) : 0;
	inject_detach(c->inj);
	free(c);
	return r;
}

int session_child_start(char *const argv[], struct session_child **ret, struct err *reterr)
{
	struct session_child *c = calloc(1, sizeof(*c));
	if (!c)
		return err_setf(reterr, -ENOMEM, "out of memory");
	int r = inject_spawn_at_exec(argv, &c->inj, reterr);
	if (r) {
		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

pid_t session_child_pid(const struct session_child *c)
{
	return inject_pid(c->inj);
}

static int child_begin(const struct session *s, struct inject *inj, struct err *reterr)
{
	if (s->opts.watch && !s->opts.from_entry)
		return 0;
	int r = inject_begin(inj, reterr);
	uint64_t entry = r || !s->opts.from_entry ? 0 : entry_of(inject_pid(inj));
	return r || !entry ? r : inject_run_to(inj, entry, reterr);
}

int session_adopt(struct session *s, struct session_child *c, uint32_t *ret_proc, struct err *reterr)
{
	struct inject *inj = c->inj;
	pid_t pid = inject_pid(inj);
	free(c);
	inject_doom(inj, true); /* it has done nothing yet, and would do some things before it is killed */
	int r = child_begin(s, inj, reterr);
	if (r)
		inject_detach(inj);
	else
		r = s->opts.watch ? watch_create(s, pid, inj, ret_proc, reterr) : target_create(s, inj, true, true, ret_proc, reterr);
	if (r) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, __WALL);
		return r;
	}
	inject_doom(inj, false);
	return 0;
}

void session_child_kill(struct session_child *c)
{
	if (!c)
		return;
	pid_t pid = inject_pid(c->inj);
	kill(pid, SIGKILL);
	inject_detach(c->inj);
	waitpid(pid, NULL, __WALL);
	free(c);
}

int session_spawn(struct session *s, char *const argv[], uint32_t *ret_proc, struct err *reterr)
{
	struct session_child *c;
	int r = session_child_start(argv, &c, reterr);
	return r ? r : session_adopt(s, c, ret_proc, reterr);
}

int session_go(struct session *s, struct err *reterr)
{
	int r = 0;
	for (uint32_t i = 1; i < s->target_cnt; i++) {
		struct target *t = s->targets[i];
		if (!t)
			continue;
		/* Where nothing was armed yet, what is asked for may come with its libraries. */
		if (!r && !t->gone && !t->is_watched)
			r = arm_hook(t, reterr);
		if (r == -ESRCH)
			r = 0; /* it ended meanwhile: session_wait() tells */
		if (t->inj)
			target_go(t);
	}
	return r;
}

int session_hold(struct session *s, uint32_t proc, struct err *reterr)
{
	struct target *t = target_at(s, proc);
	return t && !t->gone && !t->is_watched ? target_stop(t, reterr) : 0;
}
