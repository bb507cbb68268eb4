#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Bodies in trampolines (ADR 47) where code comes and goes: libraries that are closed and opened again, processes that share the
patched text or have a copy of it, a dyntrace that is killed. And more places than have theirs, for what comes later has the other
kind."""
import contextlib
import os
import random
import re
import signal
import subprocess
import tempfile
import time

import lib

# Twelve functions; of @FUNCS of them arguments and returned values are summed.
LIBRARY = r'''
#define F(n) __attribute__((noipa)) long plug##n(long a) { long x = a; for (int i = 0; i < (a & 3); i++) x += i * n; return x + n; }
F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11)
long (*const plugs[12])(long) = { plug0, plug1, plug2, plug3, plug4, plug5, plug6, plug7, plug8, plug9, plug10, plug11 };
'''
FUNCS = 12

# reopen MODE ROUNDS: "closed": each round maps it anew, at one of four addresses; three threads call it meanwhile.
# "shared": each thread opens and closes it for itself.  Prints what it called, what went in and what came out.
REOPEN = r'''
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>
#define THREADS 3
#define FUNCS 12
static const char *path;
static int rounds, moved, same;
static long calls, in, out, wrong;
static volatile int ticks;
static pthread_barrier_t gate;
static long (*const *volatile plugs)(long);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void tick(int sig) { (void)sig; ticks++; }
static long expect(long a, int n)
{
	long x = a;
	for (int i = 0; i < (a & 3); i++)
		x += i * n;
	return x + n;
}
static void call_all(long (*const *f)(long), int times)
{
	long c = 0, i = 0, o = 0, bad = 0;
	for (int k = 0; k < times * FUNCS; k++) {
		long r = f[k % FUNCS](k);
		c++, i += k, o += r;
		bad += r != expect(k, k % FUNCS);
	}
	pthread_mutex_lock(&lock);
	calls += c, in += i, out += o, wrong += bad;
	pthread_mutex_unlock(&lock);
}
static void *together(void *arg)
{
	for (int i = 0; i < rounds; i++) {
		pthread_barrier_wait(&gate);
		call_all(plugs, 20);
		pthread_barrier_wait(&gate);
	}
	return arg;
}
static void *alone(void *arg)
{
	for (int i = 0; i < rounds; i++) {
		void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		long (*const *f)(long) = lib ? dlsym(lib, "plugs") : NULL;
		if (!f)
			abort();
		call_all(f, 5);
		dlclose(lib);
		if (!(i % 3))
			usleep((useconds_t)(i % 7) * 100);
	}
	return arg;
}
static void open_and_close(void)
{
	uint8_t *last = NULL, *taken[3];
	int taken_cnt = 0;
	for (int i = 0; i < rounds; i++) {
		if (last && i % 3 == 1)
			taken[taken_cnt++] = mmap(last, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		void *lib = dlopen(path, RTLD_NOW);
		Dl_info info;
		plugs = lib ? dlsym(lib, "plugs") : NULL;
		if (!plugs || !dladdr(plugs, &info))
			abort();
		if (last)
			*(info.dli_fbase == last ? &same : &moved) += 1;
		last = info.dli_fbase;
		if (taken_cnt == 3)
			while (taken_cnt)
				munmap(taken[--taken_cnt], 4096);
		pthread_barrier_wait(&gate);
		pthread_barrier_wait(&gate);
		dlclose(lib);
	}
}
int main(int argc, char **argv)
{
	pthread_t t[THREADS];
	int shared = argc > 3 && !strcmp(argv[1], "shared");
	struct itimerval every = { { 0, 50 }, { 0, 50 } }; /* many while a library is armed */
	rounds = atoi(argv[2]);
	path = argv[3];
	signal(SIGALRM, tick);
	setitimer(ITIMER_REAL, &every, NULL);
	pthread_barrier_init(&gate, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, shared ? alone : together, NULL);
	if (!shared)
		open_and_close();
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	printf("wrong %ld, moved %d, same %d, calls %ld %ld %ld\n", wrong, moved, same, calls, in, out);
	return wrong != 0;
}
'''

# kin HOW N LIBRARY: N children, by fork(), by the kernel's clone() without what the libc does, by vfork() and by posix_spawn() in
# turn; the former two stay until they are told to go.  "far": before that it opens the library, and its last child has
# memory of its own where the parent then has ours.  Each says nothing but a status: 0, if all was calculated right.
KIN = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
struct shared { volatile long calls, in, out; volatile int go, at_cnt; struct { uint8_t *at; size_t bytes; } at[64]; };
static struct shared *own, *kids; /* what this process and those that run in its memory called; what forked ones did */
__attribute__((noipa)) long work(long a) { long x = a; for (int i = 0; i < (a & 7); i++) x += i; return x * 3; }
__attribute__((noipa)) long twice(long a) { return a + a; }
static int run(struct shared *s, int times)
{
	int bad = 0;
	for (long i = 0; i < times; i++) {
		long n = i & 7, want = (i + n * (n - 1) / 2) * 3, got = work(i), two = twice(i);
		bad |= got != want || two != 2 * i;
		__atomic_add_fetch(&s->calls, 2, __ATOMIC_RELAXED);
		__atomic_add_fetch(&s->in, 2 * i, __ATOMIC_RELAXED);
		__atomic_add_fetch(&s->out, got + two, __ATOMIC_RELAXED);
	}
	return bad;
}
static struct shared *shared(void)
{
	return mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}
/* Where the parent has code of ours that we have not. */
static void find_ours(const char *pid)
{
	char name[64], line[512];
	uint8_t *from, *to;
	snprintf(name, sizeof(name), "/proc/%s/maps", pid);
	FILE *f = fopen(name, "r");
	own->at_cnt = 0;
	while (fgets(line, sizeof(line), f))
		if (strstr(line, "dyntrace-code") && sscanf(line, "%p-%p", (void **)&from, (void **)&to) == 2 && own->at_cnt < 64)
			own->at[own->at_cnt].at = from, own->at[own->at_cnt++].bytes = (size_t)(to - from);
	fclose(f);
}
static int settle(void)
{
	int n = 0;
	for (int i = 0; i < own->at_cnt; i++) {
		uint8_t *p = mmap(own->at[i].at, own->at[i].bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		if (p == MAP_FAILED)
			own->at[i].bytes = 0;
		else
			memset(p, 0x5a, own->at[i].bytes), n++;
	}
	return n;
}
static int is_still_there(void)
{
	for (int i = 0; i < own->at_cnt; i++)
		for (size_t k = 0; k < own->at[i].bytes; k++)
			if (own->at[i].at[k] != 0x5a)
				return 0;
	return 1;
}
static int child(int far)
{
	int bad = 0;
	while (far && kids->go < 1)
		usleep(1000);
	if (far && !settle())
		return 3;
	bad = run(kids, 300);
	__atomic_add_fetch(&kids->at_cnt, 1, __ATOMIC_RELAXED);
	while (kids->go < 2)
		bad |= far ? run(kids, 10), usleep(1000) : usleep(5000);
	return bad || (far && !is_still_there()) || (far ? 0 : run(own, 100)) ? 1 : 0;
}
static pid_t start(int how, char **argv)
{
	char *args[] = { argv[0], NULL };
	pid_t pid = -1;
	if (how == 0)
		pid = fork();
	else if (how == 1)
		pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	else if (how == 2) {
		pid = vfork();
		if (!pid)
			_exit(run(own, 50));
		return pid;
	} else if (!posix_spawn(&pid, argv[0], NULL, NULL, args, environ))
		return pid;
	if (!pid)
		_exit(child(0));
	return pid;
}
int main(int argc, char **argv)
{
	own = shared();
	kids = shared();
	if (argc < 2)
		return run(own, 10);
	int n = atoi(argv[2]), far = !strcmp(argv[1], "far"), bad = 0, st, stay = 0;
	pid_t last = 0;
	getchar();
	if (far && !(last = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL)))
		_exit(child(1));
	if (far) {
		void *lib = dlopen(argv[3], RTLD_NOW);
		long (*const *f)(long) = lib ? dlsym(lib, "plugs") : NULL;
		for (int i = 0; i < 12; i++)
			bad |= !f || f[i](0) != i;
		find_ours("self");
		kids->go = 1;
		stay++;
	}
	for (int i = 0; i < n; i++) {
		bad |= run(own, 20);
		pid_t pid = start(i % 4, argv);
		bad |= pid <= 0;
		if (i % 4 < 2)
			stay++;
		else if (waitpid(pid, &st, 0) != pid || st)
			bad |= 2;
	}
	while (kids->at_cnt < stay && waitpid(-1, &st, WNOHANG) <= 0)
		usleep(1000);
	printf("ready %ld %ld %ld, children %ld %ld %ld\n", own->calls, own->in, own->out, kids->calls, kids->in, kids->out);
	fflush(stdout);
	getchar();
	kids->go = 2;
	while (wait(&st) > 0)
		bad |= st;
	printf("bad %d\n", bad);
	return bad != 0;
}
"""

