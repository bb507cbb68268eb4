/* SPDX-License-Identifier: MIT */
/* The session's shared memory and its life. */
#include "session/kern_int.h"
#include "ebpf/ebpf.h"
#include "rt/rt.h"
#include "wire/layout.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define MIB (1ULL << 20)
#define PROC_CNT 512u
#define KERNEL_SITES 8192u
#define USER_SITES (1u << 19)
#define BOTH_SITES 65536u /* where processes have theirs there, too */
#define KERNEL_UNW_BYTES (16 * MIB)
#define KERNEL_DYN_LEAST (64ULL << 10)
#define KERNEL_STR_BYTES (1ULL << 19)
#define BOTH_STR_PER_SITE 128u
/* A hint, away from where programs and the kernel put things: an address of the
 * traced program that the tool's own probes read is not to look like one of ours. */
#define SHM_PLACE ((void *)0x2a0000000000)

/* The memory for them is also that of self-> variables in the kernel. */
static bool uses_dynvars(const struct ir_image *img)
{
	for (uint32_t i = 0; i < img->prog_cnt; i++)
		for (uint32_t pc = 0; pc < img->progs[i].insn_cnt; pc++) {
			const struct ir_insn *in = &img->progs[i].insns[pc];
			const char *name = in->op == IR_OP_CALL ? ir_helper((enum ir_helper)in->imm)->name : "";
			if (!strncmp(name, "dyn_", 4))
				return true;
		}
	return img->self_bytes != 0;
}

/* The kernel's memory is there in full. */
static void layout_kernel(struct session *s, struct wire_layout_in *in)
{
	in->thread_cnt = s->opts.thread_cnt ? s->opts.thread_cnt : 1;
	s->kern_slot = in->thread_cnt;
	in->thread_cnt += ebpf_slot_cnt(s->opts.preempts);
	in->place_cnt = 0;
	bool both = !s->opts.watch && s->kern_slot > 1;
	in->site_cap = s->opts.site_cap ? s->opts.site_cap : both ? BOTH_SITES : KERNEL_SITES;
	in->str_cap += (both ? (uint64_t)in->site_cap * BOTH_STR_PER_SITE : KERNEL_STR_BYTES) - 64 * MIB;
	in->site_cap += s->opts.functions;
	in->str_cap += (uint64_t)s->opts.functions * BOTH_STR_PER_SITE;
	in->unw_bytes = s->uses_stacks && (!s->opts.watch || s->opts.unwinds) ? KERNEL_UNW_BYTES : WIRE_PAGE;
	if (!uses_dynvars(s->image))
		in->dyn_bytes = KERNEL_DYN_LEAST;
	ebpf_layout(in, s->image);
}

/* All of it is sparse: what is not touched takes no memory. */
static int make_layout(struct session *s, struct wire_shm *out, struct err *reterr)
{
	struct wire_layout_in in = { 0 };
	ir_image_layout(s->image, &in);
	in.thread_cnt = s->opts.thread_cnt ? s->opts.thread_cnt : 512;
	in.site_cap = s->opts.site_cap ? s->opts.site_cap : USER_SITES;
	in.str_cap += 64 * MIB;
	in.dyn_bytes = s->opts.dyn_bytes ? s->opts.dyn_bytes : 4 * MIB;
	in.unw_bytes = s->uses_stacks || s->opts.grows ? 256 * MIB : 4096;
	in.ring_bytes = s->opts.ring_bytes ? s->opts.ring_bytes : 4 * MIB;
	in.agg_bytes = s->opts.agg_bytes ? s->opts.agg_bytes : 4 * MIB;
	in.ctx_bytes = sizeof(struct rt_ctx);
	in.agg_max = s->opts.agg_max;
	in.dyn_max = s->opts.dyn_max;
	in.alloca_bytes = s->opts.alloca_bytes;
	in.spec_cnt = s->opts.spec_cnt;
	in.rates = s->opts.budget && !s->opts.kernel;
	in.proc_cnt = s->opts.kernel ? 0 : s->opts.follow ? WIRE_PROC_MAX : PROC_CNT; /* what is not used is not there */
	if (s->opts.grows)
		grow_layout(&in);
	if (s->opts.kernel)
		layout_kernel(s, &in);
	assert(!in.rates || in.site_cap == USER_SITES); /* stacks are spread over rows of that length (jit/x86_64/rate.c) */
	return wire_layout(out, &in, reterr);
}

