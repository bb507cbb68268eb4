/* SPDX-License-Identifier: MIT */
/* A program to look at: says where its functions are, then waits for the end of its input. */
#include <stdint.h>
#include <stdio.h>

#define NOINLINE __attribute__((noinline, noclone))

volatile int sink;

NOINLINE static int hidden_static(int x) { return x * 3 + sink; }
NOINLINE int plain_global(int x) { return hidden_static(x) + 1; }
int plain_global_too(int x) __attribute__((alias("plain_global")));
int _plain_global(int x) __attribute__((alias("plain_global")));
int plain_data[4];

/* Saved registers, an aligned frame. */
NOINLINE int realigned(int x)
{
	volatile int v[16] __attribute__((aligned(64)));
	for (int i = 0; i < 16; i++)
		v[i] = plain_global(x + i);
	return v[x & 15];
}

__asm__(".text\n.globl bare_label\nbare_label:\n\tmov $7, %eax\n\tret\n"
	".globl sizeless\n.type sizeless, @function\nsizeless:\n\tmov $8, %eax\n\tnop\n\tret\n"
	".globl after_sizeless\n.type after_sizeless, @function\nafter_sizeless:\n\tret\n.size after_sizeless, .-after_sizeless\n");
int bare_label(void);

/* A realigned frame as gcc describes one: CFA = *(rbp - 8), rbp at rbp, rbx at rbp - 16. */
__asm__(".text\n.globl described\n.type described, @function\ndescribed:\n.cfi_startproc\n\tnop\n"
	"\t.cfi_escape 0x0f,0x03,0x76,0x78,0x06\n\t.cfi_escape 0x10,0x06,0x02,0x76,0x00\n"
	"\t.cfi_escape 0x10,0x03,0x02,0x76,0x70\n\tnop\n\t.cfi_undefined rip\n\tnop\n\tret\n"
	".cfi_endproc\n.size described, .-described\n");
int described(void);
int sizeless(void);
int after_sizeless(void);

#ifdef WITH_IFUNC
static int impl_a(int x) { return x + sink; }
static int impl_b(int x) { return x + 1 + sink; }
static void *chooser(void) { return (void *)(sink ? impl_a : impl_b); }
int chosen(int x) __attribute__((ifunc("chooser")));
#endif

#define SAY(f) printf(#f " %lx\n", (unsigned long)(uintptr_t)&f)

int main(void)
{
	SAY(hidden_static);
	SAY(plain_global);
	SAY(realigned);
	SAY(plain_data);
	SAY(bare_label);
	SAY(described);
	SAY(sizeless);
	SAY(after_sizeless);
#ifdef WITH_IFUNC
	sink = chosen(0);
	printf("chosen_impl %lx\n", (unsigned long)(uintptr_t)impl_b);
#endif
	sink = realigned(3) + bare_label() + sizeless();
	printf("ready 0\n");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