# sums: three threads call 1,500 functions, and then the first four again and again, and look at what comes back; an alarm interrupts
# them.  At SIGTERM it says how many times it was wrong, and how many rounds each thread has made.
SUMS = r"""
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>
#define TEN(a) F(a##0) F(a##1) F(a##2) F(a##3) F(a##4) F(a##5) F(a##6) F(a##7) F(a##8) F(a##9)
#define HUNDRED(a) TEN(a##0) TEN(a##1) TEN(a##2) TEN(a##3) TEN(a##4) TEN(a##5) TEN(a##6) TEN(a##7) TEN(a##8) TEN(a##9)
#define ALL HUNDRED(1) HUNDRED(2) HUNDRED(3) HUNDRED(4) HUNDRED(5) HUNDRED(6) HUNDRED(7) HUNDRED(8) HUNDRED(9) HUNDRED(10) \
	HUNDRED(11) HUNDRED(12) HUNDRED(13) HUNDRED(14) HUNDRED(15)
#define F(n) __attribute__((noipa)) long sum##n(long a) { return a & 1 ? a * 3 + n : a - n; }
ALL
#undef F
#define F(n) { sum##n, n },
static const struct { long (*fn)(long); long n; } all[] = { ALL };
static volatile sig_atomic_t done, ticks;
static long wrong, rounds[3];
static void stop(int sig) { (void)sig; done = 1; }
static void tick(int sig) { (void)sig; ticks += all[ticks & 3].fn(2) == 2 - all[ticks & 3].n; }
static long look(int i, long a)
{
	return all[i].fn(a) != (a & 1 ? a * 3 + all[i].n : a - all[i].n);
}
static void *run(void *arg)
{
	long bad = 0, *mine = arg;
	while (!done) {
		for (int i = 0; i < 1500; i++)
			bad += look(i, *mine + i);
		for (int i = 0; i < 30000; i++)
			bad += look(i & 3, i);
		++*mine;
	}
	__atomic_add_fetch(&wrong, bad, __ATOMIC_RELAXED);
	return NULL;
}
int main(void)
{
	pthread_t t[3];
	signal(SIGTERM, stop);
	signal(SIGALRM, tick);
	setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 500 }, { 0, 500 } }, NULL);
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, run, &rounds[i]);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	printf("wrong %ld, rounds %ld %ld %ld\n", wrong, rounds[0], rounds[1], rounds[2]);
	return wrong != 0;
}
"""

