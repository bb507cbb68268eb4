/* SPDX-License-Identifier: MIT */
/* What test_ctype.c looks for, in every form that compilers write it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum colour { COLOUR_RED, COLOUR_GREEN = 5, COLOUR_NONE = -1 };
typedef struct point {
	int32_t x, y;
} point_t;
struct hidden; /* defined in other.c */
struct list {
	struct list *next;
	const char *name;
	char tag[16];
	unsigned int low : 3, middle : 7, high : 20;
	long long wide : 40;
	enum colour colour;
	union {
		int i;
		double d;
	} u;
	struct {
		short inner;
	};
	point_t grid[2][3];
	int (*call)(struct list *, int);
	struct hidden *hidden;
	_Bool on;
	float weight;
	volatile const unsigned char byte;
};
struct wide {
	long v[4];
};
struct mixed {
	double d;
	long l;
};

struct list *volatile list_head;
int counter = 42;
__thread int per_thread;
struct hidden *other(void);

__attribute__((noinline)) long plain(struct list *l, int n, const char *s, bool b)
{
	__asm__ volatile("" ::: "memory");
	return l->u.i + n + s[0] + b;
}

__attribute__((noinline)) double floats(double a, int n, float f, long k)
{
	__asm__ volatile("" ::: "memory");
	return a + n + (double)f + (double)k;
}

__attribute__((noinline)) struct wide large(int n)
{
	__asm__ volatile("" ::: "memory");
	return (struct wide){ { n, n, n, n } };
}

__attribute__((noinline)) int stack(point_t p, struct wide w, int a, int b, int c, struct mixed m, int d, short e, int f)
{
	__asm__ volatile("" ::: "memory");
	return p.x + (int)w.v[1] + a + b + c + (int)m.l + d + e + f;
}

static __attribute__((noinline)) int local(point_t *p)
{
	__asm__ volatile("" ::: "memory");
	return p->y;
}

int main(int argc, char **argv)
{
	static struct list one;
	point_t p = { argc, argc };
	one.u.i = argc;
	list_head = &one;
	per_thread = counter++;
	long sum = plain(&one, argc, argv[0], true) + (long)floats(1, 2, 3, 4) + large(argc).v[2] + local(&p);
	return (int)(sum + stack(p, (struct wide){ { 1 } }, 1, 2, 3, (struct mixed){ 1, 2 }, 4, 5, 6) + !other());
}