int session_memfd(const char *name, uint64_t bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = fd < 0 ? -errno : session_set_size(fd, bytes);
	if (!r && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		r = -errno;
	if (r && fd >= 0)
		close(fd);
	return r ? r : fd;
}

/* A limit on file sizes counts for it, too, though it is sparse; the caller survives SIGXFSZ. */
int session_set_size(int fd, uint64_t bytes)
{
	struct rlimit lim, wide;
	getrlimit(RLIMIT_FSIZE, &lim);
	wide = (struct rlimit){ lim.rlim_max, lim.rlim_max };
	setrlimit(RLIMIT_FSIZE, &wide);
	int r = ftruncate(fd, (off_t)bytes) ? -errno : 0;
	setrlimit(RLIMIT_FSIZE, &lim);
	return r;
}

static struct wire_thread *thread_at(struct session *s, uint32_t i)
{
	return (struct wire_thread *)((uint8_t *)s->shm + s->shm->thread_off + i * s->shm->geom.stride);
}

/* Targets can write all of the shared memory.  What the tool relies on blindly is private here: its own area,
 * whose contexts hold pointers, and (copy_what_is_fixed) the page that says where all is. */
static int own_area(struct session *s, struct err *reterr)
{
	if (s->opts.shared)
		return share_own(s, s->shm->thread_off, s->shm->geom.stride, reterr);
	if (mmap(thread_at(s, 0), s->shm->geom.stride, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		return err_setf(reterr, -errno, "cannot map memory: %s", strerror(errno));
	return 0;
}

/* A copy of these pages as they stand; a write to a page makes it one. */
static int copy_pages(struct session *s, uint64_t off, uint64_t bytes, struct err *reterr)
{
	volatile uint8_t *p = (volatile uint8_t *)s->shm + off;
	if (bytes && mmap((void *)p, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, s->shm_fd, (off_t)off) == MAP_FAILED)
		return err_setf(reterr, -errno, "cannot map memory: %s", strerror(errno));
	for (uint64_t i = 0; i < bytes; i += WIRE_PAGE)
		p[i] = p[i];
	return 0;
}

/* Before any target has the memory. */
static int copy_what_is_fixed(struct session *s, struct err *reterr)
{
	int r = copy_pages(s, 0, WIRE_PAGE, reterr);
	return r ? r : copy_pages(s, s->shm->agg_desc_off, s->shm->thread_off - s->shm->agg_desc_off, reterr);
}

static int map_kernel(struct session *s, const struct wire_shm *layout, struct err *reterr)
{
	int r = ebpf_shm_create(layout, &s->shm_fd, &s->shm, reterr);
	if (r < 0)
		return r;
	s->shm->spec_bytes = s->opts.spec_bytes;
	return own_area(s, reterr);
}

const char *session_smaller(const struct session *s)
{
	return s->opts.budget && !s->opts.kernel ? "it without -x budget (1 GiB of addresses), a smaller bufsize or aggsize" :
		"a smaller bufsize or aggsize";
}

static int map_shm(struct session *s, const struct wire_shm *layout, struct err *reterr)
{
	if (s->opts.kernel)
		return map_kernel(s, layout, reterr);
	s->shm_fd = session_memfd("dyntrace-shm", layout->bytes);
	if (s->shm_fd < 0)
		return err_setf(reterr, s->shm_fd, "cannot make %llu MiB of shared memory: %s; try %s, or a higher ulimit -f",
				(unsigned long long)(layout->bytes / MIB), strerror(-s->shm_fd), session_smaller(s));
	s->shm = mmap(SHM_PLACE, layout->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, s->shm_fd, 0);
	if (s->shm == MAP_FAILED) {
		s->shm = NULL;
		return err_setf(reterr, -errno, "cannot map %llu MiB of shared memory: %s; try %s, or a higher ulimit -v",
				(unsigned long long)(layout->bytes / MIB), strerror(errno), session_smaller(s));
	}
	madvise(s->shm, layout->bytes, MADV_DONTDUMP);
	*s->shm = *layout;
	s->shm->spec_bytes = s->opts.spec_bytes;
	s->shm->flight = s->opts.flight;
	return own_area(s, reterr);
}

static void thread_reset(struct wire_thread *t)
{
	for (int i = 0; i < WIRE_LEVEL_MAX; i++)
		t->ring.open[i] = ~0ULL;
}

/* Process 0 and thread slot 0 are the tool itself. */
static void fill_tool(struct session *s)
{
	struct wire_proc *proc = (struct wire_proc *)((uint8_t *)s->shm + s->shm->proc_off);
	struct wire_thread *thr = thread_at(s, 0);
	proc->pid = (uint32_t)getpid();
	proc->ppid = (uint32_t)getppid();
	procinfo_ancestors(getpid(), proc);
	proc->uid = getuid();
	proc->gid = getgid();
	proc->errno_off = INT64_MIN;
	char comm[16] = "";
	prctl(PR_GET_NAME, comm);
	proc->execname = intern_add(s->strings, comm);
	proc->psargs = procinfo_args(getpid(), s->strings);
	proc->shm_addr = (uint64_t)s->shm;
	thread_reset(thr);
	thr->tid = proc->pid;
	thr->state = WIRE_THREAD_LIVE;
}

void session_tool_is(struct session *s, const struct session_identity *who)
{
	struct wire_proc *proc = (struct wire_proc *)((uint8_t *)s->shm + s->shm->proc_off);
	uint32_t name = intern_add(s->strings, who->execname), args = procinfo_args(who->pid, s->strings);
	proc->pid = (uint32_t)who->pid;
	proc->ppid = (uint32_t)who->ppid;
	procinfo_ancestors(who->pid, proc);
	proc->uid = who->uid;
	proc->gid = who->gid;
	proc->execname = name == WIRE_NONE ? proc->execname : name;
	proc->psargs = args == WIRE_NONE ? proc->psargs : args;
	thread_at(s, 0)->tid = proc->pid;
}

void session_tool_reads(struct session *s, pid_t pid)
{
	thread_at(s, 0)->mem_pid = (uint32_t)pid;
}

/* Likewise what describes aggregations; its numbers of generations are for the kernel, too. */
static int own_descs(struct session *s, struct err *reterr)
{
	uint64_t off = s->shm->agg_desc_off, bytes = s->shm->thread_off - off;
	uint8_t *p = (uint8_t *)s->shm + off;
	if (!bytes)
		return 0;
	void *theirs = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->shm_fd, (off_t)off);
	if (theirs == MAP_FAILED || mmap(p, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return err_setf(reterr, -errno, "cannot map memory: %s", strerror(errno));
	memcpy(p, theirs, bytes);
	s->kern_descs = theirs;
	return 0;
}

/* Of the kernel's memory there are no private copies: the first page is one of the sign, with the same in it. */
static int own_head(struct session *s, struct err *reterr)
{
	uint8_t head[WIRE_PAGE];
	memcpy(head, s->shm, sizeof(head));
	s->sign_fd = owner_sign(s->shm);
	if (s->sign_fd < 0)
		return err_setf(reterr, s->sign_fd, "cannot make memory: %s", strerror(-s->sign_fd));
	if (mmap(s->shm, WIRE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, s->sign_fd, 0) == MAP_FAILED)
		return err_setf(reterr, -errno, "cannot map memory: %s", strerror(errno));
	memcpy(s->shm, head, sizeof(head));
	return own_descs(s, reterr);
}

static int fill(struct session *s, struct err *reterr)
{
	memcpy((uint8_t *)s->shm + s->shm->agg_desc_off, s->image->aggs, s->image->agg_cnt * sizeof(struct wire_agg));
	s->strings = intern_create(s->shm, s->image);
	if (!s->strings)
		return err_setf(reterr, -ENOMEM, "out of memory");
	s->agg_cnt = s->image->agg_cnt;
	s->const_bytes = s->image->str_bytes;
	s->const_reserved = s->opts.grows ? GROW_STR_BYTES : 0;
	if (intern_reserve(s->strings, s->const_reserved))
		return err_setf(reterr, -ENOMEM, "out of memory");
	fill_tool(s);
	s->shm->tsc_mult = 1ULL << WIRE_TSC_SHIFT;
	bool later = s->opts.clock_later && !s->opts.kernel;
	clock_begin();
	int r = s->opts.looks_only || later ? 0 : clock_calibrate(s->shm, reterr);
	if (!r && s->opts.kernel) {
		r = skern_create(s, s->kern_slot, reterr);
		return r ? r : own_head(s, reterr);
	}
	return r ? r : copy_what_is_fixed(s, reterr);
}

/* Targets have the page as it was when ours became a copy. */
static bool show_all(struct session *s, size_t off, size_t bytes)
{
	return pwrite(s->shm_fd, (const uint8_t *)s->shm + off, bytes, (off_t)off) == (ssize_t)bytes;
}

_Static_assert(offsetof(struct wire_shm, tsc_mult) == offsetof(struct wire_shm, tsc_base) + 3 * sizeof(uint64_t), "written at once");

int session_clock(struct session *s, struct err *reterr)
{
	if (!s->opts.clock_later || s->opts.kernel || s->opts.looks_only)
		return 0;
	int r = clock_calibrate(s->shm, reterr);
	if (!r && !show_all(s, offsetof(struct wire_shm, tsc_base), 4 * sizeof(uint64_t)))
		r = err_setf(reterr, -EIO, "cannot write to the shared memory");
	return r;
}

int session_create(const struct ir_image *image, const struct session_opts *opts, struct session **ret, struct err *reterr)
{
	struct session *s = calloc(1, sizeof(*s));
	struct wire_shm layout;
	if (!s)
		return err_setf(reterr, -ENOMEM, "out of memory");
	s->image = image;
	s->opts = *opts;
	s->shm_fd = s->own_fd = s->sign_fd = -1;
	s->target_cnt = 1;
	s->uses_stacks = grow_uses_stacks(image);
	int r = make_layout(s, &layout, reterr);
	if (!r)
		r = map_shm(s, &layout, reterr);
	if (!r)
		r = fill(s, reterr);
	bool keeps_budget = !r && s->shm->rate_off && !s->opts.looks_only;
	if (keeps_budget && !(s->budget = budget_create(s->shm, s->shm_fd, s->opts.budget)))
		r = err_setf(reterr, -EAGAIN, "cannot start the thread that keeps the budget (-x budget)");
	if (r) {
		session_destroy(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* Processes could have written there. */
static const char *interned(const struct session *s, uint32_t off)
{
	const struct wire_shm *shm = s->shm;
	const struct wire_str *str = (const struct wire_str *)((const uint8_t *)shm + shm->str_off + off);
	if (off % 8 || off >= shm->str_cap - sizeof(*str))
		return "?";
	return memchr(str->s, 0, shm->str_cap - off - sizeof(*str)) ? str->s : "?";
}

struct session_budget session_budget_report(struct session *s)
{
	struct budget_report r = { 0 };
	if (s->budget)
		r = budget_report(s->budget);
	return (struct session_budget){ r.sampled, r.counted, r.is_vain, r.off, r.on, r.unsampled };
}

uint32_t session_budget_places(struct session *s, struct session_sampled *ret, uint32_t cap, bool sampled)
{
	uint32_t cnt = 0, filled = 0;
	struct budget_told *v = s->budget ? budget_places(s->budget, &cnt) : NULL;
	for (uint32_t i = 0; i < cnt && filled < cap; i++) {
		const struct wire_site *site = session_site(s, v[i].site);
		if (sampled && v[i].weight < 2)
			continue;
		struct session_sampled *p = &ret[filled++];
		snprintf(p->place, sizeof(p->place), "%s:%s:%s", interned(s, site->mod), interned(s, site->func), interned(s, site->name));
		p->weight = v[i].weight;
		p->taken = v[i].taken;
	}
	free(v);
	return filled;
}

void target_free(struct target *t)
{
	if (!t)
		return;
	inject_detach(t->link ? t->link : t->inj);
	for (uint32_t i = 0; i < t->arena_cnt; i++)
		arena_release(t->arenas[i]);
	free(t->arenas);
	free(t->code);
	landing_free(t);
	free(t->placed);
	free(t->moves);
	free(t->retired);
	free(t->went);
	free(t->holes);
	goscan_free(t);
	free(t->semas);
	free(t->guards);
	rseq_free(t);
	branches_free(t);
	obj_proc_close(t->obj);
	if (t->pidfd >= 0)
		close(t->pidfd);
	if (t->memfd >= 0)
		close(t->memfd);
	free(t);
}

void session_destroy(struct session *s)
{
	if (!s)
		return;
	budget_destroy(s->budget);
	if (s->shm)
		session_disarm(s, NULL);
	for (uint32_t i = 1; i < s->target_cnt; i++)
		target_free(s->targets[i]);
	skern_destroy(s->kern);
	watch_deinit(s);
	intern_destroy(s->strings);
	if (s->kern_descs)
		munmap(s->kern_descs, s->shm->thread_off - s->shm->agg_desc_off);
	if (s->shm)
		munmap(s->shm, s->shm->bytes);
	if (s->shm_fd >= 0)
		close(s->shm_fd);
	if (s->own_fd >= 0)
		close(s->own_fd);
	if (s->sign_fd >= 0)
		close(s->sign_fd);
	free(s);
}

struct wire_shm *session_shm(struct session *s)
{
	return s->shm;
}

void session_agg_gen(struct session *s, uint32_t agg, uint32_t gen)
{
	uint64_t off = s->shm->agg_desc_off + agg * sizeof(struct wire_agg) + offsetof(struct wire_agg, gen);
	STORE_RELEASE((uint32_t *)((uint8_t *)s->shm + off), gen);
	if (s->kern_descs)
		STORE_RELEASE(&s->kern_descs[agg].gen, gen);
	else if (pwrite(s->shm_fd, &gen, sizeof(gen), (off_t)off) != (ssize_t)sizeof(gen))
		session_enable(s, false); /* cannot be: a page of the memory that is in use */
}

struct obj_proc *session_obj(struct session *s, uint32_t proc)
{
	if (proc >= WIRE_PROC_MAX)
		return watch_obj(s, proc);
	struct target *t = target_at(s, proc);
	return t ? t->obj : NULL;
}

pid_t session_pid(const struct session *s, uint32_t proc)
{
	struct target *t = target_at(s, proc);
	return t ? t->pid : 0;
}

void session_forget_mains(struct session *s)
{
	for (uint32_t i = 1; i < s->target_cnt; i++)
		if (s->targets[i] && !s->targets[i]->gone && s->targets[i]->shm_addr)
			target_forget_main(s->targets[i]);
}

void session_enable(struct session *s, bool on)
{
	for (uint32_t i = 1; i < s->target_cnt && on; i++)
		if (s->targets[i] && !s->targets[i]->gone && s->targets[i]->shm_addr)
			guard_look(s->targets[i]); /* the guards were silent until now */
	__atomic_store_n(&s->shm->armed, on, __ATOMIC_SEQ_CST);
	if (!on)
		session_forget_mains(s);
}

/* ---- thread slots ---- */

static bool has_ended(struct session *s, const struct wire_thread *t)
{
	uint32_t proc = t->proc;
	struct target *target = target_at(s, proc);
	const struct wire_proc *procs = (const struct wire_proc *)((const uint8_t *)s->shm + s->shm->proc_off);
	if (!target || target->gone) {
		/* A child that has not been adopted yet lives. */
		return target || (proc && proc < s->shm->proc_cnt && LOAD_ACQUIRE(&procs[proc].state) == WIRE_PROC_FREE);
	}
	/* Who could not tell its number may run right now, in the very area that would be zeroed; or, where nothing tells
	 * successive threads from each other, a thread that came after it. */
	return procs[proc].tid_off && !(t->tid & WIRE_TID_MADE_UP) && !procinfo_has_thread(target, t->tid);
}

/* Gives the pages of a slot back and makes it free: at last, for others take what is free. */
static void slot_free(struct session *s, struct wire_thread *t)
{
	uint32_t incarnation = t->incarnation;
	uint64_t off = (uint64_t)((uint8_t *)t - (uint8_t *)s->shm) + WIRE_PAGE, rest = s->shm->geom.stride - WIRE_PAGE;
	_Static_assert(offsetof(struct wire_thread, state) == 0, "it stays until all else is clear");
	if (fallocate(s->shm_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)rest))
		memset((uint8_t *)t + WIRE_PAGE, 0, rest);
	memset((uint8_t *)t + sizeof(t->state), 0, WIRE_PAGE - sizeof(t->state));
	t->incarnation = incarnation;
	thread_reset(t);
	STORE_RELEASE(&t->state, WIRE_THREAD_FREE);
}

void session_reap_threads(struct session *s, session_drained_fn *drained, void *arg)
{
	for (uint32_t i = 1; i < s->shm->thread_cnt; i++) {
		struct wire_thread *t = thread_at(s, i);
		uint32_t state = LOAD_ACQUIRE(&t->state);
		if (state == WIRE_THREAD_FREE && !t->incarnation)
			break; /* slots are taken in order */
		bool has_died = state == WIRE_THREAD_LIVE && has_ended(s, t);
		if (has_died || state == WIRE_THREAD_DEAD)
			session_close_ring(s, t);
		if (has_died) {
			STORE_RELEASE(&t->key, 0); /* nobody finds it any more */
			STORE_RELEASE(&t->state, WIRE_THREAD_DEAD);
		} else if (state == WIRE_THREAD_DEAD && drained(arg, i))
			slot_free(s, t);
	}
	if (s->opts.follow)
		children_reap(s);
}
