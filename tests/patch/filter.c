/* SPDX-License-Identifier: MIT */
/*
 * Trampolines whose probes have filters, run: what is filtered out goes straight through, the rest is counted, and a thread that stands
 * anywhere in them, or in what they displace, can be moved out and in (the processor's trap flag stops it after each instruction).
 */
#include "patch/patch.h"

#include "../unit/tap.h"
#include "base/base.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#define TF 0x100
#define ANCHORS 24
#define OWN_BYTES 13
#define STEPS_MAX 400

typedef long fn_t(long a, long b);

/* ---- functions and what is asked of them ---- */

/* Of an anchor: its filter lets pass what is @op of @reg and @imm. */
enum of { A, B, RESULT, NOTHING };
enum op { EQ, NE, LT };
struct asked {
	enum wire_site_kind kind;
	uint32_t offset;
	enum of of; /* NOTHING: no filter */
	enum op op;
	int8_t imm;
};

static const struct shape {
	const char *name, *code;
	uint32_t bytes;
	struct asked asked[ANCHORS];
	uint32_t cnt;
	bool rest;       /* the last probe has what is displaced behind it */
	uint32_t passed; /* so many filters are passed on the way to the first window's end */
} shapes[] = {
	/* mov %rsi,%rax; xor %rdi,%rax; sar $3,%rdi; add %rdi,%rax; ret */
#define PLAIN "\x48\x89\xf0\x48\x31\xf8\x48\xc1\xff\x03\x48\x01\xf8\xc3", 14
	{ "entry", PLAIN, { { WIRE_SITE_ENTRY, 0, A, EQ, -1 } }, 1, true, 1 },
	{ "entry and offset", PLAIN, { { WIRE_SITE_ENTRY, 0, A, EQ, -1 }, { WIRE_SITE_OFFSET, 3, B, LT, 5 } }, 2, true, 2 },
	{ "offset, and entry without", PLAIN, { { WIRE_SITE_ENTRY, 0, NOTHING, EQ, 0 }, { WIRE_SITE_OFFSET, 3, B, NE, 5 } }, 2, true, 1 },
	{ "entry, and offset without", PLAIN, { { WIRE_SITE_ENTRY, 0, A, EQ, -1 }, { WIRE_SITE_OFFSET, 3, NOTHING, EQ, 0 } }, 2, false, 1 },
	{ "two at one place, and the return", PLAIN,
	  { { WIRE_SITE_ENTRY, 0, A, EQ, 7 }, { WIRE_SITE_OFFSET, 0, B, NE, 7 }, { WIRE_SITE_RETURN, 13, RESULT, LT, 0 } }, 3, true, 2 },
#define ONE { WIRE_SITE_OFFSET, 0, A, LT, 5 }
	{ "more than are kept", PLAIN,
	  { ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE, ONE }, 20, false, 16 },
	/* push %rbx; mov %rdi,%rbx; sub $16,%rsp; lea (%rsi,%rdi),%rax; add $16,%rsp; pop %rbx; ret */
	{ "return", "\x53\x48\x89\xfb\x48\x83\xec\x10\x48\x8d\x04\x3e\x48\x83\xc4\x10\x5b\xc3", 18,
	  { { WIRE_SITE_RETURN, 17, RESULT, EQ, 0 } }, 1, true, 1 },
	/* xor %ecx,%ecx; lea 8(%rip),%rdx; lea (%rdi,%rsi),%rax; add (%rdx),%rax; ret; 0xc3f */
	{ "relative to rip", "\x31\xc9\x48\x8d\x15\x08\0\0\0\x48\x8d\x04\x37\x48\x03\x02\xc3\x3f\x0c\0\0\0\0\0\0", 25,
	  { { WIRE_SITE_ENTRY, 0, B, LT, 0 } }, 1, false, 1 },
	/* mov %esi,%eax; test %edi,%edi; js 1f; je 1f; add $2,%esi; sub $1,%esi; mov %rsi,%rax; nop; 1: ret; mov $1,%eax; jmp 1b */
	{ "a return with what leads there", "\x89\xf0\x85\xff\x78\x0c\x74\x0a\x83\xc6\x02\x83\xee\x01\x48\x89\xf0\x90\xc3\xb8\x01\0\0\0\xeb\xf8", 26,
	  { { WIRE_SITE_ENTRY, 0, A, EQ, 2 }, { WIRE_SITE_RETURN, 18, A, LT, 0 } }, 2, false, 2 },
	/* cmp %rsi,%rdi; adc %rdi,%rdi; mov %rdi,%rax; ret: in between are flags that live */
	{ "where flags live", "\x48\x39\xf7\x48\x11\xff\x48\x89\xf8\xc3", 10,
	  { { WIRE_SITE_ENTRY, 0, A, NE, 3 }, { WIRE_SITE_OFFSET, 3, A, EQ, 3 } }, 2, false, 1 },
};

