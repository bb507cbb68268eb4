/* SPDX-License-Identifier: MIT */
/* Bodies called as trampolines call them: what they preserve, when they run,
 * what they find. */
#include "../../exec/mkshm.h"
#include "../ir/make.h"
#include "call.h"

#include "isa/isa.h"

#include <errno.h>
#include <sys/mman.h>

#define STACK_WORDS 8192u
#define ABOVE 64u
#define CODE_BYTES 65536u
#define EFLAGS_ALL 0xed7ULL /* all arithmetic flags, interrupts, direction, bit 1 */
#define EFLAGS_MASK 0xcd5ULL

static uint64_t stack[STACK_WORDS], stack2[STACK_WORDS];

static bool own_stack; /* that bodies run on */

struct body {
	struct make mk;
	struct mkshm m;
	struct jit_env env;
	uint8_t *code;
	int64_t bytes;
	enum wire_site_kind kind;
};

static void body_begin(struct body *b, enum wire_site_kind kind)
{
	memset(b, 0, sizeof(*b));
	b->kind = kind;
	make_init(&b->mk);
}

static void emit(struct body *b, enum ir_op op, uint32_t dst, uint32_t a, int64_t imm, uint16_t aux)
{
	ir_emit(b->mk.b, op, dst, a, NO, imm, aux);
}

/* globals[off] = what @op, a DI, reads */
static void keep(struct body *b, enum ir_op op, int64_t imm, int64_t off)
{
	uint32_t v = ir_vreg(b->mk.b);
	emit(b, op, v, NO, imm, 0);
	emit(b, IR_OP_STG, NO, v, off, 8);
}

/* globals[off] += 1 */
static void bump(struct body *b, int64_t off)
{
	uint32_t v = ir_vreg(b->mk.b);
	emit(b, IR_OP_LDG, v, NO, off, 8);
	emit(b, IR_OP_STG, NO, op2(&b->mk, IR_OP_ADD, v, konst(&b->mk, 1)), off, 8);
}

/* The memory; env may still be changed. */
static void body_memory(struct body *b)
{
	struct err err;
	emit(b, IR_OP_RET, NO, NO, 0, 0);
	make_finish(&b->mk);
	if (!CHECK_MSG(ir_image_verify(&b->mk.img, &err) == 0, "%s", err.msg))
		abort();
	mkshm_init(&b->m, &b->mk.img, NULL, 0);
	call_env_init(&b->env, b->m.shm);
	b->env.own_stack = own_stack;
	b->code = call_code_map(NULL, CODE_BYTES);
}

static void body_code(struct body *b)
{
	const struct ir_prog *progs[] = { &b->mk.prog };
	struct err err;
	b->bytes = jit_body(&b->env, b->kind, progs, 1, (uint64_t)(uintptr_t)b->code, b->code, CODE_BYTES, &err);
	if (!CHECK_MSG(b->bytes > 0, "%s", err.msg))
		abort();
}

static void body_end(struct body *b)
{
	munmap(b->code, CODE_BYTES);
	mkshm_deinit(&b->m);
	make_deinit(&b->mk);
}

static uint64_t global(struct body *b, unsigned off)
{
	uint64_t v;
	memcpy(&v, (char *)b->m.shm + b->m.shm->global_off + off, sizeof(v));
	return v;
}

static struct call call_of(struct body *b, enum call_variant variant)
{
	struct call c = { .body = b->code, .variant = variant, .site = b->kind };
	for (unsigned r = 0; r < WIRE_REG_CNT; r++)
		c.in[r] = 0x0101010101010101ULL * (r + 1);
	c.in[WIRE_RSP] = (uint64_t)(uintptr_t)(stack + STACK_WORDS - ABOVE);
	c.in[WIRE_EFLAGS] = EFLAGS_ALL & ~0x400ULL;
	if (variant == CALL_FLAGS || variant == CALL_RED_ZONE_FLAGS)
		c.in[WIRE_EFLAGS] = EFLAGS_ALL;
	mkshm_site(&b->m, b->kind)->sp_adj = call_sp_adj[variant];
	return c;
}

static struct call fire(struct body *b, enum call_variant variant)
{
	struct call c = call_of(b, variant);
	call_run(&c);
	return c;
}

/* ---- what is preserved ---- */

