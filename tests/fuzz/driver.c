/* SPDX-License-Identifier: MIT */
/*
 * usage: fuzz_NAME [-t SECONDS] [-s SEED] [-i ITERATION] [FILE...]
 *
 * Mutates the target's seeds for a bounded time.  Input ITERATION of SEED is
 * always the same bytes, so what a crash prints runs it again.  FILEs are run
 * as they are.
 */
#include "fuzz.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INPUT_MAX (1u << 16)
#define SEEDS_MAX 64

static struct {
	uint8_t *bytes;
	size_t cnt;
} seeds[SEEDS_MAX];
static unsigned seed_cnt;
static const char *prog_name;
static unsigned long run_seed = 1, cur_iter;
static uint64_t rng;

static uint64_t rnd(void)
{
	uint64_t z = (rng += 0x9e3779b97f4a7c15ULL);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static size_t below(size_t n)
{
	return n ? (size_t)(rnd() % n) : 0;
}

static void on_crash(int sig)
{
	char buf[256];
	int n = snprintf(buf, sizeof(buf), "not ok 1 - signal %d in input %lu of seed %lu\n# again: %s -s %lu -i %lu\n1..1\n",
			 sig, cur_iter, run_seed, prog_name, run_seed, cur_iter);
	if (n > 0 && write(1, buf, (size_t)n) < 0)
		_exit(2);
	_exit(1);
}

static void load_seeds(void)
{
	uint8_t *buf = malloc(INPUT_MAX);
	for (unsigned i = 0; buf && i < SEEDS_MAX; i++) {
		size_t n = fuzz_seed(i, buf, INPUT_MAX);
		if (!n)
			break;
		seeds[i].bytes = malloc(n);
		if (!seeds[i].bytes)
			break;
		memcpy(seeds[i].bytes, buf, n);
		seeds[i].cnt = n;
		seed_cnt++;
	}
	free(buf);
}

static void put_number(uint8_t *buf, size_t cnt)
{
	static const uint64_t odd[] = { 0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000,
		0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff8, 0x100000000, INT64_MAX, 1ULL << 63, UINT64_MAX };
	uint64_t v = odd[below(sizeof(odd) / sizeof(odd[0]))] + (below(4) ? 0 : rnd() % 17 - 8);
	size_t width = (size_t)1 << below(4);
	if (cnt >= width)
		memcpy(buf + below(cnt - width + 1), &v, width);
}

static size_t remove_part(uint8_t *buf, size_t cnt)
{
	size_t at = below(cnt), len = 1 + below(cnt - at < 64 ? cnt - at : 64);
	if (at + len > cnt)
		return cnt;
	memmove(buf + at, buf + at + len, cnt - at - len);
	return cnt - len;
}

/* Copies a part of another seed over, or into, the input. */
static size_t splice(uint8_t *buf, size_t cnt, bool insert)
{
	unsigned s = (unsigned)below(seed_cnt);
	size_t from = below(seeds[s].cnt), len = 1 + below(128), at = below(cnt + 1);
	if (from + len > seeds[s].cnt)
		len = seeds[s].cnt - from;
	if (insert) {
		if (cnt + len > INPUT_MAX)
			return cnt;
		memmove(buf + at + len, buf + at, cnt - at);
		cnt += len;
	} else if (at + len > cnt) {
		len = cnt - at;
	}
	memcpy(buf + at, seeds[s].bytes + from, len);
	return cnt;
}

static size_t mutate(uint8_t *buf, size_t cnt)
{
	switch (below(7)) {
	case 0:
		if (cnt)
			buf[below(cnt)] ^= (uint8_t)(1u << below(8));
		return cnt;
	case 1:
		if (cnt)
			buf[below(cnt)] = (uint8_t)rnd();
		return cnt;
	case 2:
	case 3:
		put_number(buf, cnt);
		return cnt;
	case 4:
		return cnt ? remove_part(buf, cnt) : cnt;
	case 5:
		return splice(buf, cnt, true);
	default:
		return splice(buf, cnt, false);
	}
}

static void run_iter(unsigned long iter, uint8_t *buf)
{
	cur_iter = iter;
	rng = run_seed * 0x100000001b3ULL ^ iter * 0xff51afd7ed558ccdULL;
	unsigned s = (unsigned)below(seed_cnt);
	size_t cnt = seeds[s].cnt;
	memcpy(buf, seeds[s].bytes, cnt);
	/* The seeds themselves come first, unchanged. */
	if (iter < seed_cnt) {
		cnt = seeds[iter].cnt;
		memcpy(buf, seeds[iter].bytes, cnt);
	} else {
		for (size_t n = (size_t)1 << below(6); n; n--)
			cnt = mutate(buf, cnt);
	}
	/* An allocation of its own size, so that a sanitizer sees reads past the end. */
	uint8_t *exact = malloc(cnt ? cnt : 1);
	if (!exact)
		return;
	memcpy(exact, buf, cnt);
	LLVMFuzzerTestOneInput(exact, cnt);
	free(exact);
}

static void run_file(const char *path, uint8_t *buf)
{
	FILE *f = fopen(path, "rb");
	if (!f) {
		perror(path);
		exit(2);
	}
	size_t n = fread(buf, 1, INPUT_MAX, f);
	fclose(f);
	LLVMFuzzerTestOneInput(buf, n);
}

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	double seconds = 10;
	long only = -1;
	int c;
	prog_name = argv[0];
	while ((c = getopt(argc, argv, "t:s:i:")) != -1) {
		if (c == 't')
			seconds = atof(optarg);
		else if (c == 's')
			run_seed = strtoul(optarg, NULL, 0);
		else if (c == 'i')
			only = atol(optarg);
		else
			return 2;
	}
	load_seeds();
	uint8_t *buf = malloc(INPUT_MAX);
	if (!buf || !seed_cnt)
		return 2;
	if (only >= 0) {
		run_iter((unsigned long)only, buf);
		return 0;
	}
	for (int i = optind; i < argc; i++)
		run_file(argv[i], buf);
	if (optind < argc)
		return 0;
	const int sigs[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM };
	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		signal(sigs[i], on_crash);
	unsigned long iter = 0;
	for (double end = now() + seconds; now() < end;) {
		alarm(20); /* an input that hangs */
		for (int k = 0; k < 64; k++)
			run_iter(iter++, buf);
	}
	alarm(0);
	printf("ok 1 - no input of %lu crashed\n1..1\n", iter);
	for (unsigned i = 0; i < seed_cnt; i++)
		free(seeds[i].bytes);
	free(buf);
	return 0;
}
