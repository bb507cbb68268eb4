/* SPDX-License-Identifier: MIT */
/*
 * A unit test program: static void functions that CHECK, and a main made by
 * TAP_MAIN(TEST(a), TEST(b), ...).  Prints TAP; `PROGRAM NAME` runs one test.
 */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tap_test {
	const char *name;
	void (*fn)(void);
};
static int tap_failed;
static char tap_skip[256];

#define TEST(f) { #f, f }
#define CHECK(cond) CHECK_MSG(cond, "%s", #cond)
#define CHECK_MSG(cond, ...) tap_check(!!(cond), __FILE__, __LINE__, __VA_ARGS__)
#define CHECK_EQ(got, want) do { \
	long long tap_g = (long long)(got), tap_w = (long long)(want); \
	tap_check(tap_g == tap_w, __FILE__, __LINE__, "%s is %lld (0x%llx), not %lld (0x%llx)", #got, tap_g, tap_g, tap_w, tap_w); \
} while (0)
#define CHECK_STR(got, want) do { \
	const char *tap_g = (got), *tap_w = (want); \
	tap_check(tap_g && !strcmp(tap_g, tap_w), __FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #got, tap_g ? tap_g : "(null)", tap_w); \
} while (0)
/* Ends the running test as skipped; say why. */
#define SKIP(...) do { snprintf(tap_skip, sizeof(tap_skip), __VA_ARGS__); return; } while (0)

__attribute__((format(printf, 4, 5)))
static inline bool tap_check(bool ok, const char *file, int line, const char *fmt, ...)
{
	if (ok)
		return true;
	tap_failed++;
	printf("# %s:%d: ", file, line);
	va_list ap;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	return false;
}

static inline int tap_run(const struct tap_test *tests, size_t cnt, int argc, char **argv)
{
	int bad = 0, n = 0;
	for (size_t i = 0; i < cnt; i++) {
		if (argc > 1 && strcmp(argv[1], tests[i].name))
			continue;
		tap_failed = 0;
		tap_skip[0] = 0;
		tests[i].fn();
		printf("%sok %d - %s%s%s\n", tap_failed ? "not " : "", ++n, tests[i].name,
		       tap_skip[0] ? " # SKIP " : "", tap_skip);
		if (tap_failed)
			printf("# again: %s %s\n", argv[0], tests[i].name);
		fflush(stdout);
		bad += !!tap_failed;
	}
	printf("1..%d\n", n);
	return bad ? 1 : 0;
}
#define TAP_MAIN(...) int main(int argc, char **argv) { \
	static const struct tap_test tap_tests[] = { __VA_ARGS__ }; \
	return tap_run(tap_tests, sizeof(tap_tests) / sizeof(tap_tests[0]), argc, argv); }

#endif
