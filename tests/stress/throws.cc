/* SPDX-License-Identifier: MIT */
/* What unwinds, jumps and switches stacks: deterministic output, compared between a traced and an untraced run. */
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <execinfo.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

static long total;

struct Guard {
	long *count;
	explicit Guard(long *c) : count(c) { ++*count; }
	~Guard() { --*count; ++total; }
};

struct Odd : std::runtime_error {
	int depth;
	Odd(int d, const std::string &s) : std::runtime_error(s), depth(d) {}
};

static long live;

__attribute__((noinline)) static int dive(int depth, int seed)
{
	Guard g(&live);
	std::string s = "level " + std::to_string(depth);
	if (!depth) {
		if (seed % 3 == 0)
			throw Odd(seed, s);
		if (seed % 3 == 1)
			throw seed;
		throw std::out_of_range(s);
	}
	try {
		return dive(depth - 1, seed) + 1;
	} catch (const Odd &e) {
		if (depth % 5 == 0)
			throw;
		throw Odd(e.depth + 1, s + e.what());
	}
}

static void exceptions(int n)
{
	long sum = 0;
	for (int i = 0; i < n; i++) {
		try {
			sum += dive(i % 40, i);
		} catch (const Odd &e) {
			sum += e.depth + (long)std::string(e.what()).size();
		} catch (int v) {
			sum += v;
		} catch (const std::exception &e) {
			sum += e.what()[6];
		}
	}
	printf("exceptions %ld %ld %ld\n", sum, live, total);
}

static void library_throws(int n)
{
	long bad = 0;
	for (int i = 0; i < n; i++) {
		try {
			std::vector<int> v(3);
			bad += v.at((size_t)i + 3);
		} catch (const std::out_of_range &) {
			bad += 1;
		}
		try {
			bad += std::stoi("x");
		} catch (const std::invalid_argument &) {
			bad += 2;
		}
		try {
			std::regex r("[a");
		} catch (const std::regex_error &) {
			bad += 3;
		}
		try {
			std::function<void()> f;
			f();
		} catch (const std::bad_function_call &) {
			bad += 4;
		}
	}
	printf("library %ld\n", bad);
}

static void threads(int n)
{
	long sum = 0;
	for (int i = 0; i < n; i++) {
		std::vector<std::future<int>> fs;
		for (int k = 0; k < 4; k++)
			fs.push_back(std::async(std::launch::async, [i, k] { return dive(10 + k, 3 * i); }));
		for (auto &f : fs) {
			try {
				sum += f.get();
			} catch (const Odd &e) {
				sum += e.depth;
			}
		}
	}
	printf("threads %ld\n", sum);
}

static void *cancelled(void *arg)
{
	Guard g((long *)arg);
	for (;;)
		pause();
	return nullptr;
}

static void cancel(int n)
{
	long open = 0;
	for (int i = 0; i < n; i++) {
		pthread_t t;
		void *ret;
		pthread_create(&t, nullptr, cancelled, &open);
		pthread_cancel(t);
		pthread_join(t, &ret);
		if (ret != PTHREAD_CANCELED)
			puts("not cancelled");
	}
	printf("cancel %ld\n", open);
}

static jmp_buf env;
__attribute__((noinline)) static void leap(int depth)
{
	volatile char pad[64];
	pad[0] = (char)depth;
	if (depth <= 0)
		longjmp(env, 7);
	if (depth > 0)
		leap(depth - 1);
	pad[1] = pad[0];
}

static void longjumps(int n)
{
	volatile long sum = 0;
	for (volatile int i = 0; i < n; i++) {
		int v = setjmp(env);
		if (!v)
			leap(i % 50);
		sum += v;
	}
	printf("longjmp %ld\n", (long)sum);
}

static ucontext_t back, co[3];
static long co_sum;

static void co_main(int which)
{
	for (int i = 0; i < 1000; i++) {
		try {
			co_sum += dive(i % 7, which);
		} catch (int v) {
			co_sum += v + i;
		} catch (const std::exception &e) {
			co_sum += i;
		}
		swapcontext(&co[which], &back);
	}
}

static void coroutines()
{
	for (int i = 0; i < 3; i++) {
		getcontext(&co[i]);
		co[i].uc_stack.ss_sp = malloc(65536);
		co[i].uc_stack.ss_size = 65536;
		co[i].uc_link = &back;
		makecontext(&co[i], (void (*)())co_main, 1, i);
	}
	for (int round = 0; round < 1000; round++)
		for (int i = 0; i < 3; i++)
			swapcontext(&back, &co[i]);
	printf("coroutines %ld\n", co_sum);
}

/* How deep the unwinder sees: probes leave no frame. */
__attribute__((noinline)) static int depth_seen(int d)
{
	void *pc[128];
	int n = d ? depth_seen(d - 1) : backtrace(pc, 128);
	__asm__ volatile("" ::: "memory");
	return n;
}

static volatile sig_atomic_t signals;
static void on_signal(int)
{
	std::string s = std::to_string(signals);
	signals = signals + 1;
	try {
		dive(3, 1);
	} catch (int) {
	}
}

static void handlers(int n)
{
	stack_t ss = {};
	ss.ss_sp = malloc(65536);
	ss.ss_size = 65536;
	sigaltstack(&ss, nullptr);
	struct sigaction sa = {};
	sa.sa_handler = on_signal;
	sa.sa_flags = SA_ONSTACK;
	sigaction(SIGUSR1, &sa, nullptr);
	for (int i = 0; i < n; i++)
		raise(SIGUSR1);
	printf("handlers %d\n", (int)signals);
}

/* The program's own faults stay its own. */
static sigjmp_buf fault_env;
static void on_fault(int sig) { siglongjmp(fault_env, sig); }

static void faults(int n)
{
	long sum = 0;
	char *page = (char *)mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct sigaction sa = {};
	sa.sa_handler = on_fault;
	sa.sa_flags = SA_ONSTACK;
	sigaction(SIGSEGV, &sa, nullptr);
	for (int i = 0; i < n; i++) {
		int v = sigsetjmp(fault_env, 1);
		if (!v)
			sum += *(volatile char *)page;
		sum += v;
	}
	printf("faults %ld\n", sum);
}

__attribute__((noinline)) static long down(long n) { volatile char pad[40]; pad[0] = 1; return n ? down(n - 1) + pad[0] : 0; }

int main(int argc, char **argv)
{
	int scale = argc > 1 ? atoi(argv[1]) : 1;
	exceptions(300 * scale);
	library_throws(50 * scale);
	threads(20 * scale);
	cancel(50 * scale);
	longjumps(2000 * scale);
	coroutines();
	printf("backtrace %d\n", depth_seen(20));
	handlers(300 * scale);
	faults(500 * scale);
	printf("deep %ld\n", down(50000));
	std::map<std::string, std::shared_ptr<std::ostringstream>> m;
	for (int i = 0; i < 200 * scale; i++) {
		auto &p = m[std::to_string(i % 37)];
		if (!p)
			p = std::make_shared<std::ostringstream>();
		*p << i << ',';
	}
	for (auto &kv : m)
		printf("%s %zu\n", kv.first.c_str(), kv.second->str().size());
	return 0;
}