# What functions that are called by hand find in registers: `keeps_R` returns R as it was, and `sets_R` overwrites R first, with its
# first argument's neighbour. The caller fills all that a function may change and looks at all of them behind the call, as gcc's -fipa-ra
# may where it knows the function.
REGISTERS = r'''
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define R(X) X(rax, 0) X(rcx, 1) X(rdx, 2) X(rsi, 3) X(rdi, 4) X(r8, 5) X(r9, 6) X(r10, 7) X(r11, 8)
#define DEFINE(r, n) __asm__(".globl keeps_" #r ", sets_" #r "\n.type keeps_" #r ", @function\n.type sets_" #r ", @function\n" \
	".balign 16\nkeeps_" #r ": lea 1(%" #r "), %" #r "\nnopl 0(%rsp)\nret\n.size keeps_" #r ", .-keeps_" #r "\n" \
	".balign 16\nsets_" #r ": mov %rbx, %" #r "\nnopl 0(%rsp)\nret\n.size sets_" #r ", .-sets_" #r "\n"); \
	void keeps_##r(void), sets_##r(void);
R(DEFINE)
static uint64_t regs[9], rax, rsi;
static void call(void (*fn)(void))
{
	register uint64_t r8 __asm__("r8") = regs[5], r9 __asm__("r9") = regs[6], r10 __asm__("r10") = regs[7], r11 __asm__("r11") = regs[8];
	register void (*f)(void) __asm__("r12") = fn;
	__asm__ volatile("sub $128, %%rsp\n\tcall *%%r12\n\tadd $128, %%rsp"
		: "+a"(regs[0]), "+c"(regs[1]), "+d"(regs[2]), "+S"(regs[3]), "+D"(regs[4]), "+r"(r8), "+r"(r9), "+r"(r10), "+r"(r11)
		: "r"(f), "b"(77L) : "memory", "cc");
	regs[5] = r8, regs[6] = r9, regs[7] = r10, regs[8] = r11;
}
static int wrong(void (*fn)(void), int n, int sets)
{
	uint64_t want[9];
	for (int i = 0; i < 9; i++)
		want[i] = regs[i] = (uint64_t)random() << 33 ^ (uint64_t)random();
	rax += regs[0], rsi += regs[3];
	want[n] = sets ? 77 : want[n] + 1;
	call(fn);
	return !!memcmp(want, regs, sizeof(want));
}
int main(int argc, char **argv)
{
	int bad = 0;
	if (argc > 2)
		getchar();
	for (int i = 0; i < atoi(argv[1]); i++) {
#define CALL(r, n) bad += wrong(keeps_##r, n, 0) + wrong(sets_##r, n, 1);
		R(CALL)
	}
	printf("bad %d rax %ld rsi %ld\n", bad, rax, rsi);
	return 0;
}
'''


