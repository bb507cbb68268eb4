/* SPDX-License-Identifier: MIT */
/*
 * Threads that handle requests, each in three steps; every fifth request
 * fails, and another thread is told of it.  Then main() asks greet() for a
 * text, prints it, and says which signals came.
 *
 *   requests [THREADS [REQUESTS of each]]
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline, noclone))

static volatile sig_atomic_t usr1;
static long requests = 10;
static char text[32];

int begin(long id);
int step(long id, long what);
int failed(long id);
int finish(long id, int ok);
char *greet(char *buf);

NOINLINE int begin(long id) { __asm__ volatile("" : : "r"(id)); return (int)id; }
NOINLINE int step(long id, long what) { __asm__ volatile("" : : "r"(id), "r"(what)); return (int)what; }
NOINLINE int failed(long id) { __asm__ volatile("" : : "r"(id)); return (int)id; }
NOINLINE int finish(long id, int ok) { __asm__ volatile("" : : "r"(id)); return ok; }

NOINLINE char *greet(char *buf)
{
	strcpy(buf, "hello");
	__asm__ volatile("" : : "r"(buf) : "memory");
	return buf;
}

static void *tell(void *arg)
{
	failed((long)arg);
	return NULL;
}

static void handle(long id)
{
	pthread_t t;
	begin(id);
	step(id, 1);
	step(id, 2);
	if (id % 5 == 0 && !pthread_create(&t, NULL, tell, (void *)id))
		pthread_join(t, NULL);
	finish(id, id % 5 != 0);
}

static void *run(void *arg)
{
	for (long i = 0; i < requests; i++)
		handle((long)arg * 1000 + i);
	return NULL;
}

static void on_usr1(int sig)
{
	(void)sig;
	usr1++;
}

int main(int argc, char **argv)
{
	pthread_t t[64];
	long threads = argc > 1 ? atol(argv[1]) : 1;
	if (argc > 2)
		requests = atol(argv[2]);
	signal(SIGUSR1, on_usr1);
	for (long i = 0; i < threads && i < 64; i++)
		pthread_create(&t[i], NULL, run, (void *)(i + 1));
	for (long i = 0; i < threads && i < 64; i++)
		pthread_join(t[i], NULL);
	greet(text);
	printf("%s, %d signals\n", text, (int)usr1);
	return 0;
}