/* A body that uses all it can: many values live across a call, an aggregation, a record, time. */
static void busy_body(struct body *b, enum wire_site_kind kind)
{
	uint32_t v[20], sum = NO;
	body_begin(b, kind);
	for (unsigned i = 0; i < ARRAY_CNT(v); i++) {
		v[i] = ir_vreg(b->mk.b);
		emit(b, IR_OP_LDG, v[i], NO, 8 * (i % 8), 8);
	}
	ir_set_rec_bytes(b->mk.b, 16);
	emit(b, IR_OP_REC, NO, NO, 16, 16);
	ir_emit_call(b->mk.b, IR_HELPER_rand, ir_vreg(b->mk.b), NULL, 0);
	for (unsigned i = 0; i < ARRAY_CNT(v); i++)
		sum = sum == NO ? v[i] : op2(&b->mk, IR_OP_ADD, sum, v[i]);
	ir_emit(b->mk.b, IR_OP_AGG, NO, sum, NO, 0, IR_NO_TUPLE);
	emit(b, IR_OP_STR, NO, sum, 0, 8);
	keep(b, IR_OP_ENV, WIRE_ENV_TIMESTAMP, 64);
	emit(b, IR_OP_COMMIT, NO, NO, 0, 0);
	bump(b, 72);
	body_memory(b);
	body_code(b);
}

static void check_preserved(const struct call *c)
{
	bool flags = c->variant == CALL_FLAGS || c->variant == CALL_RED_ZONE_FLAGS;
	for (unsigned r = 0; r <= WIRE_RDI; r++)
		CHECK_MSG(c->out[r] == c->in[r], "register %u is %llx", r, (unsigned long long)c->out[r]);
	CHECK_EQ(c->out[WIRE_RSP], c->in[WIRE_RSP]);
	if (flags)
		CHECK_EQ(c->out[WIRE_EFLAGS] & EFLAGS_MASK, c->in[WIRE_EFLAGS] & EFLAGS_MASK);
}

static void preserves_registers(void)
{
	for (unsigned v = 0; v < CALL_VARIANT_CNT; v++) {
		struct body b;
		busy_body(&b, WIRE_SITE_ENTRY);
		for (unsigned i = 1; i <= 3; i++) {
			struct call c = fire(&b, (enum call_variant)v);
			check_preserved(&c);
			CHECK_EQ(global(&b, 72), i);
		}
		body_end(&b);
	}
}

static void keeps_the_stack(void)
{
	struct body b;
	uint64_t *sp = stack + STACK_WORDS - ABOVE;
	busy_body(&b, WIRE_SITE_ENTRY);
	memset(stack, 0x77, sizeof(stack));
	fire(&b, CALL_RED_ZONE_FLAGS);
	for (uint64_t *p = sp - 16; p < stack + STACK_WORDS; p++)
		CHECK_EQ(*p, 0x7777777777777777);
	body_end(&b);
}

/* Without what rt takes: functions that take nothing stand in for it. */
static uint64_t lowest_sp;
__attribute__((noinline)) static void *note_sp(void)
{
	lowest_sp = (uint64_t)(uintptr_t)__builtin_frame_address(0) + 16;
	return NULL;
}

static void takes_little_stack(void)
{
	struct body b;
	busy_body(&b, WIRE_SITE_ENTRY);
	b.env.fn_enter = (uint64_t)(uintptr_t)note_sp;
	body_code(&b);
	struct call c = fire(&b, CALL_PLAIN);
	CHECK_EQ(lowest_sp % 16, 0);
	CHECK_MSG(c.in[WIRE_RSP] - lowest_sp < 200, "%llu bytes", (unsigned long long)(c.in[WIRE_RSP] - lowest_sp));
	body_end(&b);
}

static void touches_no_vector_registers(void)
{
	struct body b;
	struct isa_insn in;
	char line[160];
	busy_body(&b, WIRE_SITE_ENTRY);
	for (int64_t at = 0; at < b.bytes; at += in.len) {
		size_t room = (size_t)(b.bytes - at);
		if (!CHECK(isa_decode(b.code + at, room, 0, &in) == 0 && isa_format(b.code + at, room, 0, line, sizeof(line)) >= 0))
			break;
		CHECK_MSG(!strstr(line, "mm") && !strstr(line, "%st") && !strstr(line, "%k"), "%s", line);
	}
	body_end(&b);
}

