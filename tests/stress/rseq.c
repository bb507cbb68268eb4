/* SPDX-License-Identifier: MIT */
/* A counter per CPU, raised in restartable sequences by many threads while they are preempted: nothing may be lost. */
#define _GNU_SOURCE
#include <linux/rseq.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIGNATURE 0x53053053
#define THREADS 4

static __thread struct rseq area __attribute__((aligned(32)));
static struct {
	volatile long n;
	char pad[120];
} count[1024];
static long per_thread;

/* 1: done; 0: aborted, or on another CPU. */
__attribute__((noinline)) int add(volatile long *slot, struct rseq *rs, uint32_t cpu)
{
	__asm__ goto(".pushsection __rseq_cs, \"aw\"\n"
		     ".balign 32\n"
		     "3: .long 0, 0\n"
		     ".quad 1f, 2f - 1f, 4f\n"
		     ".popsection\n"
		     "leaq 3b(%%rip), %%rax\n"
		     "movq %%rax, %[cs]\n"
		     "1:\n"
		     "cmpl %[cpu], %[id]\n"
		     "jnz %l[out]\n"
		     "movq %[slot], %%rax\n"
		     ".rept 40\n"
		     "nopl 0(%%rax)\n"
		     ".endr\n"
		     "incq %%rax\n"
		     "movq %%rax, %[slot]\n"
		     "2:\n"
		     ".pushsection .text.unlikely, \"ax\"\n"
		     ".byte 0x0f, 0xb9, 0x3d\n"
		     ".long 0x53053053\n"
		     "4: jmp %l[out]\n"
		     ".popsection\n"
		     : : [cs] "m"(rs->rseq_cs), [cpu] "r"(cpu), [id] "m"(rs->cpu_id), [slot] "m"(*slot)
		     : "memory", "cc", "rax" : out);
	return 1;
out:
	return 0;
}

static void *work(void *arg)
{
	if (syscall(SYS_rseq, &area, sizeof(area), 0, SIGNATURE)) {
		perror("rseq");
		exit(77);
	}
	for (long i = 0; i < per_thread;) {
		uint32_t cpu = *(volatile uint32_t *)&area.cpu_id_start;
		if (add(&count[cpu].n, &area, cpu))
			i++;
	}
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t t[THREADS];
	long sum = 0;
	per_thread = argc > 1 ? atol(argv[1]) : 1000000;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, work, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < 1024; i++)
		sum += count[i].n;
	printf("%ld\n", sum);
	return sum == THREADS * per_thread ? 0 : 1;
}
