/* SPDX-License-Identifier: MIT */
/*
 * What a hit costs, in this process: ns over the same untraced call.
 *
 *   f:  mov %rsi,%rax             traced: jmp trampoline; ...
 *       xor %rdi,%rax
 *       sar $3,%rdi                       [jmp trampoline of the return]
 *       add %rdi,%rax
 *       ret
 *
 * Beside each, its limit (limits.S).  All variants run in turn in each round.
 * Of a round counts the fastest of its batches, since other programs run on
 * the machine; the median of the rounds is shown, and the smallest and largest.
 *
 * "body_cost steps" prints instead what single hits are made of: hit, step, ns that it adds, ns with all before it.
 * With "called" behind that bodies are called from trampolines, as where many are armed, rather than to stand in them.
 */
#include "../../tests/exec/mkshm.h"
#include "../../tests/unit/ir/make.h"
#include "../../tests/unit/jit/call.h"
#include "limits.h"

#include <time.h>

#define ROUNDS 9
#define BATCH 2000u /* calls between two looks of the "consumer" */
#define CALLS 400000u
#define CODE_BYTES (1u << 20)
#define KEYS 1000

typedef long work_fn(long, long);
typedef long loop_fn(void);

struct body {
	const uint8_t *code; /* NULL: there is none */
	enum wire_site_kind kind;
	const struct ir_prog *progs[2];
	uint32_t cnt;
	uint8_t filter[JIT_FILTER_MAX];
	uint32_t filter_bytes;
};

struct variant {
	loop_fn *loop; /* calls it KEYS times */
	double ns[ROUNDS];
	int64_t bytes;
};

static struct mkshm m;
static uint64_t no_child[512] __attribute__((aligned(4096))); /* the page that a forked child would find wiped */
static struct jit_env env;
static uint8_t *code;
static size_t used, cold_used = CODE_BYTES / 2;
static bool called; /* bodies are, rather than to stand in trampolines */
static struct ir_image img;

/* ---- code by hand ---- */

static void put(const void *bytes, size_t cnt)
{
	memcpy(code + used, bytes, cnt);
	used += cnt;
}

static void put_rel32(const uint8_t *target)
{
	int32_t rel = (int32_t)(target - (code + used + 4));
	put(&rel, 4);
}

static void align_with(uint8_t byte)
{
	while (used % 64)
		code[used++] = byte;
}

static void align(void) { align_with(0xcc); }

/* The function in two parts: what the jump to the trampoline stands on, and the rest. */
static const uint8_t first[] = { 0x48, 0x89, 0xf0, 0x48, 0x31, 0xf8 }, rest[] = { 0x48, 0xc1, 0xff, 0x03, 0x48, 0x01, 0xf8 };

static void put_jump(const uint8_t *target)
{
	put("\xe9", 1);
	put_rel32(target);
}

static void put_rest(void)
{
	put(rest, sizeof(rest));
	put("\xc3", 1);
}

/* The function's first part is a jump now. */
static void put_entry_jump(const uint8_t *target)
{
	put_jump(target);
	put("\xcc", sizeof(first) - 5);
}

static work_fn *plain_function(void)
{
	align();
	uint8_t *at = code + used;
	put(first, sizeof(first));
	put_rest();
	return (work_fn *)(uintptr_t)at;
}

static void put_call(const struct body *b, uint32_t site)
{
	put("\xb8", 1);
	site *= (uint32_t)sizeof(struct wire_site);
	put(&site, 4);
	put("\xe8", 1);
	put_rel32(b->code);
}

/* False: it has to be called. */
static bool put_spot(const struct body *b, uint32_t site)
{
	const struct jit_spot spot = { .site = site, .sp_adj = 16, .addr = (uint64_t)(uintptr_t)(code + used),
				       .cold_addr = (uint64_t)(uintptr_t)(code + cold_used) };
	uint8_t buf[8192];
	uint32_t hot = 0;
	struct err err;
	if (!b->cnt || called)
		return false;
	int64_t n = jit_spot_body(&env, b->kind, b->progs, b->cnt, &spot, buf, sizeof(buf), &hot, &err);
	if (n <= 0)
		return false;
	put(buf, hot);
	memcpy(code + cold_used, buf + hot, (size_t)n - hot);
	cold_used += (size_t)n - hot;
	return true;
}

