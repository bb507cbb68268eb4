/* SPDX-License-Identifier: MIT */
/*
 * Thousands of random programs: generated code does what the interpreter does.
 *
 *     test_exec_jit_agrees [TEST]      all, or one
 *     test_exec_jit_agrees seeds N M   M seeds from N, all kinds of statement (the test `everything`, longer)
 *
 * Both run on the same memory and see the same registers: those that exec.h
 * asks for, but for rsp, which must be a real stack, and those that a body
 * cannot be given.
 */
#include "exec.h"
#include "gen.h"

#include "../unit/jit/call.h"
#include "../unit/tap.h"

#define CODE_BYTES (8u << 20)
#define STACK_WORDS 16384u
#define STACK_ABOVE 64u /* words of the caller, which programs may read */
#define FLAGS 0x203ULL  /* interrupts, one that is always set, carry */

static uint64_t stack[STACK_WORDS];
static uint8_t *code_near_text, *code_elsewhere;
static uint64_t enter; /* instead of rt_enter(); 0: that */
static uint32_t entered, fired, spots; /* bodies with a context; all; those that are not called */

struct executor {
	enum call_variant variant;
	uint16_t dead; /* of a body in its trampoline */
	uint8_t *code;
	bool own_stack, spot, failed;
};

/* The input as a body can have it. */
static struct exec_input real_input(const struct exec_input *in, const struct wire_site *site)
{
	struct exec_input real = *in;
	uint16_t cs, ss;
	__asm__("mov %%cs, %0\n\tmov %%ss, %1" : "=r"(cs), "=r"(ss));
	memset(stack + STACK_WORDS - STACK_ABOVE, 0x5a, STACK_ABOVE * 8);
	real.regs[WIRE_RSP] = (uint64_t)(uintptr_t)(stack + STACK_WORDS - STACK_ABOVE);
	real.regs[WIRE_RIP] = site->addr;
	real.regs[WIRE_CS] = cs;
	real.regs[WIRE_SS] = ss;
	real.regs[WIRE_EFLAGS] = FLAGS;
	real.regs[WIRE_ORIG_RAX] = UINT64_MAX;
	return real;
}

static void run_interp(void *arg, struct mkshm *m, const struct wire_site *site, const struct exec_input *in,
		       const struct ir_prog *const *progs, uint32_t prog_cnt)
{
	struct exec_input real = real_input(in, site);
	exec_interp(arg, m, site, &real, progs, prog_cnt);
}

/* Makes this thread the one of slot 0. */
static void register_thread(struct mkshm *m)
{
	struct wire_proc *proc = mkshm_proc(m, 0);
	struct wire_thread *thr = mkshm_thread(m, 0);
	uint64_t key = call_fs_base();
	thr->key = key;
	thr->check = *(uint32_t *)(key + proc->tid_off);
	proc->hash_key[wire_hash(key)] = key;
	proc->hash_thread[wire_hash(key)] = (uint64_t)((char *)thr - (char *)proc);
}

static void run_jit(void *arg, struct mkshm *m, const struct wire_site *site, const struct exec_input *in,
		    const struct ir_prog *const *progs, uint32_t prog_cnt)
{
	struct executor *x = arg;
	struct exec_input real = real_input(in, site);
	struct jit_env env;
	struct err err;
	call_env_init(&env, m->shm);
	env.fn_enter = enter ? enter : env.fn_enter;
	env.tid_off = mkshm_proc(m, 0)->tid_off;
	env.own_stack = x->own_stack && !enter; /* quick bodies have no need of one */
	enum wire_site_kind kind = (enum wire_site_kind)site->kind;
	int64_t n = x->spot ? call_spot(&env, kind, progs, prog_cnt, site->kind, x->variant, x->dead, x->code, CODE_BYTES, &err) : 0;
	bool is_spot = n > 0;
	spots += is_spot;
	if (!n)
		n = jit_body(&env, kind, progs, prog_cnt, (uint64_t)(uintptr_t)x->code, x->code, CODE_BYTES, &err);
	if (n < 0) {
		CHECK_MSG(false, "jit_body: %s", err.msg);
		x->failed = true;
		return;
	}
	mkshm_site(m, (enum wire_site_kind)site->kind)->sp_adj = call_sp_adj[x->variant];
	register_thread(m);
	/* What only bodies leave alone where no program reads it. */
	memcpy(mkshm_ctx(m, 0, 0)->tool_args, real.tool_args, sizeof(real.tool_args));
	struct call c = { .body = x->code, .variant = x->variant, .site = site->kind, .is_spot = is_spot };
	memcpy(c.in, real.regs, sizeof(c.in));
	call_run(&c);
	fired++;
	for (unsigned r = 0; r <= WIRE_RDI; r++)
		x->failed |= !CHECK_MSG(c.out[r] == c.in[r] || (is_spot && call_is_dead(x->dead, r)), "register %u is %llx", r, (unsigned long long)c.out[r]);
	x->failed |= !CHECK_MSG(c.out[WIRE_RSP] == c.in[WIRE_RSP], "rsp");
	if (x->variant == CALL_FLAGS || x->variant == CALL_RED_ZONE_FLAGS)
		x->failed |= !CHECK_MSG(!((c.out[WIRE_EFLAGS] ^ c.in[WIRE_EFLAGS]) & 0xcd5), "flags");
}