/* ---- when it runs ---- */

static void flags_stop_it(void)
{
	struct body b;
	busy_body(&b, WIRE_SITE_ENTRY);
	uint32_t *const flags[] = { &b.m.shm->armed, &mkshm_site(&b.m, b.kind)->enabled, &b.m.shm->exiting };
	for (unsigned i = 0; i < ARRAY_CNT(flags); i++)
		for (unsigned v = 0; v < CALL_VARIANT_CNT; v++) {
			*flags[i] ^= 1;
			struct call c = fire(&b, (enum call_variant)v);
			check_preserved(&c);
			*flags[i] ^= 1;
		}
	CHECK_EQ(global(&b, 72), 0);
	fire(&b, CALL_PLAIN);
	CHECK_EQ(global(&b, 72), 1);
	body_end(&b);
}

static struct body *nested;
static unsigned nesting;
static uint64_t nest(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	CHECK(!a && !b && !c && !d);
	CHECK_EQ(ctx->level, nesting);
	if (nesting++ < 5) {
		struct call inner = call_of(nested, CALL_PLAIN);
		inner.in[WIRE_RSP] = (uint64_t)(uintptr_t)(stack2 + STACK_WORDS - ABOVE) - 8192 * nesting;
		call_run(&inner);
		check_preserved(&inner);
	}
	return 0;
}

static void levels_nest(void)
{
	struct body b;
	body_begin(&b, WIRE_SITE_ENTRY);
	bump(&b, 0);
	ir_emit_call(b.mk.b, IR_HELPER_rand, NO, NULL, 0);
	bump(&b, 8);
	body_memory(&b);
	b.env.helper_addr[IR_HELPER_rand] = (uint64_t)(uintptr_t)nest;
	body_code(&b);
	nested = &b;
	nesting = 0;
	struct call c = fire(&b, CALL_PLAIN);
	check_preserved(&c);
	CHECK_EQ(global(&b, 0), WIRE_LEVEL_MAX);
	CHECK_EQ(global(&b, 8), WIRE_LEVEL_MAX);
	CHECK_EQ(mkshm_thread(&b.m, 1)->level_drops, 1);
	CHECK_EQ(mkshm_thread(&b.m, 1)->level, 0);
	body_end(&b);
}

static void hook_body(void)
{
	struct body b;
	body_begin(&b, WIRE_SITE_HOOK);
	body_memory(&b);
	b.env.helper_addr[IR_HELPER_hook_dl] = (uint64_t)(uintptr_t)nest;
	CHECK(jit_hook_body(&b.env, IR_HELPER_hook_dl, (uint64_t)(uintptr_t)b.code, b.code, CODE_BYTES, NULL) > 0);
	nested = &b;
	nesting = 0;
	struct call c = fire(&b, CALL_PLAIN);
	check_preserved(&c);
	CHECK_EQ(nesting, WIRE_LEVEL_MAX);
	body_end(&b);
}

/* ---- which thread ---- */

static struct {
	unsigned calls;
	uint64_t key;
	uint32_t check;
	bool refuse;
} finder;

static struct wire_thread *find(struct wire_shm *shm, struct wire_proc *proc, uint64_t key, uint32_t check)
{
	finder.calls++;
	finder.key = key;
	finder.check = check;
	return finder.refuse ? NULL : rt_thread_find(shm, proc, key, check);
}

/* Counts in globals[0], and needs its thread: for a self-> variable, or (@context) because it calls something. */
static void thread_body(struct body *b, bool context)
{
	body_begin(b, WIRE_SITE_ENTRY);
	bump(b, 0);
	if (context)
		ir_emit_call(b->mk.b, IR_HELPER_rand, NO, NULL, 0);
	else
		emit(b, IR_OP_LDT, ir_vreg(b->mk.b), NO, 0, 8);
	body_memory(b);
	b->env.fn_thread_find = (uint64_t)(uintptr_t)find;
	body_code(b);
	memset(&finder, 0, sizeof(finder));
}