static void put_probe(const struct body *b, uint32_t site)
{
	put("\x50", 1);
	if (b->code && !put_spot(b, site))
		put_call(b, site);
	put("\x58", 1);
}

/* A trampoline, to its end.  Behind the probe: @moved, of @bytes, and the way to @back, or a ret. */
static void put_tramp(const struct body *b, uint32_t site, const uint8_t *moved, size_t bytes, const uint8_t *back)
{
	put(b->filter, b->filter_bytes);
	size_t at = used;
	if (!b->filter_bytes)
		put_probe(b, site);
	put(moved, bytes);
	if (back)
		put_jump(back);
	else
		put("\xc3", 1);
	if (!b->filter_bytes)
		return;
	uint32_t over = (uint32_t)(used - at);
	memcpy(code + at - sizeof(over), &over, sizeof(over));
	put_probe(b, site);
	put_jump(code + at);
}

/* The function with jumps to trampolines: at its entry, and at its return where @leave is not NULL. */
static work_fn *traced_function(const struct body *enter, uint32_t site, const struct body *leave)
{
	align();
	uint8_t *at = code + used;
	put_entry_jump(at + 64);
	put_rest();
	align();
	put_tramp(enter, site, first, sizeof(first), at + sizeof(first));
	align();
	if (!leave)
		return (work_fn *)(uintptr_t)at;
	size_t end = used;
	used = (size_t)(at - code) + sizeof(first);
	put_jump(code + end);
	used = end;
	put(rest, sizeof(rest));
	put_tramp(leave, WIRE_SITE_RETURN, NULL, 0, NULL);
	return (work_fn *)(uintptr_t)at;
}

/* A loop that calls @fn directly: of several targets of one indirect call, the processor predicts one much sooner than the others.
 *
 *     long r = 0;
 *     for (int i = 0; i < KEYS; i++)
 *             r = fn(i, r);
 */
static loop_fn *loop_of(work_fn *fn)
{
	static const uint8_t enter[] = { 0x53, 0x41, 0x54, 0x50, 0x31, 0xdb, 0x45, 0x31, 0xe4 }; /* saves; ebx = 0; r12d = 0 */
	static const uint8_t args[] = { 0x89, 0xdf, 0x4c, 0x89, 0xe6 };                         /* edi = ebx; rsi = r12 */
	static const uint8_t next[] = { 0x49, 0x89, 0xc4, 0xff, 0xc3, 0x81, 0xfb };             /* r12 = rax; ebx++; cmp ebx, */
	static const uint8_t leave[] = { 0x58, 0x41, 0x5c, 0x5b, 0xc3 };
	const uint32_t cnt = KEYS;
	align();
	uint8_t *at = code + used;
	put(enter, sizeof(enter));
	align_with(0x90);
	uint8_t *again = code + used;
	put(args, sizeof(args));
	put("\xe8", 1);
	put_rel32((const uint8_t *)(uintptr_t)fn);
	put(next, sizeof(next));
	put(&cnt, sizeof(cnt));
	int8_t back = (int8_t)(again - (code + used + 2));
	put("\x75", 1);
	put(&back, 1);
	put(leave, sizeof(leave));
	return (loop_fn *)(uintptr_t)at;
}

/* ---- programs ---- */

static struct make mk;

static uint32_t arg(int64_t n)
{
	uint32_t v = ir_vreg(mk.b);
	ir_emit(mk.b, IR_OP_ARG, v, NO, NO, n, 0);
	return v;
}

static void make_nothing(void) {}
static void make_count(void) { ir_emit(mk.b, IR_OP_AGG, NO, konst(&mk, 1), NO, 0, IR_NO_TUPLE); }
static void make_sum(void) { ir_emit(mk.b, IR_OP_AGG, NO, arg(0), NO, 1, IR_NO_TUPLE); }
static void make_quantize(void) { ir_emit(mk.b, IR_OP_AGG, NO, arg(0), NO, 2, IR_NO_TUPLE); }

