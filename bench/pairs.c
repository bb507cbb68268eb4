/* SPDX-License-Identifier: MIT */
/*
 * Functions that are called in turn, so that what is compared is measured in the same moment.
 *
 *   pairs slices FUNCTION...   each for two milliseconds, and again
 *   pairs bursts FUNCTION...   50,000 calls of each, with pauses in which consumers read what was recorded, and again
 *
 * Prints its process id; then, for each turn, three numbers a function: ns of processor time per call, ns of wall time,
 * and the first byte of its code, which tells whether a probe is there.  Ends at SIGTERM.  It is pinned to the first processor.
 *
 * Of each kind of function there are several that are alike: nobody's (..._base), dyntrace's, a peer's; and dyntrace's least
 * by hand (micro/limits.S).  What that writes is read by a process on the other processor as often as dyntrace reads.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "micro/limits.h"

#ifdef LTTNG
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "lttng_tp.h"
#else
#define lttng_ust_tracepoint(...) (void)0
#endif

#define BATCH 1000 /* calls; so many different first arguments */
#define BURST_BATCHES 50
#define SLICE_NS 2e6
#define TURN_PAUSE_NS 40000000
#define DRAIN_NS 100000000

#define HIDE __asm__ volatile("" ::: "memory")
#define PROFILED __attribute__((noipa, aligned(64))) /* by -pg, where the program is compiled with that */
#define PLAIN PROFILED __attribute__((no_instrument_function))

typedef long work_fn(long, long);
static volatile long sum;
static volatile sig_atomic_t ended;

/* As compilers make them: no frame pointer, a first instruction that uprobes have to single-step. */
#define WORK(name, attr, before) \
	attr long name(long a, long b) \
	{ \
		HIDE; \
		before; \
		return (a ^ b) + (a >> 3); \
	}
WORK(work, PLAIN, (void)0)
WORK(work_base, PLAIN, (void)0)
WORK(work_peer, PLAIN, (void)0)
WORK(profiled, PROFILED, (void)0)
WORK(traceable, PLAIN, lttng_ust_tracepoint(bench, work, a, b))
WORK(traceable_base, PLAIN, lttng_ust_tracepoint(bench, base, a, b))