static const long values[] = { -1, 2, 7, 0, 1, 3, 5, 100, -129, 1l << 40 };
#define VALUES ARRAY_CNT(values)

static bool passes(const struct asked *q, long a, long b, long result)
{
	long v = q->of == A ? a : q->of == B ? b : result;
	return q->of == NOTHING || (q->op == EQ ? v == q->imm : q->op == NE ? v != q->imm : v < q->imm);
}

/* cmp $imm,%reg; jcc */
static void set_filter(struct patch_anchor *an, const struct asked *q)
{
	static const uint8_t regs[] = { 0xff, 0xfe, 0xf8 }, cc[] = { 0x84, 0x85, 0x8c };
	if (q->of == NOTHING)
		return;
	an->filter_bytes = 10;
	memcpy(an->filter, (const uint8_t[]){ 0x48, 0x83, regs[q->of], (uint8_t)q->imm, 0x0f, cc[q->op], 0, 0, 0, 0 }, 10);
}

/* ---- the same, patched ---- */

static struct made {
	uint8_t *mem; /* the function as it was, patched, and behind that its trampolines */
	const struct shape *s;
	struct patch_func f;
	struct patch_anchor an[ANCHORS];
	struct patch_window w[PATCH_WINDOW_CNT(ANCHORS)];
	int win_cnt;
	uint32_t tramp_bytes[PATCH_WINDOW_CNT(ANCHORS)];
	struct patch_move moves[512];
	uint32_t move_cnt;
	uint64_t counts[ANCHORS];
	bool own; /* bodies stand in trampolines */
} m;

#define PRISTINE m.mem
#define FUNC (m.mem + 0x1000)
#define CALLED (m.mem + 0x2000)
#define TRAMPS (m.mem + 0x3000)
#define MEM_BYTES 0x10000

/* movabs $&count,%rax; incq (%rax) */
static void put_count(uint8_t *to, uint32_t i)
{
	uint64_t at = (uint64_t)(uintptr_t)&m.counts[i];
	memcpy(to, "\x48\xb8", 2);
	memcpy(to + 2, &at, 8);
	memcpy(to + 10, "\x48\xff\x00", 3);
}

/* patch_body_fn */
static int put_body(void *arg, struct patch_anchor *an, uint64_t addr, uint8_t *buf, size_t cap)
{
	(void)arg, (void)addr;
	if (cap < OWN_BYTES)
		return -ENOSPC;
	put_count(buf, (uint32_t)(an - m.an));
	return OWN_BYTES;
}

/* In @cap bytes at @at, of which it is known that they are enough. */
static int emit(uint32_t w, uint64_t at, uint8_t *buf, size_t cap, struct patch_move *moves, uint32_t *ret_cnt)
{
	const struct patch_bodies own = { put_body, NULL };
	struct err err = { 0 };
	uint32_t probes = 0;
	for (uint32_t i = 0; i < m.s->cnt; i++)
		probes += m.an[i].by_sources ? 2 * PATCH_SOURCES : 1;
	cap += m.own ? probes * OWN_BYTES : 0;
	int n = patch_emit(&m.w[w], w, m.f.addr, m.an, m.s->cnt, m.own ? &own : NULL, at, buf, cap, moves, ret_cnt, &err);
	CHECK_MSG(n > 0, "%s: %s", m.s->name, err.msg);
	return n;
}

static void patch_one(uint32_t w)
{
	uint8_t *at = TRAMPS + 0x800 * w, jump[PATCH_WINDOW_MAX], hole[5];
	uint32_t cnt = 0;
	int n = emit(w, (uint64_t)(uintptr_t)at, at, patch_near_max(&m.w[w], w, m.an, m.s->cnt), m.moves + m.move_cnt, &cnt);
	CHECK(cnt <= PATCH_MOVES(m.w[w].bytes));
	m.tramp_bytes[w] = (uint32_t)n;
	m.move_cnt += cnt;
	CHECK_EQ(patch_jump_bytes(&m.w[w], (uint64_t)(uintptr_t)at, jump, hole, NULL), 0);
	memcpy((void *)(uintptr_t)m.w[w].addr, jump, m.w[w].write_bytes);
}

