/* SPDX-License-Identifier: MIT */
/*
 * hazards DEED: one thing that a tracer could spoil, with a result that is known.
 *
 *   handlers   a timer's handler interrupts work() wherever it is; both are counted
 *   atfork     handlers before and after forks, children that allocate at once
 *   vfork      children that borrow their parent's stack and memory
 *   limit      recursion until the stack is at its end, which a handler on another stack takes; on two kinds of stacks
 *   loader     libraries that come and go while others look symbols up
 *   filter     a seccomp filter, asked for without the libc, that kills for what a probe's copyin() needs
 *   strict     the same with prctl() and strict mode
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOIPA __attribute__((noipa))

static volatile long worked, handled, sum;

NOIPA static long work(const char *text)
{
	worked++;
	return text[0];
}

NOIPA static void handle(const char *text)
{
	handled++;
	sum += text[1];
}

static void on_alarm(int sig)
{
	(void)sig;
	handle("ab");
}

static void handlers(void)
{
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_ONSTACK | SA_RESTART };
	stack_t ss = { .ss_sp = malloc(65536), .ss_size = 65536 };
	struct itimerval every = { { 0, 300 }, { 0, 300 } }, never = { { 0, 0 }, { 0, 0 } };
	sigaltstack(&ss, NULL);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	while (handled < 1500)
		sum += work("xy");
	setitimer(ITIMER_REAL, &never, NULL);
	printf("worked %ld handled %ld\n", worked, handled);
}

static int before, parents, children;
static void prepare(void) { before++; free(malloc(100)); }
static void parent(void) { parents++; }
static void child(void) { children++; free(malloc(5000)); }

static void atfork(void)
{
	int st, bad = 0;
	pthread_atfork(prepare, parent, child);
	for (int i = 0; i < 50; i++) {
		pid_t p = fork();
		if (!p) {
			char *s = malloc(100000);
			memset(s, 1, 100000);
			_exit(children == 1 && before == i + 1 ? 7 : 1);
		}
		waitpid(p, &st, 0);
		bad |= st != 7 << 8;
	}
	printf("atfork %d %d %d bad %d\n", before, parents, children, bad);
}

static void vforks(void)
{
	volatile int bad = 0;
	int st;
	for (volatile int i = 0; i < 50; i++) {
		pid_t p = vfork();
		if (!p) {
			if (i % 2)
				execl("/bin/true", "true", (char *)0);
			work("vf");
			_exit(i);
		}
		waitpid(p, &st, 0);
		bad |= st != (i % 2 ? 0 : i << 8);
	}
	printf("vfork bad %d worked %ld\n", bad, worked);
}

static __thread sigjmp_buf out;
static void on_end(int sig) { siglongjmp(out, sig); }

NOIPA static long dive(long n)
{
	volatile char room[100];
	room[0] = (char)n;
	return n < 0 ? 0 : dive(n + 1) + room[0];
}

static void *limit_once(void *arg)
{
	int *ends = arg;
	stack_t ss = { .ss_sp = malloc(65536), .ss_size = 65536 };
	sigaltstack(&ss, NULL);
	for (volatile int i = 0; i < 20; i++) {
		int sig = sigsetjmp(out, 1);
		if (!sig)
			dive(0);
		*ends += sig == SIGSEGV;
		work("li");
	}
	return NULL;
}

static void limit(void)
{
	struct sigaction sa = { .sa_handler = on_end, .sa_flags = SA_ONSTACK };
	int ends = 0;
	pthread_t t;
	pthread_attr_t a;
	sigaction(SIGSEGV, &sa, NULL);
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 65536);
	pthread_create(&t, &a, limit_once, &ends);
	pthread_join(t, NULL);
	setrlimit(RLIMIT_STACK, &(struct rlimit){ 1 << 20, 1 << 20 });
	limit_once(&ends);
	printf("limit %d worked %ld\n", ends, worked);
}

static volatile int done;
static void *look(void *arg)
{
	long *found = arg;
	while (!done)
		*found += dlsym(RTLD_DEFAULT, "qsort") != NULL;
	return NULL;
}

static void loader(void)
{
	static const char *const names[] = { "libm.so.6", "libz.so.1", "libsqlite3.so.0", "libgcc_s.so.1" };
	long found = 0;
	int loaded = 0;
	pthread_t t;
	pthread_create(&t, NULL, look, &found);
	for (int i = 0; i < 40; i++) {
		void *h[4];
		for (int k = 0; k < 4; k++)
			loaded += (h[k] = dlopen(names[k], i % 2 ? RTLD_NOW : RTLD_LAZY)) || k;
		for (int k = 0; k < 4; k++)
			if (h[k])
				dlclose(h[k]);
	}
	done = 1;
	pthread_join(t, NULL);
	printf("loader %d %s\n", loaded, found > 0 ? "found" : "lost");
}

/* As one who does not want a libc between: everything in sight of the instruction. */
NOIPA static long ask_filter(struct sock_fprog *prog)
{
	register long r10 __asm__("r10") = 0;
	long r = 0;
	__asm__ volatile("mov $317, %%eax\n\tsyscall" : "=a"(r) : "D"(SECCOMP_SET_MODE_FILTER), "S"(0L), "d"(prog), "r"(r10) : "rcx", "r11", "memory");
	return r;
}

NOIPA static long ask_strict(void)
{
	long r;
	__asm__ volatile("mov $22, %%edi\n\tmov $157, %%eax\n\tsyscall" : "=a"(r) : "S"((long)SECCOMP_MODE_STRICT) : "rdi", "rcx", "r11", "memory");
	return r;
}

static void end(const char *text)
{
	ssize_t n = write(1, text, strlen(text));
	syscall(SYS_exit, n < 0);
}

static void many(void)
{
	char *text = strdup("heap");
	for (int i = 0; i < 200000; i++)
		work(text);
}

static void filter(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(f) / sizeof(*f), f };
	many();
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (ask_filter(&prog))
		end("no filter\n");
	many();
	end("filtered\n");
}

static void strict(void)
{
	many();
	if (ask_strict())
		end("not strict\n");
	many();
	end("strict\n");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*deed)(void);
	} deeds[] = { { "handlers", handlers }, { "atfork", atfork }, { "vfork", vforks }, { "limit", limit }, { "loader", loader },
		      { "filter", filter }, { "strict", strict } };
	for (size_t i = 0; i < sizeof(deeds) / sizeof(*deeds); i++)
		if (argc > 1 && !strcmp(argv[1], deeds[i].name)) {
			deeds[i].deed();
			return 0;
		}
	return 2;
}
