/* SPDX-License-Identifier: MIT */
/* A program with types worth asking about: see tests/run/types. Built with debug information. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum colour { RED, GREEN = 5, BLUE };
typedef struct point {
	int x, y;
} point_t;
struct shape {
	struct shape *next;
	const char *name;
	char tag[8];
	unsigned int low : 3, high : 20;
	int sign : 4;
	enum colour colour;
	union {
		int i;
		uint64_t l;
	} u;
	point_t corner[2];
	double weight;
	bool closed;
};
struct wide {
	long v[4];
};
struct vector {
	float x, y, z;
};
struct mixed {
	double d;
	long l;
};

struct shape *first;
int drawn = 40;

long draw(struct shape *s, double zoom, int times, const char *how);
struct wide bounds(int n);
int many(point_t p, struct wide w, int a, int b, int c, int d, int e, short f, int g);
point_t pick(int n);
struct mixed blend(float a, double b, struct vector v, struct mixed m);
double half(double x);
long double exact(long double x);

__attribute__((noinline)) long draw(struct shape *s, double zoom, int times, const char *how)
{
	__asm__ volatile("" ::: "memory");
	drawn++;
	return s->corner[0].x + (long)zoom + times + how[0];
}

__attribute__((noinline)) struct wide bounds(int n)
{
	__asm__ volatile("" ::: "memory");
	return (struct wide){ { n, n + 1, n + 2, n + 3 } };
}

__attribute__((noinline)) int many(point_t p, struct wide w, int a, int b, int c, int d, int e, short f, int g)
{
	__asm__ volatile("" ::: "memory");
	return p.x + (int)w.v[1] + a + b + c + d + e + f + g;
}

__attribute__((noinline)) point_t pick(int n)
{
	__asm__ volatile("" ::: "memory");
	return (point_t){ n, -n };
}

__attribute__((noinline)) struct mixed blend(float a, double b, struct vector v, struct mixed m)
{
	__asm__ volatile("" ::: "memory");
	return (struct mixed){ (double)a + b + (double)v.z, m.l + (long)m.d };
}

__attribute__((noinline)) double half(double x)
{
	__asm__ volatile("" ::: "memory");
	return x / 2;
}

__attribute__((noinline)) long double exact(long double x)
{
	__asm__ volatile("" ::: "memory");
	return x / 3;
}

/* So that it is there at the end, when the stack is not. */
static struct shape box = { NULL, "box", "square", 5, 70000, -3, BLUE, { .i = 7 }, { { 1, 2 }, { 3, 4 } }, 2.5, true };

int main(void)
{
	static struct shape line = { &box, "line", "", 0, 0, 0, RED, { .i = 0 }, { { 0, 0 }, { -1, 0 } }, 0, false };
	first = &line;
	long sum = draw(&line, 1.5, 1, "thin") + draw(&box, 2.5, -2, "wide") + bounds(7).v[2];
	sum += many((point_t){ 1, 2 }, (struct wide){ { 1, 2, 3, 4 } }, 1, 2, 3, 4, 5, -6, 7);
	sum += blend(0.5f, -1.25, (struct vector){ 1, 2, 3 }, (struct mixed){ 6.5, 11 }).l;
	sum += (long)half(5) + (long)exact(9);
	return sum + pick(9).x == 0;
}