static void make(const struct shape *s, bool own)
{
	if (!m.mem)
		m.mem = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	m = (struct made){ .mem = m.mem, .s = s, .own = own };
	memset(m.mem, 0xcc, MEM_BYTES);
	memcpy(PRISTINE, s->code, s->bytes);
	memcpy(FUNC, s->code, s->bytes);
	m.f = (struct patch_func){ .addr = (uint64_t)(uintptr_t)FUNC, .code = PRISTINE, .bytes = s->bytes };
	for (uint32_t i = 0; i < s->cnt; i++) {
		m.an[i] = (struct patch_anchor){ .offset = s->asked[i].offset, .kind = (uint8_t)s->asked[i].kind, .site = i };
		uint8_t *body = CALLED + 32 * i;
		put_count(body, i);
		body[OWN_BYTES] = 0xc3;
		m.an[i].body = (uint64_t)(uintptr_t)body;
		set_filter(&m.an[i], &s->asked[i]);
	}
	m.win_cnt = patch_plan(&m.f, m.an, s->cnt, m.w);
	for (uint32_t i = 0; i < s->cnt; i++)
		CHECK_MSG(!m.an[i].refusal, "%s: +%u: %s", s->name, m.an[i].offset, patch_refusal_text(m.an[i].refusal));
	for (int w = 0; w < m.win_cnt; w++)
		patch_one((uint32_t)w);
}

/* With the first @cnt values. */
static void for_all(void (*fn)(long a, long b), uint32_t cnt)
{
	for (uint32_t i = 0; i < 2 * ARRAY_CNT(shapes); i++) {
		make(&shapes[i / 2], i & 1);
		for (uint32_t k = 0; k < cnt * cnt; k++)
			fn(values[k / cnt], values[k % cnt]);
	}
}

static fn_t *at(uint8_t *code)
{
	return (fn_t *)(uintptr_t)code;
}

/* ---- what is done is right ---- */

static void compare(long a, long b)
{
	memset(m.counts, 0, sizeof(m.counts));
	long want = at(PRISTINE)(a, b), got = at(FUNC)(a, b);
	CHECK_MSG(got == want, "%s(%ld, %ld): %ld, not %ld", m.s->name, a, b, got, want);
	for (uint32_t i = 0; i < m.s->cnt; i++) {
		/* without flags to spare, or behind too many others, all are counted */
		bool all = m.an[i].save_flags || i >= 16, is_true = passes(&m.s->asked[i], a, b, got);
		CHECK_MSG(m.counts[i] == (all || is_true), "%s(%ld, %ld): probe %u: %lu", m.s->name, a, b, i, m.counts[i]);
	}
}

static void counts_what_passes(void)
{
	for_all(compare, VALUES);
}

/* ---- straight through ---- */

static bool is_filter(const uint8_t *ip)
{
	for (uint32_t i = 0; i < m.s->cnt; i++)
		if (m.an[i].filter_bytes && !memcmp(ip, m.an[i].filter, m.an[i].filter_bytes - 4u))
			return true;
	return false;
}

/* How many filters there are from a trampoline's start to the first jump that is taken, if all of them are false; that jump leaves it. */
static uint32_t filters_on_the_way(const uint8_t *tramp, uint32_t bytes)
{
	uint32_t filters = 0, off = 0;
	uint64_t addr = (uint64_t)(uintptr_t)tramp;
	struct isa_insn in;
	for (; !isa_decode(tramp + off, bytes - off, addr + off, &in) && in.flow != ISA_JMP && in.flow != ISA_RET; off += in.len)
		filters += is_filter(tramp + off);
	CHECK_MSG(off < bytes && in.target - addr >= bytes, "%s: jumps within its trampoline", m.s->name);
	return filters;
}

static bool stands_twice(void)
{
	for (uint32_t i = 0; i < m.move_cnt; i++)
		for (uint32_t k = 0; k < i; k++)
			if (m.moves[i].from == m.moves[k].from && m.w[0].moves_as_is)
				return true;
	return false;
}