static bool try(uint64_t seed, const struct gen_opts *opts, bool optimize)
{
	enum wire_site_kind kind = (enum wire_site_kind)(seed % (WIRE_SITE_USDT + 1));
	struct executor x = { .own_stack = !CALL_IS_SANITIZED && seed / 12 & 1, .variant = (enum call_variant)(seed / 3 % CALL_VARIANT_CNT),
		.code = seed & 1 ? code_near_text : code_elsewhere, .spot = seed / 7 & 1,
		.dead = (uint16_t)(seed * 0x9e3779b97f4a7c15ull >> 48 & CALL_DEAD) };
	struct gen_opts o = *opts;
	struct ir_image img;
	struct mkshm m;
	const struct ir_prog *progs[4];
	char line[512];
	o.seed = seed;
	gen_image(&o, &img);
	struct mkshm_opts mo = { .rates = seed % 4 == 1 };
	mkshm_init(&m, &img, &mo, 0);
	mkshm_proc(&m, 0)->tid_off = seed / 5 & 1 ? call_tid_off() : 0;
	for (uint32_t i = 0; i < img.prog_cnt; i++) {
		if (optimize)
			ir_prog_optimize(&img.progs[i]);
		progs[i] = &img.progs[i];
	}
	char *want = exec_run(&m, run_interp, NULL, kind, progs, img.prog_cnt, EXEC_NO_SCRATCH);
	char *got = exec_run(&m, run_jit, &x, kind, progs, img.prog_cnt, EXEC_NO_SCRATCH);
	bool differ = exec_diff(want, got, line, sizeof(line));
	bool ok = CHECK_MSG(!differ && !x.failed, "seed %llu, flags %u, statements %u%s: %s", (unsigned long long)seed, o.flags,
			    o.statements, optimize ? ", optimized" : "", differ ? line : "registers changed");
	free(want);
	free(got);
	mkshm_deinit(&m);
	ir_image_deinit(&img);
	return ok;
}

static void init(void)
{
	if (code_near_text)
		return;
	code_near_text = call_code_map((const void *)(uintptr_t)rt_enter, CODE_BYTES);
	code_elsewhere = call_code_map(NULL, CODE_BYTES);
}

static void run(unsigned flags, uint32_t statements, uint64_t first, uint64_t cnt)
{
	struct gen_opts o = { .flags = flags, .statements = statements };
	init();
	for (uint64_t seed = first; seed < first + cnt; seed++)
		if (!try(seed, &o, seed % 5 == 0))
			return;
}

static void arithmetic(void) { run(0, 0, 0, 3000); }
static void helpers(void) { run(GEN_CALLS, 0, 0, 1500); }
static void aggregations(void) { run(GEN_CALLS | GEN_AGGS, 0, 0, 500); }
static void records(void) { run(GEN_CALLS | GEN_RECORDS, 0, 0, 500); }
static void faults(void) { run(GEN_CALLS | GEN_FAULTS, 0, 0, 1000); }
static void everything(void) { run(GEN_ALL, 0, 0, 3000); }

static struct rt_ctx *counted_enter(struct wire_shm *shm, struct wire_proc *proc, struct wire_thread *thr,
				    const struct wire_site *site, uint64_t sp)
{
	entered++;
	return rt_enter(shm, proc, thr, site, sp);
}

/* Most bodies of small programs that only count have no context. */
static void quick(void)
{
	enter = (uint64_t)(uintptr_t)counted_enter;
	entered = fired = spots = 0;
	run(GEN_QUICK | GEN_AGGS | GEN_RECORDS, 12, 0, 3000);
	CHECK_MSG(entered < fired / 2, "%u of %u have a context", entered, fired);
	CHECK_MSG(spots > fired / 8, "%u of %u are not called", spots, fired);
	enter = 0;
}
static void quick_alone(void)
{
	run(GEN_QUICK, 8, 0, 2000);
	run(GEN_QUICK | GEN_RECORDS, 20, 0, 1000);
}

static void long_programs(void) { run(GEN_ALL, 2000, 0, 40); }
static void many_registers(void) { run(0, 3000, 0, 40); }

static const struct tap_test tests[] = { TEST(arithmetic), TEST(helpers), TEST(aggregations), TEST(records), TEST(faults),
	TEST(everything), TEST(quick), TEST(quick_alone), TEST(long_programs), TEST(many_registers) };

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "seeds")) {
		run(GEN_ALL, 0, strtoull(argv[2], NULL, 0), strtoull(argv[3], NULL, 0));
		return tap_failed ? 1 : 0;
	}
	return tap_run(tests, ARRAY_CNT(tests), argc, argv);
}