/* Begins with a push, which the kernel emulates; with a nop of five bytes, which it may optimise. */
#define BY_HAND(name, code) \
	long name(long, long); \
	__asm__(".pushsection .text\n.balign 64\n.globl " #name "\n.type " #name ", @function\n" #name ":\n.cfi_startproc\n" code \
		"ret\n.cfi_endproc\n.size " #name ", .-" #name "\n.popsection");
#define PUSH "push %rbx\n.cfi_adjust_cfa_offset 8\nlea (%rdi,%rsi),%rax\nlea 3(%rax,%rdi),%rax\npop %rbx\n.cfi_adjust_cfa_offset -8\n"
#define NOP5 ".byte 0x0f, 0x1f, 0x44, 0x00, 0x00\nlea (%rdi,%rsi),%rax\nlea 3(%rax,%rdi),%rax\n"
BY_HAND(push, PUSH)
BY_HAND(push_base, PUSH)
BY_HAND(nop5, NOP5)
BY_HAND(nop5_base, NOP5)

/* leaf, deep_1 to deep_9, the loop, run: twelve frames. */
#define DEEP(name, next) PLAIN long name(long a, long b) { long r = next(a, b); HIDE; return r + a; }
#define CHAIN(deep, leaf) \
	WORK(leaf, PLAIN, (void)0) \
	DEEP(deep##_1, leaf) DEEP(deep##_2, deep##_1) DEEP(deep##_3, deep##_2) DEEP(deep##_4, deep##_3) DEEP(deep##_5, deep##_4) \
	DEEP(deep##_6, deep##_5) DEEP(deep##_7, deep##_6) DEEP(deep##_8, deep##_7) DEEP(deep##_9, deep##_8)
CHAIN(deep, leaf)
CHAIN(deep_base, leaf_base)
CHAIN(deep_peer, leaf_peer)

#define FUNCTIONS(X) \
	X(work, work) X(work_base, work_base) X(work_peer, work_peer) X(profiled, profiled) \
	X(traceable, traceable) X(traceable_base, traceable_base) \
	X(push, push) X(push_base, push_base) X(nop5, nop5) X(nop5_base, nop5_base) \
	X(deep_9, leaf) X(deep_base_9, leaf_base) X(deep_peer_9, leaf_peer) \
	X(limit_count, limit_count) X(limit_key, limit_key) X(limit_predicate, limit_predicate) \
	X(limit_record, limit_record) X(limit_both, limit_both) X(limit_span, limit_span)

/*
 * A loop for each: of several targets of one indirect call, the processor predicts the first at half the cost of the others.  The sum
 * is in a register: in memory, each access of a tracer to the same place of another page would have to wait for it, by luck.
 */
#define LOOP(name, probed) \
	PLAIN static void batch_##name(long done) \
	{ \
		long all = 0; \
		for (long i = 0; i < BATCH; i++) \
			all += name(i, done); \
		sum += all; \
	}
FUNCTIONS(LOOP)

static const struct fn {
	const char *name; /* where the probe is */
	void (*batch)(long done);
	work_fn *probed;
} fns[] = {
#define ONE(name, probed) { #probed, batch_##name, probed },
	FUNCTIONS(ONE)
};

PLAIN static double clock_ns(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

PLAIN static void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* So many batches, or as many as fill a slice where that is 0.  A slice in which others had the processor goes on. */
PLAIN static void run(const struct fn *f, long batches)
{
	double cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID), begin = clock_ns(CLOCK_MONOTONIC), wall = begin, used = 0, due = SLICE_NS;
	long done = 0;
	do {
		f->batch(done);
		wall = clock_ns(CLOCK_MONOTONIC);
		done++;
		if (batches ? done == batches : wall - begin >= due) {
			used = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
			due += SLICE_NS - used;
		}
	} while (batches ? done < batches : !used || (used < SLICE_NS / 2 && wall - begin < 50 * SLICE_NS));
	printf("%.3f %.3f %d ", used / (double)(done * BATCH), (wall - begin) / (double)(done * BATCH), *(volatile uint8_t *)(uintptr_t)f->probed);
}

/* Reads all that is written, every word, as long as the other process lives. */
PLAIN static void consume(void)
{
	const struct timespec gap = { .tv_nsec = DRAIN_NS };
	uint64_t pos = 0, words = 0;
	pin(1);
	for (;;) {
		for (uint64_t end = __atomic_load_n(&limit_ring.head, __ATOMIC_ACQUIRE); pos < end; pos += 8)
			words += limit_ring.data[pos % LIMIT_RING_BYTES / 8];
		limit_ring.seen = words;
		nanosleep(&gap, NULL);
	}
}

/* The ring is memory that is shared, as dyntrace's is.  Whether there is a reader. */
PLAIN static int start_consumer(void)
{
	int fd = memfd_create("limit", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, sizeof(limit_ring)) ||
	    mmap(&limit_ring, sizeof(limit_ring), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		return 0;
	pid_t pid = fork();
	if (pid)
		return pid > 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	consume();
	return 0;
}

PLAIN static void on_term(int sig)
{
	(void)sig;
	ended = 1;
}

PLAIN static const struct fn *find(const char *name)
{
	for (size_t i = 0; i < sizeof(fns) / sizeof(fns[0]); i++)
		if (!strcmp(fns[i].name, name))
			return &fns[i];
	fprintf(stderr, "pairs: no function %s\n", name);
	exit(2);
}

PLAIN int main(int argc, char **argv)
{
	int cnt = argc - 2, bursts = argc > 2 && !strcmp(argv[1], "bursts");
	const struct fn *turn[16];
	if (cnt < 1 || cnt > 16)
		return 2;
	for (int i = 0; i < cnt; i++)
		turn[i] = find(argv[2 + i]);
	if (bursts && !start_consumer())
		return 1;
	pin(0);
	signal(SIGTERM, on_term);
	printf("pid %d\n", (int)getpid());
	const struct timespec gap = { .tv_nsec = TURN_PAUSE_NS / cnt };
	while (!ended) {
		for (int i = 0; i < cnt; i++) {
			run(turn[i], bursts ? BURST_BATCHES : 0);
			if (bursts)
				nanosleep(&gap, NULL);
		}
		printf("\n");
		fflush(stdout);
	}
	return 0;
}
