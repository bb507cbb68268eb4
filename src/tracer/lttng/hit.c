/* SPDX-License-Identifier: MIT */
/*
 * libdyntrace-lttng.so: LTTng-UST events from inside the traced process.  Loaded there for tracer lttng only.
 *
 * A probe's body jumps to dyntrace_lttng_hit on the thread that hit it, on its own stack, so that LTTng sees the thread as
 * it is.  liblttng-ust is an ordinary library: it may use any register, so all of them are saved here.
 */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "tracer/lttng/named.h"
#include "tracer/lttng/tp.h"
#include "wire/wire.h"

#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
/* x87, SSE, AVX and AVX-512: what compilers use unasked. */
#define XSTATES 0xe7u
#define XSAVE_HEAD 576u

uint32_t lttng_hit_mask, lttng_hit_bytes; /* never change once hits are let in: each is read before the call and after it */
uint32_t lttng_hit_open;
EXPORT uint32_t dyntrace_library_ready;
EXPORT uint64_t dyntrace_library_told; /* how often dyntrace_library_tell() is through */
EXPORT uint64_t dyntrace_lttng_nested; /* hits within LTTng's own work on the same thread: they give no event */

/*
 * How many threads are in a hit, so that the destructor can wait for them: LTTng's take away what they use. In several
 * places, for threads do not share them much then.
 */
#define GATES 64u
static struct gate {
	uint32_t inside;
} __attribute__((aligned(64))) gates[GATES];
static pid_t owner; /* a forked child has numbers of threads that it does not have */

static __thread int busy __attribute__((tls_model("initial-exec")));

/* What the entry below pushes; rsp as it was at the body's first instruction is &ret. */
struct hit_regs {
	uint64_t r11, r10, r9, r8, rdi, rsi, rdx, rcx, rbp, ret, pushed[2];
};

/* Of a function that leaves by a jump to another one there is none yet. The body's contract (jit.h): rax is the nearest word that the trampoline pushed, or, with flags, the next. */
static uint64_t result_of(const struct wire_site *site, const struct hit_regs *r)
{
	return site->leaves_by_jump ? 0 : r->pushed[site->sp_adj / 8 & 1];
}

static void emit(const struct wire_site *site, const struct hit_regs *r)
{
	/* 'e': of an entry and exit; as a capital letter, an event of its own; then the name */
	const char *name = (const char *)(uintptr_t)site->sema;
	const uint64_t args[6] = { r->rdi, r->rsi, r->rdx, r->rcx, r->r8, r->r9 };
	bool leaves = site->kind == WIRE_SITE_RETURN;
	struct lttng_ust_tracepoint *own = *name < 'a' ? named_find(name, leaves) : NULL;
	if (own)
		named_emit(own, leaves ? site->func_addr : site->addr, name + 1, leaves ? NULL : args, leaves ? result_of(site, r) : 0);
	else if (leaves)
		lttng_ust_tracepoint(dyntrace_lttng, function_exit, site->func_addr, name + 1, result_of(site, r));
	else if ((*name | 32) == 'e')
		lttng_ust_tracepoint(dyntrace_lttng, function_entry, site->addr, name + 1, args);
	else
		lttng_ust_tracepoint(dyntrace_lttng, tracepoint_hit, site->addr, name + 1, args);
}

__attribute__((used)) void lttng_hit(const struct wire_site *, const struct hit_regs *);
void lttng_hit(const struct wire_site *site, const struct hit_regs *r)
{
	struct gate *g = &gates[((uintptr_t)&busy >> 6) * 2654435761u >> 16 & (GATES - 1)];
	int saved = errno;
	if (busy) {
		__atomic_add_fetch(&dyntrace_lttng_nested, 1, __ATOMIC_RELAXED);
		return;
	}
	busy = 1;
	__atomic_add_fetch(&g->inside, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&lttng_hit_open, __ATOMIC_SEQ_CST))
		emit(site, r);
	__atomic_sub_fetch(&g->inside, 1, __ATOMIC_SEQ_CST);
	busy = 0;
	errno = saved;
}

EXPORT void dyntrace_library_tell(const char *);

