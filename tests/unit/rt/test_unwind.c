/* SPDX-License-Identifier: MIT */
/* The stack walker in this very process, over obj's tables, against the
 * unwinder of the C library (libgcc's). */
#include "../tap.h"
#include "obj/obj.h"
#include "shm.h"

#include <alloca.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#define FRAMES 64
#define NOINLINE __attribute__((noinline, noclone))
#define KEEP(x) __asm__ volatile("" : : "r"(x) : "memory")

static struct wire_shm *shm;
static uint64_t system_calls; /* walks that knew less than they could */

static void tables(void)
{
	struct obj_proc *p;
	struct err err;
	if (!CHECK_MSG(!obj_proc_open(getpid(), &p, &err), "%s", err.msg))
		return;
	struct wire_unw_map *maps = (struct wire_unw_map *)((uint8_t *)shm + shm->unw_off);
	uint64_t at = align_up(shm->unw_off + 64 * sizeof(*maps), 16);
	uint32_t n = 0;
	for (uint32_t i = 0; i < obj_map_cnt(p); i++) {
		const struct obj_map *m = obj_map_at(p, i);
		struct obj_module *mod = obj_module_by_addr(p, m->start);
		struct wire_unw_row *rows;
		uint32_t cnt;
		if (!(m->prot & PROT_EXEC) || !mod || obj_unwind_rows(p, mod, m->start, m->end, &rows, &cnt, NULL))
			continue;
		maps[n++] = (struct wire_unw_map){ .start = m->start, .end = m->end, .rows_off = at, .row_cnt = cnt };
		memcpy((uint8_t *)shm + at, rows, cnt * sizeof(*rows));
		at = align_up(at + cnt * sizeof(*rows), 16);
		free(rows);
	}
	CHECK(at < shm->unw_off + shm->unw_bytes);
	shm_proc(shm, 0)->unw_off[0] = shm->unw_off;
	shm_proc(shm, 0)->unw_cnt[0] = n;
	obj_proc_close(p);
}

static void begin(void)
{
	shm = shm_create(&(struct shm_opts){ .unw_bytes = 16 << 20 });
	tables();
}

static uint32_t walk(const ucontext_t *uc, uint64_t *pcs)
{
	static const uint8_t at[] = { [WIRE_R15] = REG_R15, [WIRE_R14] = REG_R14, [WIRE_R13] = REG_R13, [WIRE_R12] = REG_R12,
				      [WIRE_RBP] = REG_RBP, [WIRE_RBX] = REG_RBX, [WIRE_R11] = REG_R11, [WIRE_R10] = REG_R10 };
	struct wire_site *site = shm_site(shm, WIRE_SITE_OFFSET);
	site->addr = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	uint64_t sp = (uint64_t)uc->uc_mcontext.gregs[REG_RSP];
	struct rt_ctx *ctx = rt_enter(shm, shm_proc(shm, 0), shm_thread(shm, 0), site, sp);
	if (!ctx)
		return 0;
	for (size_t i = 0; i < ARRAY_CNT(at); i++)
		ctx->regs[i] = (uint64_t)uc->uc_mcontext.gregs[at[i]];
	ctx->regs[WIRE_RSP] = sp;
	uint32_t n = rt_stack_walk(ctx, pcs, FRAMES);
	rt_leave(ctx);
	return n;
}

struct unwound {
	void **pcs;
	int cnt, max;
};

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *c, void *arg)
{
	struct unwound *u = arg;
	if (u->cnt == u->max)
		return _URC_END_OF_STACK;
	if (u->cnt >= 0) /* the first is our own */
		u->pcs[u->cnt] = (void *)_Unwind_GetIP(c);
	u->cnt++;
	return _URC_NO_REASON;
}

/* As backtrace(), which a sanitizer puts a frame of its own below. */
static NOINLINE int unwind(void **pcs, int max)
{
	struct unwound u = { pcs, -1, max };
	_Unwind_Backtrace(add_frame, &u);
	return u.cnt > 1 && !pcs[u.cnt - 1] ? u.cnt - 1 : u.cnt;
}

/* Both unwinders from here: the same but for where in this function each began. */
static NOINLINE void compare(void)
{
	ucontext_t uc;
	uint64_t ours[FRAMES], again[FRAMES];
	void *theirs[FRAMES];
	getcontext(&uc);
	uint32_t n = walk(&uc, ours);
	int want = unwind(theirs, FRAMES);
	/* once more without system calls: all that was read is known now */
	shm_proc(shm, 0)->flags = WIRE_PROC_NO_SYSCALL;
	system_calls += walk(&uc, again) != n;
	shm_proc(shm, 0)->flags = 0;
	CHECK_EQ(n, want);
	if (n != (uint32_t)want)
		want = n < (uint32_t)want ? (int)n : want;
	for (int i = 1; i < want; i++)
		if (!CHECK_MSG(ours[i] == (uint64_t)theirs[i], "frame %d is at %p, not %p", i, (void *)ours[i], theirs[i]))
			break;
	CHECK(n > 4);
}

static NOINLINE void plain(int depth)
{
	if (depth)
		plain(depth - 1);
	else
		compare();
	KEEP(&depth);
}