static void make_predicate(void)
{
	uint32_t br = branch(&mk, IR_OP_BRZ, op2(&mk, IR_OP_SEQ, arg(0), konst(&mk, -1)));
	make_count();
	land(&mk, br);
}

static void key(uint32_t value)
{
	uint32_t t = ir_scratch(mk.b, ir_tuple_bytes(8, 0, 0, 20));
	ir_emit_call(mk.b, IR_HELPER_tuple_begin, NO, (const uint64_t[]){ t, 8 }, 2);
	ir_emit(mk.b, IR_OP_STS, NO, value, NO, t + 8, 8);
	ir_emit(mk.b, IR_OP_AGG, NO, konst(&mk, 1), NO, 0, (uint16_t)t);
}

static uint32_t env_value(enum wire_env e)
{
	uint32_t v = ir_vreg(mk.b);
	ir_emit(mk.b, IR_OP_ENV, v, NO, NO, e, 0);
	return v;
}

static void make_key(void) { key(arg(0)); }
static void make_func(void) { key(env_value(WIRE_ENV_PROBEFUNC)); }

/* trace(timestamp) */
static void make_stamp(void)
{
	ir_set_rec_bytes(mk.b, 8);
	ir_emit(mk.b, IR_OP_REC, NO, NO, NO, 8, 8);
	ir_emit(mk.b, IR_OP_STR, NO, env_value(WIRE_ENV_TIMESTAMP), NO, 0, 8);
	ir_emit(mk.b, IR_OP_COMMIT, NO, NO, NO, 0, 0);
}

/* printf("%d %d %d", timestamp, arg0, arg1) */
static void make_record(void)
{
	ir_set_rec_bytes(mk.b, 24);
	ir_emit(mk.b, IR_OP_REC, NO, NO, NO, 24, 24);
	ir_emit(mk.b, IR_OP_STR, NO, env_value(WIRE_ENV_TIMESTAMP), NO, 0, 8);
	ir_emit(mk.b, IR_OP_STR, NO, arg(0), NO, 8, 8);
	ir_emit(mk.b, IR_OP_STR, NO, arg(1), NO, 16, 8);
	ir_emit(mk.b, IR_OP_COMMIT, NO, NO, NO, 0, 0);
}

static void make_since(void) { ir_emit(mk.b, IR_OP_STT, NO, env_value(WIRE_ENV_TIMESTAMP), NO, 0, 8); }

/* /self->t/{ @ = quantize(timestamp - self->t); self->t = 0; } */
static void make_span(void)
{
	uint32_t t = ir_vreg(mk.b);
	ir_emit(mk.b, IR_OP_LDT, t, NO, NO, 0, 8);
	uint32_t br = branch(&mk, IR_OP_BRZ, t);
	uint32_t now = env_value(WIRE_ENV_TIMESTAMP), since = ir_vreg(mk.b);
	ir_emit(mk.b, IR_OP_LDT, since, NO, NO, 0, 8);
	ir_emit(mk.b, IR_OP_AGG, NO, op2(&mk, IR_OP_SUB, now, since), NO, 2, IR_NO_TUPLE);
	ir_emit(mk.b, IR_OP_STT, NO, konst(&mk, 0), NO, 0, 8);
	land(&mk, br);
}

/* @ = avg(timestamp - self->t) */
static void make_avg(void)
{
	uint32_t t = ir_vreg(mk.b);
	ir_emit(mk.b, IR_OP_LDT, t, NO, NO, 0, 8);
	ir_emit(mk.b, IR_OP_AGG, NO, op2(&mk, IR_OP_SUB, env_value(WIRE_ENV_TIMESTAMP), t), NO, 3, IR_NO_TUPLE);
}
static void make_max(void)
{
	uint32_t t = ir_vreg(mk.b);
	ir_emit(mk.b, IR_OP_LDT, t, NO, NO, 0, 8);
	ir_emit(mk.b, IR_OP_AGG, NO, op2(&mk, IR_OP_SUB, env_value(WIRE_ENV_TIMESTAMP), t), NO, 4, IR_NO_TUPLE);
}