def compiled(work, name, text, *flags):
    lib.need('gcc')
    with open(f'{work}/{name}.c', 'w', encoding='ascii') as f:
        f.write(text)
    subprocess.run(['gcc', '-O2', '-w', *flags, '-o', f'{work}/{name}', f'{work}/{name}.c', '-pthread'], check=True, capture_output=True)
    return f'{work}/{name}'


@contextlib.contextmanager
def reopener():
    with tempfile.TemporaryDirectory() as work:
        yield compiled(work, 'reopen', REOPEN), compiled(work, 'libplug.so', LIBRARY, '-shared', '-fPIC')


def script(cnt):
    """Of the first @cnt functions: calls, arguments, returned values."""
    at = ' '.join(f'pid$target:libplug.so:plug{i}:entry' + ',' * (i + 1 < cnt) for i in range(cnt))
    return (f'{at} {{ @c = count(); @i = sum(arg0); }} {at.replace(":entry", ":return")} {{ @r = count(); @o = sum(arg1); }} '
            'END { printa("c %@d\\n", @c); printa("i %@d\\n", @i); printa("r %@d\\n", @r); printa("o %@d\\n", @o); }')


def numbers(text):
    return {k: int(v) for k, v in re.findall(r'^([ciro]) (-?\d+)$', text, re.M)}