static void finds_the_thread_itself_in(bool context)
{
	struct body b;
	thread_body(&b, context);
	struct wire_proc *proc = mkshm_proc(&b.m, 0);
	proc->tid_off = 0x10; /* the self pointer of glibc's and musl's block: any word that stays */
	fire(&b, CALL_PLAIN);
	CHECK_EQ(finder.calls, 1);
	CHECK_EQ(finder.key, call_fs_base());
	CHECK_EQ(finder.check, *(uint32_t *)(call_fs_base() + 0x10));
	fire(&b, CALL_PLAIN);
	CHECK_EQ(finder.calls, 1);
	mkshm_thread(&b.m, 1)->check ^= 1; /* another thread on the same block */
	fire(&b, CALL_PLAIN);
	CHECK_EQ(finder.calls, 2);
	fire(&b, CALL_PLAIN);
	CHECK_EQ(finder.calls, 2);
	mkshm_thread(&b.m, 1)->key = 0; /* it has ended */
	finder.refuse = true;
	struct call c = fire(&b, CALL_PLAIN);
	check_preserved(&c);
	CHECK_EQ(finder.calls, 3);
	CHECK_EQ(global(&b, 0), 4);
	body_end(&b);
}

/* Once the process has such blocks, what the block says of itself is looked up; where that is wrong, the fs base. */
static void asks_the_block_in(bool context)
{
	struct body b;
	thread_body(&b, context);
	struct wire_proc *proc = mkshm_proc(&b.m, 0);
	proc->flags = b.env.proc_flags;
	fire(&b, CALL_PLAIN);
	CHECK_EQ(proc->fs_set, call_has_fsgsbase() ? WIRE_FS_SET : WIRE_FS_UNKNOWN);
	fire(&b, CALL_PLAIN);
	CHECK_EQ(finder.calls, 1);
	uint64_t *block = (uint64_t *)call_fs_base(), own = *block;
	*block = (uint64_t)(uintptr_t)stack2;
	struct call c = call_of(&b, CALL_PLAIN);
	call_run(&c);
	*block = own;
	check_preserved(&c);
	CHECK_EQ(finder.calls, 2);
	CHECK_EQ(finder.key, (uint64_t)(uintptr_t)block);
	CHECK_EQ(global(&b, 0), 3);
	body_end(&b);
}

static void asks_the_block(void)
{
	if (!call_has_fsgsbase())
		SKIP("this processor or kernel has no rdfsbase");
	asks_the_block_in(false);
	asks_the_block_in(true);
}

static void no_fs_base_yet_in(bool context)
{
	struct body b;
	thread_body(&b, context);
	struct call c = call_of(&b, CALL_PLAIN);
	c.no_fs = 1;
	finder.refuse = true; /* rt's own functions may want a stack protector's canary */
	call_run(&c);
	check_preserved(&c);
	CHECK_EQ(finder.calls, 1);
	CHECK_EQ(finder.key, 0);
	CHECK_EQ(finder.check, 0);
	body_end(&b);
}

static void without_rdfsbase_in(bool context)
{
	struct body b;
	thread_body(&b, context);
	b.env.proc_flags = 0;
	body_code(&b);
	for (unsigned i = 0; i < 3; i++)
		fire(&b, CALL_PLAIN);
	CHECK_EQ(finder.calls, 1);
	CHECK_EQ(finder.key, call_fs_base());
	CHECK_EQ(global(&b, 0), 3);
	body_end(&b);
}

/* It has its parent's fs base and thread id here, and is silent all the same. */
static void a_forked_child_is_noticed_in(bool context)
{
	struct body b;
	struct wire_wipe wipe = { 0 };
	thread_body(&b, context);
	wipe.proc = (uint64_t)(uintptr_t)mkshm_proc(&b.m, 0);
	b.env.wipe_addr = (uint64_t)(uintptr_t)&wipe;
	body_code(&b);
	fire(&b, CALL_PLAIN);
	fire(&b, CALL_PLAIN);
	CHECK_EQ(finder.calls, 1);
	wipe = (struct wire_wipe){ 0 };
	struct call c = fire(&b, CALL_PLAIN);
	check_preserved(&c);
	CHECK_EQ(finder.calls, 1);
	CHECK_EQ(global(&b, 0), 2);
	body_end(&b);
}

static void finds_the_thread_itself(void)
{
	finds_the_thread_itself_in(false);
	finds_the_thread_itself_in(true);
}

