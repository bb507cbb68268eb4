/* SPDX-License-Identifier: MIT */
/*
 * Random programs: what the kernel runs does what the interpreter does.
 *
 *     test_exec_bpf_agrees [TEST]      all, or one
 *     test_exec_bpf_agrees seeds N M   M seeds from N, all kinds of statement
 *
 * Both run in the same memory, a BPF array; the programs run in place, on this
 * CPU, by the kernel's own test runs.
 */
#include "exec.h"
#include "gen.h"

#include "ebpf/ebpf.h"
#include "kern/kern.h"
#include "wire/layout.h"

#include "../unit/tap.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

struct executor {
	int shm_fd;
	const struct ir_image *img;
	bool failed;
	bool verbose;
	/* What is loaded: the firings of a run differ in nothing that the program has in itself. */
	struct ebpf *e;
	int fd;
	const uint64_t *regs;
};

static struct wire_shm *make(void *arg, const struct wire_shm *head)
{
	struct executor *x = arg;
	struct wire_shm *shm;
	struct err err;
	if (ebpf_shm_create(head, &x->shm_fd, &shm, &err) < 0) {
		printf("# %s\n", err.msg);
		return MAP_FAILED;
	}
	return shm;
}

/* The command line, as psargs has it. */
static void set_args(struct mkshm *m)
{
	char buf[80] = { 0 };
	FILE *f = fopen("/proc/self/cmdline", "re");
	size_t n = f ? fread(buf, 1, sizeof(buf) - 1, f) : 0;
	if (f)
		fclose(f);
	while (n && !buf[n - 1])
		n--;
	for (size_t i = 0; i < n; i++)
		buf[i] = buf[i] ? buf[i] : ' ';
	if (!mkshm_proc(m, 0)->psargs)
		mkshm_proc(m, 0)->psargs = mkshm_intern(m, buf);
}

/* Who runs: the parents, as the kernel knows them too. */
static void set_ancestors(struct mkshm *m)
{
	uint32_t pid = (uint32_t)getppid(), n = 0;
	while (pid && n < WIRE_ANCESTOR_MAX) {
		char path[64], line[512];
		mkshm_proc(m, 0)->ancestors[n++] = pid;
		snprintf(path, sizeof(path), "/proc/%u/stat", pid);
		FILE *f = fopen(path, "re");
		pid = 0;
		if (!f)
			return;
		if (fgets(line, sizeof(line), f) && strrchr(line, ')'))
			sscanf(strrchr(line, ')') + 1, " %*c %u", &pid);
		fclose(f);
	}
}

static void run_interp(void *arg, struct mkshm *m, const struct wire_site *site, const struct exec_input *in,
		       const struct ir_prog *const *progs, uint32_t prog_cnt)
{
	set_args(m);
	set_ancestors(m);
	exec_interp(arg, m, site, in, progs, prog_cnt);
}

static int load(struct executor *x, struct mkshm *m, const struct wire_site *site, const struct exec_input *in,
		const struct ir_prog *const *progs, uint32_t prog_cnt, struct err *reterr)
{
	struct ebpf_case one = { .site = site->kind };
	struct ebpf_group group = { .progs = progs, .prog_cnt = prog_cnt, .cases = &one, .case_cnt = 1,
		.regs = { .kind = EBPF_ARG_CONST, .val = (uint64_t)(uintptr_t)in->regs } };
	struct ebpf_prog prog = { .name = "test", .kind = EBPF_RAW_TP, .groups = &group, .group_cnt = 1 };
	struct ebpf_in ein = { .shm = m->shm, .shm_fd = x->shm_fd, .img = x->img, .as_in_tool = true, .offset_of = kern_offsetof,
		.log = x->verbose ? stdout : NULL };
	for (unsigned i = 0; i < EBPF_ARG_MAX; i++)
		group.args[i] = (struct ebpf_arg){ .kind = EBPF_ARG_CTX, .bytes = 8, .off = 8 * i };
	int r = ebpf_create(&x->e, &ein, reterr);
	x->regs = in->regs;
	return r < 0 ? r : ebpf_load(x->e, &prog, &x->fd, reterr);
}