static void make_lquantize(void) { ir_emit(mk.b, IR_OP_AGG, NO, arg(0), NO, 5, IR_NO_TUPLE); }

static const struct row {
	const char *name;
	work_fn *limit;
	void (*enter)(void), (*leave)(void);
	void (*also)(void); /* a second clause at the entry */
} rows[] = {
	{ "no program", NULL, make_nothing, NULL },
	{ "@ = count()", limit_count, make_count, NULL },
	{ "@ = sum(arg0)", limit_sum, make_sum, NULL },
	{ "/arg0 == -1/", limit_predicate, make_predicate, NULL },
	{ "@ = quantize(arg0)", limit_bucket, make_quantize, NULL },
	{ "@[arg0] = count()", limit_key, make_key, NULL },
	{ "@[probefunc] = count()", limit_count, make_func, NULL },
	{ "record: time, 2 args", limit_record, make_record, NULL },
	{ "entry and return recorded", limit_both, make_stamp, make_stamp },
	{ "entry to return, quantize", limit_span, make_since, make_span },
	{ "2 clauses: avg, max of time", NULL, make_avg, NULL, make_max },
	{ "@ = lquantize(arg0)", limit_bucket, make_lquantize, NULL },
};

static struct ir_prog make_prog(void (*maker)(void))
{
	make_init(&mk);
	maker();
	ir_emit(mk.b, IR_OP_RET, NO, NO, NO, 0, 0);
	make_finish(&mk);
	ir_builder_destroy(mk.b);
	return mk.prog;
}

static void make_image(void)
{
	static struct wire_agg aggs[] = { { .fn = WIRE_AGG_COUNT, .val_cnt = 1 }, { .fn = WIRE_AGG_SUM, .val_cnt = 1 },
		{ .fn = WIRE_AGG_QUANTIZE, .val_cnt = WIRE_QUANTIZE_CNT }, { .fn = WIRE_AGG_AVG, .val_cnt = 2 },
		{ .fn = WIRE_AGG_MAX, .val_cnt = 1 },
		{ .fn = WIRE_AGG_LQUANTIZE, .val_cnt = 12, .base = 0, .limit = 1000, .step = 100 } };
	static struct ir_prog progs[3 * ARRAY_CNT(rows)];
	for (unsigned i = 0; i < ARRAY_CNT(rows); i++) {
		progs[3 * i] = make_prog(rows[i].enter);
		progs[3 * i + 1] = make_prog(rows[i].also ? rows[i].also : make_nothing);
		progs[3 * i + 2] = make_prog(rows[i].leave ? rows[i].leave : make_nothing);
	}
	img = (struct ir_image){ .progs = progs, .prog_cnt = ARRAY_CNT(progs), .aggs = aggs, .agg_cnt = ARRAY_CNT(aggs),
		.self_bytes = 16, .this_bytes = 16, .strsize = 20 };
}

static struct body add_body(enum wire_site_kind kind, const struct ir_prog *progs, uint32_t cnt, int64_t *bytes)
{
	const struct ir_prog *list[] = { progs, progs + 1 };
	struct err err;
	align();
	uint8_t *at = code + used;
	int64_t n = jit_body(&env, kind, list, cnt, (uint64_t)(uintptr_t)at, at, CODE_BYTES - used, &err);
	if (n < 0) {
		fprintf(stderr, "body_cost: %s\n", err.msg);
		exit(1);
	}
	used += (size_t)n;
	*bytes += n;
	struct body b = { .code = at, .kind = kind, .progs = { list[0], list[1] }, .cnt = cnt };
	b.filter_bytes = jit_filter(&env, kind, list, cnt, b.filter);
	return b;
}

/* ---- timing ---- */

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void consume(void)
{
	for (uint32_t i = 0; i < m.shm->thread_cnt; i++) {
		struct wire_ring *r = &mkshm_thread(&m, i)->ring;
		STORE_RELEASE(&r->tail, r->published);
	}
}

