/* SPDX-License-Identifier: MIT */
/*
 * offered WHAT: a program that is linked with libdyntrace-agent.
 *   lines   repeats what it reads, line by line, through answer()
 *   filter  likewise; from its first line on all of its threads are under a filter that kills who does more (or waits for more)
 *   last    its first thread ends by itself, then another, and it with them
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

long answer(const char *line, size_t n); /* traced by its name */

__attribute__((noinline)) long answer(const char *line, size_t n)
{
	return write(1, line, n);
}

#define ALLOW(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static int filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_read), ALLOW(SYS_write), ALLOW(SYS_recvmsg), ALLOW(SYS_exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog);
}

static int lines(bool filters)
{
	char buf[256];
	ssize_t n;
	for (; (n = read(0, buf, sizeof(buf))) > 0; filters = false) {
		if (filters && filter())
			return 3;
		if (answer(buf, (size_t)n) != n)
			return 2;
	}
	return 0;
}

static void *wait_a_little(void *arg)
{
	usleep(300000);
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t t;
	if (argc != 2)
		return 2;
	if (!strcmp(argv[1], "last")) {
		pthread_create(&t, NULL, wait_a_little, NULL);
		pthread_exit(NULL);
	}
	return lines(!strcmp(argv[1], "filter"));
}