/* On a thread of the program's own, which holds none of the locks that this takes. What it hits meanwhile gives no event. */
void dyntrace_library_tell(const char *text)
{
	int saved = errno;
	busy = 1;
	named_make(text);
	busy = 0;
	errno = saved;
	__atomic_add_fetch(&dyntrace_library_told, 1, __ATOMIC_RELEASE);
}

/* Of a program that is started for them: texts with blanks in between. */
static void make_asked_for(void)
{
	const char *asked = getenv("DYNTRACE_LTTNG_EVENTS");
	char *copy = asked ? strdup(asked) : NULL, *rest = copy;
	for (char *text; copy && (text = strtok_r(rest, " ", &rest));)
		named_make(text);
	free(copy);
}

/* rax: the site; all but rax and flags come back. */
__asm__(
	".text\n"
	".globl dyntrace_lttng_hit\n"
	".type dyntrace_lttng_hit, @function\n"
	"dyntrace_lttng_hit:\n"
	"	cmpl $0, lttng_hit_open(%rip)\n" /* the constructor has not run yet, or the destructor has */
	"	je 1f\n"
	"	push %rbp\n"
	"	mov %rsp, %rbp\n"
	"	push %rcx\n"
	"	push %rdx\n"
	"	push %rsi\n"
	"	push %rdi\n"
	"	push %r8\n"
	"	push %r9\n"
	"	push %r10\n"
	"	push %r11\n"
	"	mov %rax, %rdi\n"
	"	mov %rsp, %rsi\n"
	"	mov lttng_hit_bytes(%rip), %eax\n"
	"	sub %rax, %rsp\n"
	"	and $-64, %rsp\n"
	"	xor %eax, %eax\n"
	"	mov %rax, 512(%rsp)\n" /* the header of the area */
	"	mov %rax, 520(%rsp)\n"
	"	mov %rax, 528(%rsp)\n"
	"	mov %rax, 536(%rsp)\n"
	"	mov %rax, 544(%rsp)\n"
	"	mov %rax, 552(%rsp)\n"
	"	mov %rax, 560(%rsp)\n"
	"	mov %rax, 568(%rsp)\n"
	"	mov lttng_hit_mask(%rip), %eax\n"
	"	xor %edx, %edx\n"
	"	xsave64 (%rsp)\n"
	"	call lttng_hit\n"
	"	mov lttng_hit_mask(%rip), %eax\n"
	"	xor %edx, %edx\n"
	"	xrstor64 (%rsp)\n"
	"	lea -64(%rbp), %rsp\n"
	"	pop %r11\n"
	"	pop %r10\n"
	"	pop %r9\n"
	"	pop %r8\n"
	"	pop %rdi\n"
	"	pop %rsi\n"
	"	pop %rdx\n"
	"	pop %rcx\n"
	"	pop %rbp\n"
	"1:	ret\n"
	".size dyntrace_lttng_hit, . - dyntrace_lttng_hit\n");

__attribute__((constructor)) static void begin(void)
{
	uint32_t a, b, c, d, end = XSAVE_HEAD;
	__cpuid_count(0xd, 0, a, b, c, d);
	uint32_t mask = a & XSTATES;
	for (unsigned i = 2; i < 8; i++) {
		if (!(mask >> i & 1))
			continue;
		__cpuid_count(0xd, i, a, b, c, d);
		end = a + b > end ? a + b : end;
	}
	lttng_hit_bytes = end;
	make_asked_for();
	lttng_hit_mask = mask;
	owner = getpid();
	__atomic_store_n(&lttng_hit_open, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&dyntrace_library_ready, 1, __ATOMIC_RELEASE);
}

static uint32_t inside(void)
{
	uint32_t n = 0;
	for (unsigned i = 0; i < GATES; i++)
		n += __atomic_load_n(&gates[i].inside, __ATOMIC_SEQ_CST);
	return n;
}

#define PATIENCE_MS 2000 /* of a thread that was interrupted in a hit */

/* Before LTTng's own: what the program does after that gives no events. */
__attribute__((destructor)) static void end(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	uint32_t own = busy ? 1 : 0; /* exit() in a signal handler, in a hit */
	int saved = errno;
	__atomic_store_n(&lttng_hit_open, 0, __ATOMIC_SEQ_CST);
	for (int i = 0; i < PATIENCE_MS && getpid() == owner && inside() > own; i++)
		nanosleep(&ms, NULL);
	errno = saved;
}
