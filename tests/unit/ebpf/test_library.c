/* SPDX-License-Identifier: MIT */
/*
 * The library of kernel programs: the kernel takes each of its functions, for
 * any arguments, and looks at few enough instructions for it.
 *
 *     test_ebpf_library cost [WORDS]      prints how many, and how long it takes; with keys of so many words
 */
#include "ebpf/ebpf_int.h"
#include "wire/layout.h"

#include "../tap.h"

#include <bpf/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LOG_BYTES (1u << 20)
#define INSNS_MOST 100000u /* that the kernel follows, of one function */

struct fixture {
	struct ir_image img;
	struct wire_agg aggs[1];
	struct wire_shm *shm;
	int fd;
	struct ebpf *e;
};

#define KEY_WORDS 36u /* a string and a few numbers */

static bool set_up(struct fixture *f, uint32_t key_words)
{
	struct wire_layout_in in = { .strsize = 256, .clause_cnt = 1, .thread_cnt = ebpf_slot_cnt(false), .site_cap = 4, .str_cap = 4096,
		.dyn_bytes = 65536, .ring_bytes = 65536, .agg_bytes = 65536, .scratch_bytes = 1024, .alloca_bytes = 256, .spec_cnt = 1,
		.global_bytes = 64, .self_bytes = 64, .this_bytes = 64, .agg_cnt = 1 };
	struct wire_shm head;
	struct err err;
	*f = (struct fixture){ .aggs = { { .fn = WIRE_AGG_QUANTIZE, .val_cnt = WIRE_QUANTIZE_CNT } } };
	f->img = (struct ir_image){ .strsize = 256, .aggs = f->aggs, .agg_cnt = 1 };
	ebpf_layout(&in, &f->img);
	bool ok = !wire_layout(&head, &in, &err);
	head.tsc_mult = 1ULL << WIRE_TSC_SHIFT;
	ok = ok && !ebpf_shm_create(&head, &f->fd, &f->shm, &err);
	ok = ok && !ebpf_create(&f->e, &(struct ebpf_in){ .shm = f->shm, .shm_fd = f->fd, .img = &f->img }, &err);
	if (ok)
		f->e->k[RTK_K_KEY_WORDS] = key_words;
	else
		printf("# %s\n", err.msg);
	return ok;
}

static uint64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* A program that calls one function with numbers that nobody knows. */
static void try_function(struct fixture *f, uint32_t func, bool print)
{
	struct err err = { 0 };
	struct gen g = { .e = f->e, .reterr = &err };
	struct code c = { 0 };
	char *log = calloc(1, LOG_BYTES);
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_btf_fd = (uint32_t)f->e->btf_fd, .log_buf = log, .log_size = LOG_BYTES, .log_level = 4);
	emit_mov(&g, 6, 1);
	for (uint8_t r = 1; r <= 5; r++)
		emit_load(&g, 8, r, 6, 8 * r);
	emit_call(&g, rtk_funcs[func].name);
	emit(&g, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	CHECK(!code_link(&g, &c));
	/* The main program's own function only: the others have their turn. */
	opts.func_info = c.funcs;
	opts.func_info_cnt = c.func_cnt;
	opts.func_info_rec_size = sizeof(*c.funcs);
	uint64_t start = now_us();
	int fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "dt_test", "Dual MIT/GPL", c.insns, c.cnt, &opts);
	uint64_t us = now_us() - start;
	const char *at = strstr(log, "processed ");
	unsigned long insns = at ? strtoul(at + 10, NULL, 10) : 0;
	/* Where the kernel is locked down. */
	bool kept_back = strstr(rtk_funcs[func].name, "copyout") && strstr(log, "cannot use helper");
	CHECK_MSG(fd >= 0 || kept_back, "%s: %s", rtk_funcs[func].name, log);
	CHECK_MSG(insns <= INSNS_MOST, "%s: the kernel follows %lu instructions", rtk_funcs[func].name, insns);
	if (print)
		printf("# %-24s %8lu insns %8llu us\n", rtk_funcs[func].name, insns, (unsigned long long)us);
	if (fd >= 0)
		close(fd);
	free(log);
	free(g.insns);
	free(g.fixes);
	ebpf_code_deinit(&c);
}

static void functions(bool print, uint32_t key_words)
{
	struct fixture f;
	if (CHECK(set_up(&f, key_words)))
		for (uint32_t i = 0; i < rtk_func_cnt; i++)
			if (strcmp(rtk_funcs[i].name, "rtk_main") != 0)
				try_function(&f, i, print);
	ebpf_destroy(f.e);
}

static void verified(void)
{
	if (geteuid())
		SKIP("programs of the kernel need root");
	functions(false, KEY_WORDS);
}

static const struct tap_test tests[] = { TEST(verified) };

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "cost")) {
		functions(true, argc > 2 ? (uint32_t)atoi(argv[2]) : KEY_WORDS);
		return 0;
	}
	return tap_run(tests, ARRAY_CNT(tests), argc, argv);
}