def said_by(text):
    m = re.search(r'wrong (\d+), moved (\d+), same (\d+), calls (\d+) (\d+) (\d+)', text)
    assert m, text[-500:]
    return [int(x) for x in m.groups()]


def reopened(mode, rounds):
    """All calls are seen, with what goes in and comes out, and nothing else is: wherever the library is, and of whichever kind its bodies."""
    with reopener() as (exe, plug):
        r = lib.dyntrace('-q', '-Z', '-n', script(FUNCS), '-c', f'{exe} {mode} {rounds} {plug}')
        wrong, moved, same, calls, went_in, came_out = said_by(r.stdout)
        assert not wrong, r.stdout
        assert mode == 'shared' or (moved > rounds // 4 and same > rounds // 4), r.stdout
        assert numbers(r.stdout) == {'c': calls, 'i': went_in, 'r': calls, 'o': came_out}, (r.stdout, r.stderr[-500:])


def registers(clause, of, runs):
    """Functions find in registers what their caller left there, and it finds what they left, but for what a function overwrites first:
    that need not be kept (ADR 55). Programs that ask for such a register see it all the same. @runs: it does when we come."""
    times = 200
    args = ['-q', '-n', f'pid$target:a.out:keeps_*:entry, pid$target:a.out:sets_*:entry {{ {clause} }} BEGIN {{ printf("begun\\n"); }} '
            'END { printa("got %@d\\n", @); }']
    with tempfile.TemporaryDirectory() as work:
        exe = compiled(work, 'registers', REGISTERS)
        if runs:
            with subprocess.Popen([exe, str(times), 'waits'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as proc:
                with lib.Tracing(*args, '-p', proc.pid) as t:
                    t.wait_begun()
                    said, _ = proc.communicate('\n', timeout=60 * lib.SLOW)
                    _status, text, err = t.stop()
        else:
            r = lib.dyntrace(*args, '-c', f'{exe} {times}')
            said, text, err = r.stdout, r.stdout, r.stderr
    said = re.search(r'bad (\d+) rax (-?\d+) rsi (-?\d+)', said)
    assert said and said[1] == '0', (text[-300:], err)
    want = {'calls': 18 * times, 'rax': int(said[2]), 'rsi': int(said[3])}[of]
    assert int(re.search(r'got (-?\d+)', text)[1]) == want, (text[-300:], err)


def still(pid, look):
    """@look(pid), while the process stands."""
    os.kill(pid, signal.SIGSTOP)
    try:
        lib.wait_for(lambda: state_of(pid) == 'T', 'the process to stand')
        look(pid)
    finally:
        os.kill(pid, signal.SIGCONT)


def state_of(pid):
    with open(f'/proc/{pid}/stat', encoding='utf-8') as f:
        return f.read().rsplit(')', 1)[1].split()[0]


def reopened_while_we_come_and_go(mode):
    """Attached and left again and again: it calculates what it does alone, and its text is in the end what its file says."""
    with reopener() as (exe, plug):
        proc = subprocess.Popen([exe, mode, '100000000', plug], stdout=subprocess.PIPE, text=True)
        try:
            seen = 0
            for i in range(15):
                r = lib.dyntrace('-q', '-Z', '-n', script(3 if i % 2 else FUNCS) + f' tick-{40 + 7 * i}ms {{ exit(0); }}', '-p', str(proc.pid))
                assert proc.poll() is None, (i, proc.communicate())
                got = numbers(r.stdout)
                seen += got.get('c', 0)
                still(proc.pid, lib.assert_untouched)
            assert seen > 1000, seen
        finally:
            proc.kill()
            proc.wait()


WORK = ('pid$target:a.out:work:entry, pid$target:a.out:twice:entry { @c = count(); @i = sum(arg0); } '
        'pid$target:a.out:work:return, pid$target:a.out:twice:return { @r = count(); @o = sum(arg1); } '
        'pid$target:libplug.so:plug*:entry { @p = count(); } '
        'END { printa("c %@d\\n", @c); printa("i %@d\\n", @i); printa("r %@d\\n", @r); printa("o %@d\\n", @o); printa("p %@d\\n", @p); }')


def children_of(pid):
    with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as f:
        return [int(x) for x in f.read().split()]


def kin(how, cnt, *args):
    """Children of all kinds while it is traced: who is traced is counted exactly, all calculate right, and what is left when dyntrace
    has gone is what the files say, in the parent and in the children that still live."""
    with tempfile.TemporaryDirectory() as work:
        exe = compiled(work, 'kin', KIN)
        plug = compiled(work, 'libplug.so', LIBRARY, '-shared', '-fPIC')
        proc = subprocess.Popen([exe, how, str(cnt), plug], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            with lib.Tracing('-q', '-Z', *args, '-n', WORK + ' BEGIN { printf("begun\\n"); }', '-p', proc.pid) as t:
                t.wait_begun()
                proc.stdin.write('\n')
                proc.stdin.flush()
                said = re.search(r'ready (\d+) (\d+) (\d+), children (\d+) (\d+) (\d+)', proc.stdout.readline())
                assert said, proc.communicate('\n')
                status, text, err = t.stop()
                assert not status, err
            calls, went_in, came_out, kid_calls, kid_in, kid_out = (int(x) for x in said.groups())
            if '-x' in args:
                spawned = cnt // 4 # their programs are their own, and do as much
                calls, went_in, came_out = (calls + kid_calls + 20 * spawned, went_in + kid_in + 90 * spawned,
                                            came_out + kid_out + spawned * sum((i + (i & 7) * ((i & 7) - 1) // 2) * 3 + 2 * i for i in range(10)))
            got = numbers(text)
            if how != 'far': # whose child goes on
                assert got == {'c': calls, 'i': went_in, 'r': calls, 'o': came_out}, (got, calls, went_in, came_out, err)
            kids = children_of(proc.pid)
            assert len(kids) == (cnt + 1) // 4 + (cnt + 2) // 4 + (how == 'far') or how == 'far', kids
            for pid in [proc.pid, *kids]:
                lib.assert_untouched(pid)
            out, _ = proc.communicate('\n', timeout=60 * lib.SLOW)
            assert out == 'bad 0\n' and not proc.returncode, (out, proc.returncode)
        finally:
            proc.kill()
            proc.wait()


def calls(cnt):
    """A count of the calls and returns of four functions, or of all."""
    names = [f'sum{i}' for i in range(1000, 1004)] if cnt == 'few' else ['sum*']
    return ', '.join(f'pid$target:a.out:{n}:{what}' for n in names for what in ('entry', 'return')) + ' { @[probename] = count(); }'


def ends_when(proc, begun, seconds):
    """The tool is killed @seconds after its beginning, or its end has begun."""
    if begun:
        proc.wait_begun()
        proc.proc.send_signal(signal.SIGINT)
    try:
        proc.proc.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        proc.proc.kill()
        proc.proc.communicate()


def sees(pid, cnt):
    """Who comes next sees calls and returns, if the process runs meanwhile."""
    r = lib.dyntrace('-q', '-n', calls(cnt) + ' tick-50ms { exit(0); }', '-p', str(pid))
    return re.search(r'entry +[1-9]', r.stdout) and re.search(r'return +[1-9]', r.stdout)


def killed(cnt, leaving, times):
    """SIGKILL of dyntrace at any moment of its coming or its going, and of its cleaning up behind others: the program is right; who
    comes next traces it, and then nothing is left."""
    with tempfile.TemporaryDirectory() as work:
        proc = subprocess.Popen([compiled(work, 'sums', SUMS)], stdout=subprocess.PIPE, text=True)
        args = ['-q', '-n', calls(cnt) + ' BEGIN { printf("begun\\n"); }', '-p', proc.pid]
        try:
            begin = time.monotonic()
            with lib.Tracing(*args) as t:
                t.wait_begun()
                armed = time.monotonic()
                t.stop()
            lasts = time.monotonic() - armed if leaving else armed - begin
            for i in range(times):
                seconds = random.random() * lasts
                with lib.Tracing(*args) as t:
                    ends_when(t, leaving, seconds)
                assert lib.alive(proc.pid), (i, seconds, lasts, proc.wait())
                if i % 4 == 3:
                    lib.wait_for(lambda: sees(proc.pid, cnt), f'hits after {i} ({seconds} of {lasts} s)')
                    still(proc.pid, lib.assert_untouched)
            proc.terminate()
            out, _ = proc.communicate(timeout=30 * lib.SLOW)
            assert re.match(r'wrong 0, rounds [1-9]\d* [1-9]\d* [1-9]', out), (out, proc.returncode)
        finally:
            proc.kill()
            proc.wait()


# Two functions that are called alike.
BOTH = r'''
#include <stdio.h>
__attribute__((noipa)) long one(long a) { return a + 1; }
__attribute__((noipa)) long two(long a) { return a + 2; }
int main(void) { puts("runs"); fflush(stdout); for (long i = 0;; i++) one(i), two(i); }
'''


def exit_elsewhere(end, *more):
    """A count, whose body looks at nothing while nobody forbids it, and one by pid, whose body looks each time: both end with an
    exit() that the process is not told of."""
    with tempfile.TemporaryDirectory() as folder:
        exe = os.path.join(folder, 'both')
        subprocess.run(['gcc', '-O2', '-o', exe, '-xc', '-'], input=BOTH, text=True, check=True)
        with contextlib.ExitStack() as stack:
            procs = [stack.enter_context(subprocess.Popen([exe], stdout=subprocess.PIPE)) for _ in range(2)]
            stack.callback(lambda: [p.kill() for p in procs])
            for p in procs:
                p.stdout.readline()
            script = 'pid$target::one:entry { @n = count(); } pid$target::two:entry { @k[pid] = count(); } ' + end.replace('OTHER', str(procs[1].pid))
            r = lib.dyntrace('-q', *more, *sum((['-p', str(p.pid)] for p in procs), []), '-n', script)
            cnt, by_pid = (int(n) for n in re.findall(r'(\d+)$', r.stdout, re.M))
            assert 100000 < cnt < 2 * by_pid, (r.stdout, r.stderr)


def main():
    tap = lib.Tap()
    tap.run('exit() in the tool', exit_elsewhere, 'tick-500ms { exit(0); }', '-x', 'switchrate=3s')
    tap.run('exit() in another process', exit_elsewhere, 'pidOTHER::two:entry /n++ == 3000000/ { exit(0); }',
            '-x', 'switchrate=3s')
    tap.run('a library is closed, and opened here and elsewhere', reopened, 'closed', 200)
    tap.run('threads open and close a library for themselves', reopened, 'shared', 200)
    for mode in 'closed', 'shared':
        tap.run(f'attached and left while a library is {mode} and opened', reopened_while_we_come_and_go, mode)
    for followed in [], ['-x', 'followfork']:
        what = 'that are followed' if followed else 'that are not'
        tap.run(f'children of all kinds {what}', kin, 'near', 24, *followed)
        tap.run(f'memory of children {what}, where their parent has ours', kin, 'far', 2, *followed)
    for cnt, times in ('few', 24), ('many', 16):
        tap.run(f'killed while it arms {cnt}', killed, cnt, False, times)
        tap.run(f'killed while it leaves {cnt}', killed, cnt, True, times)
    for clause, of in (('@ = count();', 'calls'), ('@["x"] = count();', 'calls'), ('@ = sum(arg1);', 'rsi'), ('@ = sum(uregs[R_RAX]);', 'rax'),
                       ('@ = count(); trace(timestamp);', 'calls')):
        for runs in False, True:
            tap.run(f'registers around {clause}' + ', of what runs' * runs, registers, clause, of, runs)
    tap.done()


if __name__ == '__main__':
    main()