static void no_fs_base_yet(void)
{
	if (!call_has_fsgsbase())
		SKIP("this processor or kernel has no rdfsbase");
	no_fs_base_yet_in(false);
	no_fs_base_yet_in(true);
}

static void without_rdfsbase(void)
{
	without_rdfsbase_in(false);
	without_rdfsbase_in(true);
}

static void a_forked_child_is_noticed(void)
{
	a_forked_child_is_noticed_in(false);
	a_forked_child_is_noticed_in(true);
}

/* ---- what it finds ---- */

static void entry_arguments(void)
{
	static const uint8_t regs[] = { WIRE_RDI, WIRE_RSI, WIRE_RDX, WIRE_RCX, WIRE_R8, WIRE_R9 };
	static const enum wire_site_kind kinds[] = { WIRE_SITE_ENTRY, WIRE_SITE_OFFSET };
	for (unsigned k = 0; k < ARRAY_CNT(kinds); k++) {
		struct body b;
		body_begin(&b, kinds[k]);
		for (unsigned i = 0; i < 6; i++)
			keep(&b, IR_OP_ARG, i, 8 * i);
		body_memory(&b);
		body_code(&b);
		struct call c = fire(&b, CALL_PLAIN);
		for (unsigned i = 0; i < 6; i++)
			CHECK_EQ(global(&b, 8 * i), c.in[regs[i]]);
		body_end(&b);
	}
}

static void return_arguments(void)
{
	for (unsigned v = 0; v < CALL_VARIANT_CNT; v++) {
		struct body b;
		body_begin(&b, WIRE_SITE_RETURN);
		for (unsigned i = 0; i < 3; i++)
			keep(&b, IR_OP_ARG, i, 8 * i);
		keep(&b, IR_OP_ENV, WIRE_ENV_RET_OFFSET, 24);
		body_memory(&b);
		body_code(&b);
		struct call c = fire(&b, (enum call_variant)v);
		CHECK_EQ(global(&b, 0), 0x10);
		CHECK_EQ(global(&b, 8), c.in[WIRE_RAX]);
		CHECK_EQ(global(&b, 16), 0);
		CHECK_EQ(global(&b, 24), 0x10);
		body_end(&b);
	}
}

/* 16 globals fit, so in two bodies. */
static void registers_of_the_application(void)
{
	for (unsigned v = 0; v < CALL_VARIANT_CNT; v++)
		for (unsigned first = 0; first < WIRE_REG_CNT; first += 11) {
			struct body b;
			unsigned end = first + 11 < WIRE_REG_CNT ? first + 11 : WIRE_REG_CNT;
			body_begin(&b, WIRE_SITE_OFFSET);
			for (unsigned r = first; r < end; r++)
				keep(&b, IR_OP_UREG, r, 8 * (r - first));
			body_memory(&b);
			body_code(&b);
			struct call c = fire(&b, (enum call_variant)v);
			check_preserved(&c);
			for (unsigned r = first; r < end; r++) {
				uint64_t got = global(&b, 8 * (r - first));
				if (r <= WIRE_RDI || r == WIRE_RSP)
					CHECK_EQ(got, c.in[r]);
				else if (r == WIRE_RIP)
					CHECK_EQ(got, mkshm_site(&b.m, b.kind)->addr);
				else if (r == WIRE_EFLAGS)
					CHECK_EQ(got & EFLAGS_MASK & ~0x400ULL, c.in[r] & EFLAGS_MASK & ~0x400ULL);
				else if (r == WIRE_ORIG_RAX)
					CHECK_EQ(got, -1);
				else
					CHECK(got && got < 0x100); /* user cs and ss */
			}
			body_end(&b);
		}
}

static uint64_t seen_regs[WIRE_REG_CNT];
static uint64_t look_at_regs(struct rt_ctx *ctx, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	(void)a, (void)b, (void)c, (void)d;
	memcpy(seen_regs, ctx->regs, sizeof(seen_regs));
	return 0;
}

