/* SPDX-License-Identifier: MIT */
/* Counts the SIGUSR1 that it is sent; SIGTERM makes the count the exit status (modulo 200). */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile sig_atomic_t cnt, end;

static void on_usr1(int sig) { (void)sig; cnt++; }
static void on_term(int sig) { (void)sig; end = 1; }

int main(void)
{
	struct sigaction a = { .sa_handler = on_usr1 }, b = { .sa_handler = on_term };
	sigaction(SIGUSR1, &a, NULL);
	sigaction(SIGTERM, &b, NULL);
	puts("ready");
	fflush(stdout);
	while (!end)
		pause();
	return cnt % 200;
}