static void falls_through(void)
{
	for (uint32_t i = 0; i < 2 * ARRAY_CNT(shapes); i++) {
		make(&shapes[i / 2], i & 1);
		uint32_t n = filters_on_the_way(TRAMPS, m.tramp_bytes[0]);
		CHECK_MSG(n == m.s->passed, "%s: %u filters", m.s->name, n);
		CHECK_MSG(stands_twice() == m.s->rest, "%s: what is displaced stands twice, or not", m.s->name);
	}
}

/* ---- a thread that stands anywhere ---- */

static struct {
	long left; /* instructions to go before it is moved */
	bool in;   /* in: from the function as it was; else out */
	bool moved, escaped; /* it left a trampoline, and could not be moved out before */
	uint64_t ip;         /* at the step before */
	uint32_t steps;
} trap;

static uint64_t moved_to(uint64_t ip)
{
	uint64_t func = (uint64_t)(uintptr_t)FUNC, was = (uint64_t)(uintptr_t)PRISTINE;
	for (uint32_t i = 0; i < m.move_cnt; i++) {
		const struct patch_move *v = &m.moves[i];
		if (!trap.in && v->to == ip)
			return v->from - func + was;
		if (trap.in && v->from - func + was == ip && v->from - func < m.s->bytes)
			return v->to;
	}
	return 0;
}

static bool is_tramp(uint64_t ip)
{
	return ip - (uint64_t)(uintptr_t)CALLED < (size_t)(m.mem + MEM_BYTES - CALLED);
}

static void on_trap(int sig, siginfo_t *info, void *ctx)
{
	ucontext_t *uc = ctx;
	uint64_t to = 0, ip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	(void)sig, (void)info;
	if (++trap.steps > STEPS_MAX)
		abort();
	trap.escaped |= trap.left < 0 && !trap.in && is_tramp(trap.ip) && !is_tramp(ip);
	trap.ip = ip;
	if (trap.left-- <= 0)
		to = moved_to(ip);
	if (!to)
		return;
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)to;
	uc->uc_mcontext.gregs[REG_EFL] &= ~TF;
	trap.moved = true;
}

static long run_stepped(uint8_t *code, long a, long b)
{
	long r;
	__asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq; call *%[fn]; pushfq; andq $-0x101, (%%rsp); popfq; lea 128(%%rsp), %%rsp"
			 : "=a"(r), "+D"(a), "+S"(b) : [fn] "r"(code) : "rcx", "rdx", "r8", "r9", "r10", "r11", "cc", "memory");
	return r;
}

static void move_everywhere(long a, long b)
{
	long want = at(PRISTINE)(a, b);
	for (int in = 0; in < 2; in++) {
		long k = 0;
		do {
			trap.left = k++;
			trap.in = in;
			trap.moved = trap.escaped = false;
			trap.steps = 0;
			long got = run_stepped(in ? PRISTINE : FUNC, a, b);
			CHECK_MSG(got == want, "%s(%ld, %ld), %s after %ld: %ld, not %ld", m.s->name, a, b, in ? "in" : "out", k - 1, got,
				  want);
			CHECK_MSG(!trap.escaped, "%s(%ld, %ld): not moved out after %ld", m.s->name, a, b, k - 1);
		} while (trap.moved);
		CHECK_MSG(k > 1, "%s: nowhere moved %s", m.s->name, in ? "in" : "out");
	}
}

static void can_be_moved(void)
{
	struct sigaction sa = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO }, old;
	sigaction(SIGTRAP, &sa, &old);
	for_all(move_everywhere, 3);
	sigaction(SIGTRAP, &old, NULL);
}

/* ---- the room that is said to be enough ---- */

static void far_fits(void)
{
	uint8_t buf[4096];
	struct patch_move moves[PATCH_MOVES(PATCH_WINDOW_MAX)];
	uint32_t cnt;
	for (uint32_t i = 0; i < 2 * ARRAY_CNT(shapes); i++) {
		make(&shapes[i / 2], i & 1);
		for (int w = 0; w < m.win_cnt; w++)
			emit((uint32_t)w, m.f.addr ^ 1ull << 42, buf, m.w[w].tramp_max, moves, &cnt);
	}
}

TAP_MAIN(TEST(counts_what_passes), TEST(falls_through), TEST(can_be_moved), TEST(far_fits))