/* No program reads a register here; walking a stack begins with these. */
static void helpers_see_registers(void)
{
	struct body b;
	body_begin(&b, WIRE_SITE_ENTRY);
	ir_emit_call(b.mk.b, IR_HELPER_uaddr_caller, NO, NULL, 0);
	body_memory(&b);
	b.env.helper_addr[IR_HELPER_uaddr_caller] = (uint64_t)(uintptr_t)look_at_regs;
	body_code(&b);
	struct call c = fire(&b, CALL_RED_ZONE);
	static const uint8_t walk[] = { WIRE_RSP, WIRE_RBP, WIRE_RBX, WIRE_R10 };
	for (unsigned i = 0; i < ARRAY_CNT(walk); i++)
		CHECK_EQ(seen_regs[walk[i]], c.in[walk[i]]);
	body_end(&b);
}

static void time_passes(void)
{
	struct body b;
	body_begin(&b, WIRE_SITE_ENTRY);
	keep(&b, IR_OP_ENV, WIRE_ENV_TIMESTAMP, 0);
	keep(&b, IR_OP_ENV, WIRE_ENV_WALLTIMESTAMP, 8);
	body_memory(&b);
	body_code(&b);
	struct wire_shm *s = b.m.shm;
	s->tsc_base = rt_now_tsc() - (1ULL << 50); /* the product needs 128 bits */
	s->tsc_mult = 0xc0000000;
	s->ns_base = 1000;
	s->wall_base = 5000000;
	uint64_t before = rt_tsc_to_ns(s, rt_now_tsc());
	fire(&b, CALL_PLAIN);
	uint64_t after = rt_tsc_to_ns(s, rt_now_tsc());
	CHECK(global(&b, 0) >= before && global(&b, 0) <= after);
	CHECK_EQ(global(&b, 8) - global(&b, 0), 4999000);
	body_end(&b);
}

/* ---- lists of programs ---- */

static void run_two(struct body *b, const struct ir_prog *first, const struct ir_prog *second)
{
	const struct ir_prog *progs[] = { first, second };
	CHECK(jit_body(&b->env, b->kind, progs, 2, (uint64_t)(uintptr_t)b->code, b->code, CODE_BYTES, NULL) > 0);
	fire(b, CALL_PLAIN);
}

static void a_fault_ends_its_program_only(void)
{
	struct body b;
	body_begin(&b, WIRE_SITE_ENTRY);
	bump(&b, 0);
	uint32_t zero = ir_vreg(b.mk.b), q;
	emit(&b, IR_OP_LDG, zero, NO, 64, 8);
	q = op2(&b.mk, IR_OP_SDIV, zero, zero);
	emit(&b, IR_OP_STG, NO, q, 8, 8);
	bump(&b, 16);
	body_memory(&b);
	run_two(&b, &b.mk.prog, &b.mk.prog);
	CHECK_EQ(global(&b, 0), 2);
	CHECK_EQ(global(&b, 16), 0);
	CHECK(mkshm_thread(&b.m, 1)->ring.published >= 2 * (sizeof(struct wire_rec) + sizeof(struct wire_rec_error)));
	body_end(&b);
}

static void exit_stops_the_programs_behind(void)
{
	struct body b;
	body_begin(&b, WIRE_SITE_ENTRY);
	ir_emit_call(b.mk.b, IR_HELPER_exit, NO, (const uint64_t[]){ konst(&b.mk, 3) }, 1);
	bump(&b, 0); /* the rest of this one still runs */
	body_memory(&b);
	run_two(&b, &b.mk.prog, &b.mk.prog);
	CHECK_EQ(global(&b, 0), 1);
	CHECK_EQ(b.m.shm->exit_status, 3);
	body_end(&b);
}

static void room(void)
{
	struct body b;
	struct err err;
	busy_body(&b, WIRE_SITE_ENTRY);
	const struct ir_prog *progs[] = { &b.mk.prog };
	uint64_t addr = (uint64_t)(uintptr_t)b.code;
	size_t need = (size_t)b.bytes;
	uint8_t *buf = malloc(need + 1), *want = malloc(need);
	memcpy(want, b.code, need);
	memset(buf, 0xab, need + 1);
	CHECK_EQ(jit_body(&b.env, b.kind, progs, 1, addr, buf, need - 1, &err), -ENOSPC);
	CHECK_EQ(buf[need - 1], 0xab);
	CHECK_EQ(jit_body(&b.env, b.kind, progs, 1, addr, buf, need, &err), (long long)need);
	CHECK_EQ(buf[need], 0xab);
	CHECK(!memcmp(buf, want, need));
	struct wire_shm tight = *b.m.shm;
	tight.alloca_off = (sizeof(struct rt_ctx) + tight.scratch_bytes);
	b.env.geometry = &tight;
	CHECK_EQ(jit_body(&b.env, b.kind, progs, 1, addr, buf, need, &err), -EINVAL);
	CHECK_MSG(strstr(err.msg, "spill"), "%s", err.msg);
	free(buf);
	free(want);
	body_end(&b);
}