static double time_calls(loop_fn *loop)
{
	double best = 1e9;
	for (uint32_t done = 0; done < CALLS; done += BATCH) {
		double start = now_ns();
		for (uint32_t i = 0; i < BATCH; i += KEYS)
			loop();
		double t = now_ns() - start;
		best = t < best ? t : best;
		consume();
	}
	return best / BATCH;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

/* Less what the untraced call took in the same round. */
static void sort_over(struct variant *v, const struct variant *untraced)
{
	for (unsigned r = 0; r < ROUNDS; r++)
		v->ns[r] -= untraced->ns[r];
	qsort(v->ns, ROUNDS, sizeof(v->ns[0]), by_value);
}

static struct variant untraced, disabled, limit_base, limits[ARRAY_CNT(rows)], hits[ARRAY_CNT(rows)];

static void make_variants(void)
{
	struct body enter, leave;
	untraced.loop = loop_of(plain_function());
	limit_base.loop = loop_of(limit_untraced);
	for (unsigned i = 0; i < ARRAY_CNT(rows); i++) {
		enter = add_body(WIRE_SITE_ENTRY, &img.progs[3 * i], rows[i].also ? 2 : 1, &hits[i].bytes);
		if (rows[i].leave)
			leave = add_body(WIRE_SITE_RETURN, &img.progs[3 * i + 2], 1, &hits[i].bytes);
		hits[i].loop = loop_of(traced_function(&enter, WIRE_SITE_ENTRY, rows[i].leave ? &leave : NULL));
		limits[i].loop = loop_of(rows[i].limit ? rows[i].limit : limit_untraced);
	}
	disabled.loop = loop_of(traced_function(&enter, WIRE_SITE_OFFSET, NULL));
}

static void run(void)
{
	for (unsigned r = 0; r < ROUNDS; r++) {
		untraced.ns[r] = time_calls(untraced.loop);
		disabled.ns[r] = time_calls(disabled.loop);
		limit_base.ns[r] = time_calls(limit_base.loop);
		for (unsigned i = 0; i < ARRAY_CNT(rows); i++) {
			limits[i].ns[r] = time_calls(limits[i].loop);
			hits[i].ns[r] = time_calls(hits[i].loop);
		}
	}
}

static void show(const char *name, const struct variant *limit, const struct variant *hit)
{
	double l = limit ? limit->ns[ROUNDS / 2] : 0, h = hit->ns[ROUNDS / 2];
	printf("%-26s %8.2f %8.2f %8.2f %8.2f %8.2f %6lld\n", name, l, h, h - l, hit->ns[0], hit->ns[ROUNDS - 1], (long long)hit->bytes);
}

/* ---- what a hit is made of: each step has all that is before it, and more ---- */

static void make_thread(void) { ir_emit(mk.b, IR_OP_STT, NO, konst(&mk, 1), NO, 0, 8); }

static const struct step {
	const char *hit, *name;
	void (*maker)(void); /* NULL: by hand */
} steps[] = {
	{ "any", "jump to the trampoline", NULL },
	{ "any", "the displaced instruction there, and the jump back", NULL },
	{ "any", "saves: rax", NULL },
	{ "any", "gates: no forked child, armed, this site is enabled", make_nothing },
	{ "any", "which thread is this, and one store to its area", make_thread },
	{ "@ = count()", "body: where the value is, its generation, the addition", make_count },
	{ "@[arg0] = count()", "body: key, hash, look, comparisons, the addition", make_key },
	{ "record: time, 2 args", "clock, and one store", make_since },
	{ "record: time, 2 args", "record: reserve, write, publish", make_record },
};
enum { STEP_JUMP, STEP_BACK, STEP_SAVES, STEP_FIRST_MADE, STEP_THREAD = 4, STEP_CLOCK = 7 };
static struct variant step_variants[ARRAY_CNT(steps)];

/* The function, jumping to a trampoline without a probe; @back: which jumps back behind the first instruction. */
static work_fn *detour(bool back)
{
	align();
	uint8_t *at = code + used;
	put_entry_jump(at + 64);
	put_rest();
	align();
	put(first, sizeof(first));
	if (back)
		put_jump(at + sizeof(first));
	else
		put_rest();
	return (work_fn *)(uintptr_t)at;
}

static void make_steps(void)
{
	static struct ir_prog progs[ARRAY_CNT(steps)];
	struct body nothing = { .code = NULL };
	if (called) {
		align();
		nothing.code = code + used;
		put("\xc3", 1);
	}
	untraced.loop = loop_of(plain_function());
	step_variants[STEP_JUMP].loop = loop_of(detour(false));
	step_variants[STEP_BACK].loop = loop_of(detour(true));
	step_variants[STEP_SAVES].loop = loop_of(traced_function(&nothing, WIRE_SITE_ENTRY, NULL));
	for (unsigned i = STEP_FIRST_MADE; i < ARRAY_CNT(steps); i++) {
		progs[i] = make_prog(steps[i].maker);
		struct body b = add_body(WIRE_SITE_ENTRY, &progs[i], 1, &step_variants[i].bytes);
		step_variants[i].loop = loop_of(traced_function(&b, WIRE_SITE_ENTRY, NULL));
	}
}

static const char *step_name(unsigned i)
{
	return called && i == STEP_SAVES ? "saves: rax, the site's number, the call of the body" : steps[i].name;
}

/* The step before: of bodies the thread, of records the clock. */
static double before(unsigned i)
{
	unsigned last = i <= STEP_THREAD ? i - 1 : i == STEP_CLOCK + 1 ? STEP_CLOCK : STEP_THREAD;
	return i ? step_variants[last].ns[ROUNDS / 2] : 0;
}

static int show_steps(void)
{
	make_steps();
	for (unsigned r = 0; r < ROUNDS; r++) {
		untraced.ns[r] = time_calls(untraced.loop);
		for (unsigned i = 0; i < ARRAY_CNT(steps); i++)
			step_variants[i].ns[r] = time_calls(step_variants[i].loop);
	}
	for (unsigned i = 0; i < ARRAY_CNT(steps); i++) {
		sort_over(&step_variants[i], &untraced);
		double all = step_variants[i].ns[ROUNDS / 2];
		printf("%s\t%s\t%.2f\t%.2f\n", steps[i].hit, step_name(i), all - before(i), all);
	}
	return 0;
}

int main(int argc, char **argv)
{
	make_image();
	mkshm_init(&m, &img, &(struct mkshm_opts){ .ring_bytes = 1 << 20 }, 0);
	code = call_code_map((const void *)(uintptr_t)rt_enter, CODE_BYTES);
	call_env_init(&env, m.shm);
	env.wipe_addr = (uint64_t)(uintptr_t)&no_child;
	no_child[0] = (uint64_t)(uintptr_t)mkshm_proc(&m, 0);
	for (unsigned kind = WIRE_SITE_ENTRY; kind <= WIRE_SITE_OFFSET; kind++)
		mkshm_site(&m, (enum wire_site_kind)kind)->sp_adj = 16;
	mkshm_proc(&m, 0)->tid_off = env.tid_off = 0x10;
	mkshm_proc(&m, 0)->flags = env.proc_flags;
	mkshm_site(&m, WIRE_SITE_OFFSET)->enabled = 0;
	called = argc > 1 && !strcmp(argv[argc - 1], "called");
	if (argc > 1 && !strcmp(argv[1], "steps"))
		return show_steps();
	make_variants();
	run();
	sort_over(&disabled, &untraced);
	printf("%-26s %8s %8s %8s %8s %8s %6s\n", "ns over untraced", "limit", "hit", "over", "min", "max", "bytes");
	show("disabled", NULL, &disabled);
	for (unsigned i = 0; i < ARRAY_CNT(rows); i++) {
		sort_over(&limits[i], &limit_base);
		sort_over(&hits[i], &untraced);
		show(rows[i].name, rows[i].limit ? &limits[i] : NULL, &hits[i]);
	}
	return 0;
}
