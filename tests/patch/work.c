/* SPDX-License-Identifier: MIT */
/* Something of everything that compilers make of C, for live.py: prints sums. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>

#define NOINLINE __attribute__((noinline))

struct big {
	long v[8];
};

static volatile long sink;

NOINLINE static long empty_leaf(void) { return 7; }
NOINLINE static void nothing(void) { __asm__ volatile(""); }
NOINLINE static long red_zone(long a, long b)
{
	volatile long x[4] = { a, b, a ^ b, a + b };
	return x[0] + x[1] * x[2] - x[3];
}

NOINLINE static int dense_switch(unsigned op, int a)
{
	switch (op) {
	case 0: return a + 1;
	case 1: return a * 3;
	case 2: a ^= 0x55; /* fall through */
	case 3: return a - 2;
	case 4: nothing(); return -a;
	case 5: return abs(a);
	case 6: return a << 2;
	case 7: a += 9; break;
	case 9: return a % 7;
	default: return 0;
	}
	return a;
}

NOINLINE static long machine(const unsigned char *code)
{
	static const void *const op[] = { &&push, &&add, &&mul, &&dup, &&end };
	long st[16] = { 0 };
	int n = 0;
	goto *op[*code];
push:
	st[n++] = *++code;
	goto *op[*++code];
add:
	n--;
	st[n - 1] += st[n];
	goto *op[*++code];
mul:
	n--;
	st[n - 1] *= st[n];
	goto *op[*++code];
dup:
	st[n] = st[n - 1];
	n++;
	goto *op[*++code];
end:
	return st[n - 1];
}

NOINLINE static long fib(long n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
NOINLINE static long gcd(long a, long b) { return b ? gcd(b, a % b) : a; }
NOINLINE static long even(long n);
NOINLINE static long odd(long n) { return n ? even(n - 1) : 0; }
NOINLINE static long even(long n) { return n ? odd(n - 1) : 1; }

NOINLINE static struct big make_big(long seed)
{
	struct big b;
	for (int i = 0; i < 8; i++)
		b.v[i] = seed * (i + 1);
	return b;
}
NOINLINE static long sum_big(struct big b)
{
	long s = 0;
	for (int i = 0; i < 8; i++)
		s += b.v[i];
	return s;
}

NOINLINE static double mean(int n, ...)
{
	va_list ap;
	double s = 0;
	va_start(ap, n);
	for (int i = 0; i < n; i++)
		s += va_arg(ap, double);
	va_end(ap);
	return s / n;
}

NOINLINE static int by_value(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;
	return (x > y) - (x < y);
}

static long (*volatile through)(long, long) = red_zone;
NOINLINE static long tail_pointer(long a, long b) { return through(a + 1, b); }

static jmp_buf env;
NOINLINE static void jumper(int depth)
{
	if (depth == 0)
		longjmp(env, 5);
	jumper(depth - 1);
	nothing();
}
NOINLINE static int jump_test(int d)
{
	int r = setjmp(env);
	if (r)
		return r + d;
	jumper(d);
	return 0;
}

static volatile sig_atomic_t signals;
static void on_signal(int s) { signals += s; }

NOINLINE static long alloca_sum(int n)
{
	long *p = __builtin_alloca(n * sizeof(*p));
	long s = 0;
	for (int i = 0; i < n; i++)
		p[i] = i * 3;
	for (int i = 0; i < n; i++)
		s += p[i];
	return s;
}

NOINLINE static long strings(void)
{
	char buf[256] = "";
	for (int i = 0; i < 20; i++)
		snprintf(buf + strlen(buf), sizeof(buf) - strlen(buf), "%d,%c;", i * i, 'a' + i % 26);
	long h = 5381;
	for (char *s = buf; *s; s++)
		h = h * 33 + *s;
	return h ^ (strchr(buf, 'k') - buf) ^ strcmp(buf, "0,a");
}

NOINLINE static long cold_error(long v)
{
	if (__builtin_expect(v == 12345, 0)) {
		fprintf(stderr, "never\n");
		abort();
	}
	return v * 2;
}

static int worker(void *arg)
{
	long s = 0;
	for (int i = 0; i < 200; i++)
		s += gcd(i * 12, 18) + dense_switch(i % 11, i) + red_zone(i, (long)(intptr_t)arg);
	return (int)(s & 0xffff);
}

static void threads_test(void)
{
	thrd_t t[4];
	for (intptr_t i = 0; i < 4; i++)
		thrd_create(&t[i], worker, (void *)i);
	for (int i = 0; i < 4; i++) {
		int r;
		thrd_join(t[i], &r);
		printf("thread %d\n", r);
	}
}

int main(void)
{
	static const unsigned char code[] = { 0, 5, 0, 6, 2, 3, 1, 0, 9, 1, 4 };
	int v[500];
	long s = 0;
	for (int i = 0; i < 5000; i++)
		s += dense_switch((unsigned)i % 12, i) + empty_leaf() + red_zone(i, i * 3) + cold_error(i);
	printf("%ld %ld %ld %ld\n", s, fib(18), gcd(123456, 7890), even(1001));
	printf("machine %ld\n", machine(code));
	printf("big %ld\n", sum_big(make_big(11)));
	printf("mean %.4f %.4f\n", mean(3, 1.5, 2.5, 9.25), sqrt(2.0) + floor(2.7));
	for (int i = 0; i < 500; i++)
		v[i] = (i * 7919) % 503;
	qsort(v, 500, sizeof(*v), by_value);
	printf("sorted %d %d %d\n", v[0], v[250], v[499]);
	printf("tail %ld jump %d alloca %ld strings %ld\n", tail_pointer(4, 5), jump_test(6), alloca_sum(100), strings());
	signal(SIGUSR1, on_signal);
	for (int i = 0; i < 50; i++)
		raise(SIGUSR1);
	printf("signals %d\n", (int)signals);
	threads_test();
	sink = s;
	return (int)(sink & 63);
}