static void printing(void)
{
	struct body b;
	char *text = NULL;
	size_t cnt;
	busy_body(&b, WIRE_SITE_ENTRY);
	const struct ir_prog *progs[] = { &b.mk.prog };
	FILE *f = open_memstream(&text, &cnt);
	jit_print(f, b.code, (size_t)b.bytes, 0x1000);
	CHECK_EQ(jit_print_progs(f, &b.env, b.kind, progs, 1, (uint64_t)(uintptr_t)b.code, NULL), 0);
	fclose(f);
	CHECK(strstr(text, "rdtsc") && strstr(text, "# thread_find") && strstr(text, "# rand") && strstr(text, "  ret"));
	CHECK(!strstr(text, ".byte"));
	free(text);
	body_end(&b);
}

/* ---- on a stack of the thread's area ---- */

static void all_on_its_own_stack(void)
{
	if (CALL_IS_SANITIZED)
		SKIP("what rt takes of a stack is more with sanitizers than it has room for");
	static void (*const tests[])(void) = { preserves_registers, keeps_the_stack, touches_no_vector_registers, flags_stop_it,
		levels_nest, hook_body, finds_the_thread_itself, no_fs_base_yet, without_rdfsbase, a_forked_child_is_noticed,
		entry_arguments, return_arguments, registers_of_the_application, helpers_see_registers, time_passes,
		a_fault_ends_its_program_only, exit_stops_the_programs_behind, printing };
	own_stack = true;
	for (unsigned i = 0; i < ARRAY_CNT(tests); i++)
		tests[i]();
	own_stack = false;
}

static void its_own_stack_leaves_the_other_alone(void)
{
	struct body b;
	if (CALL_IS_SANITIZED)
		SKIP("as above");
	own_stack = true;
	busy_body(&b, WIRE_SITE_ENTRY);
	own_stack = false;
	fire(&b, CALL_FLAGS); /* now the thread is known */
	struct wire_thread *thr = mkshm_thread(&b.m, 1);
	uint64_t *sp = stack + STACK_WORDS - ABOVE, *lowest = stack;
	memset(stack, 0x77, sizeof(stack));
	fire(&b, CALL_FLAGS);
	while (*lowest == 0x7777777777777777)
		lowest++;
	CHECK_MSG((char *)sp - (char *)lowest <= 72, "%lld bytes", (long long)((char *)sp - (char *)lowest));
	CHECK_EQ(thr->own_used, 0);
	CHECK_EQ(global(&b, 72), 2);
	b.env.fn_enter = (uint64_t)(uintptr_t)note_sp;
	body_code(&b);
	struct call c = fire(&b, CALL_PLAIN);
	check_preserved(&c);
	CHECK_EQ(lowest_sp % 16, 0);
	CHECK(lowest_sp - (uint64_t)(uintptr_t)thr->own_stack[0] < WIRE_OWN_STACK);
	CHECK_EQ(thr->own_used, 0);
	body_end(&b);
}

TAP_MAIN(TEST(preserves_registers), TEST(keeps_the_stack), TEST(takes_little_stack), TEST(touches_no_vector_registers),
	 TEST(flags_stop_it), TEST(levels_nest), TEST(hook_body), TEST(finds_the_thread_itself), TEST(asks_the_block), TEST(no_fs_base_yet),
	 TEST(without_rdfsbase), TEST(a_forked_child_is_noticed), TEST(entry_arguments), TEST(return_arguments),
	 TEST(registers_of_the_application), TEST(helpers_see_registers), TEST(time_passes),
	 TEST(a_fault_ends_its_program_only), TEST(exit_stops_the_programs_behind), TEST(room), TEST(printing),
	 TEST(all_on_its_own_stack), TEST(its_own_stack_leaves_the_other_alone))