static NOINLINE void big_frame(int pages)
{
	char big[10000];
	KEEP(big);
	if (pages)
		big_frame(pages - 1);
	else
		compare();
	KEEP(big);
}

static NOINLINE void variable_frame(size_t bytes)
{
	char *p = alloca(bytes);
	KEEP(p);
	compare();
	KEEP(p);
}

static NOINLINE void realigned(size_t bytes)
{
	char aligned[64] __attribute__((aligned(64)));
	char *p = alloca(bytes);
	KEEP(aligned);
	KEEP(p);
	variable_frame(bytes);
	KEEP(aligned);
	KEEP(p);
}

static int by_callback(const void *a, const void *b)
{
	static int once;
	if (!once++)
		compare();
	return *(const int *)a - *(const int *)b;
}

static void deep_and_wide(void)
{
	begin();
	compare();
	plain(30);
	big_frame(3);
	variable_frame(5000);
	realigned(300);
	CHECK_EQ(system_calls, 0);
	shm_destroy(shm);
}

static void through_the_library(void)
{
	begin();
	int v[] = { 3, 1, 2 };
	qsort(v, 3, sizeof(*v), by_callback);
	shm_destroy(shm);
}

static volatile sig_atomic_t handled;
static void on_signal(int sig)
{
	(void)sig;
	handled++;
	compare();
}

static NOINLINE void raise_here(int sig)
{
	raise(sig);
	KEEP(&sig);
}

static NOINLINE void fault_here(void)
{
	__asm__ volatile("ud2"); /* rip is this very instruction */
}

static void skip_ud2(int sig, siginfo_t *info, void *uc)
{
	(void)sig, (void)info;
	compare();
	((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP] += 2;
}

static void through_signal_frames(void)
{
	static char mem[64 << 10];
	stack_t alt = { .ss_sp = mem, .ss_size = sizeof(mem) }, none = { .ss_flags = SS_DISABLE };
	begin();
	struct sigaction sa = { .sa_handler = on_signal };
	sigaction(SIGUSR1, &sa, NULL);
	raise_here(SIGUSR1);
	sigaltstack(&alt, NULL);
	sa.sa_flags = SA_ONSTACK;
	sigaction(SIGUSR1, &sa, NULL);
	raise_here(SIGUSR1);
	sigaltstack(&none, NULL);
	CHECK_EQ(handled, 2);
	sa = (struct sigaction){ .sa_sigaction = skip_ud2, .sa_flags = SA_SIGINFO };
	sigaction(SIGILL, &sa, NULL);
	fault_here();
	shm_destroy(shm);
}

static void *thread(void *arg)
{
	plain(5);
	return arg;
}

static void on_a_thread(void)
{
	pthread_t t;
	begin();
	pthread_create(&t, NULL, thread, NULL);
	pthread_join(t, NULL);
	shm_destroy(shm);
}

/* Anywhere in a busy program: what a timer interrupts. */
static uint64_t compared, differed;
static void on_timer(int sig, siginfo_t *info, void *arg)
{
	(void)sig, (void)info;
	const ucontext_t *uc = arg;
	uint64_t ours[FRAMES];
	void *theirs[FRAMES];
	uint32_t n = walk(uc, ours);
	int want = unwind(theirs, FRAMES), skip = 0;
	while (skip < want && (uint64_t)theirs[skip] != ours[0])
		skip++; /* this handler and its frame */
	bool same = n == (uint32_t)(want - skip);
	for (uint32_t i = 0; same && i < n; i++)
		same = ours[i] == (uint64_t)theirs[(uint32_t)skip + i];
	compared++;
	differed += !same;
}

static void wherever_a_timer_strikes(void)
{
	begin();
	struct sigaction sa = { .sa_sigaction = on_timer, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct itimerspec every = { { 0, 100000 }, { 0, 100000 } };
	timer_t timer;
	void *dummy[1];
	unwind(dummy, 1); /* loads libgcc */
	compared = differed = 0;
	sigaction(SIGUSR2, &sa, NULL);
	timer_create(CLOCK_MONOTONIC, &(struct sigevent){ .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 }, &timer);
	timer_settime(timer, 0, &every, NULL);
	for (uint64_t end = rt_now_tsc() + 2000000000ULL; rt_now_tsc() < end;) {
		int v[200];
		char text[200];
		for (int i = 0; i < 200; i++)
			v[i] = (i * 7919) % 200;
		qsort(v, 200, sizeof(*v), by_callback);
		snprintf(text, sizeof(text), "%d %s %f %x", v[3], "text", 3.25 * v[4], v[5]);
		KEEP(text);
	}
	timer_delete(timer);
	CHECK(compared > 100);
	CHECK_MSG(differed * 100 <= compared, "%u of %u stacks differ", (unsigned)differed, (unsigned)compared);
	printf("# %u of %u stacks differ\n", (unsigned)differed, (unsigned)compared);
	shm_destroy(shm);
}

TAP_MAIN(TEST(deep_and_wide), TEST(through_the_library), TEST(through_signal_frames), TEST(on_a_thread),
	 TEST(wherever_a_timer_strikes))