static void run_bpf(void *arg, struct mkshm *m, const struct wire_site *site, const struct exec_input *in,
		    const struct ir_prog *const *progs, uint32_t prog_cnt)
{
	struct executor *x = arg;
	struct err err = { 0 };
	if (!x->regs && load(x, m, site, in, progs, prog_cnt, &err) < 0)
		x->failed = true;
	else if (x->regs != in->regs)
		x->failed = err_setf(&err, -EINVAL, "the registers stand elsewhere than when it was loaded") < 0;
	else if (!x->failed)
		x->failed = ebpf_run(x->fd, in->tool_args, 10, 0, &err) < 0;
	if (err.msg[0])
		printf("# %s\n", err.msg);
	/* What only the interpreter leaves. */
	for (unsigned i = 0; i < WIRE_LEVEL_MAX; i++)
		mkshm_thread(m, 0)->level = 0;
}

static void unload(struct executor *x)
{
	if (x->fd >= 0)
		close(x->fd);
	ebpf_destroy(x->e);
	close(x->shm_fd);
}

static bool try(uint64_t seed, const struct gen_opts *opts, bool verbose)
{
	struct gen_opts o = *opts;
	struct executor x = { .verbose = verbose, .fd = -1 };
	struct ir_image img;
	struct mkshm m;
	const struct ir_prog *progs[4];
	char line[512];
	o.seed = seed;
	gen_image(&o, &img);
	struct wire_layout_in more = { 0 };
	ebpf_layout(&more, &img);
	struct mkshm_opts mo = { .thread_cnt = ebpf_slot_cnt(false), .make = make, .make_arg = &x, .spill_bytes = more.spill_bytes };
	mkshm_init(&m, &img, &mo, 0);
	x.img = &img;
	for (uint32_t i = 0; i < img.prog_cnt; i++) {
		if (seed % 3 == 0)
			ir_prog_optimize(&img.progs[i]);
		progs[i] = &img.progs[i];
	}
	if (verbose)
		ir_image_print(stdout, &img);
	char *want = exec_run(&m, run_interp, NULL, WIRE_SITE_TOOL, progs, img.prog_cnt, EXEC_NO_SCRATCH);
	char *got = exec_run(&m, run_bpf, &x, WIRE_SITE_TOOL, progs, img.prog_cnt, EXEC_NO_SCRATCH);
	bool differ = exec_diff(want, got, line, sizeof(line));
	bool ok = CHECK_MSG(!differ && !x.failed, "seed %llu, flags %u, statements %u: %s", (unsigned long long)seed, o.flags,
			    o.statements, x.failed ? "not loaded" : line);
	free(want);
	free(got);
	mkshm_deinit(&m);
	unload(&x);
	ir_image_deinit(&img);
	return ok;
}

static void run(unsigned flags, uint32_t statements, uint64_t first, uint64_t cnt)
{
	struct gen_opts o = { .flags = flags, .statements = statements };
	bool verbose = getenv("BPF_VERBOSE") != NULL;
	if (geteuid())
		SKIP("programs of the kernel need root");
	for (uint64_t seed = first; seed < first + cnt; seed++)
		if (!try(seed, &o, verbose))
			return;
}

static void arithmetic(void) { run(0, 0, 0, 300); }
static void helpers(void) { run(GEN_CALLS, 0, 0, 100); }
static void aggregations(void) { run(GEN_CALLS | GEN_AGGS, 0, 0, 60); }
static void records(void) { run(GEN_CALLS | GEN_RECORDS, 0, 0, 60); }
static void faults(void) { run(GEN_CALLS | GEN_FAULTS, 0, 0, 60); }
static void everything(void) { run(GEN_ALL, 0, 0, 100); }
static void many_registers(void) { run(0, 1000, 0, 5); }

static const struct tap_test tests[] = { TEST(arithmetic), TEST(helpers), TEST(aggregations), TEST(records), TEST(faults),
	TEST(everything), TEST(many_registers) };

int main(int argc, char **argv)
{
	cpu_set_t cpu0;
	CPU_ZERO(&cpu0);
	CPU_SET(0, &cpu0);
	sched_setaffinity(0, sizeof(cpu0), &cpu0);
	prctl(PR_SET_NAME, "test");
	if (argc == 5 && !strcmp(argv[1], "seeds")) {
		run((unsigned)strtoul(argv[2], NULL, 0), 0, strtoull(argv[3], NULL, 0), strtoull(argv[4], NULL, 0));
		return tap_failed ? 1 : 0;
	}
	return tap_run(tests, ARRAY_CNT(tests), argc, argv);
}
