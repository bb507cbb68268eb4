#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Bodies in trampolines (ADR 47) where code comes and goes: libraries that are closed and opened again, processes that share the
patched text or have a copy of it. And more places than have theirs, for what comes later has the other kind."""
import contextlib
import os
import re
import signal
import subprocess
import tempfile

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
	struct itimerval every = { { 0, 1000 }, { 0, 1000 } };
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
            for i in range(25):
                r = lib.dyntrace('-q', '-Z', '-n', script(3 if i % 2 else FUNCS) + f' tick-{40 + 7 * i}ms {{ exit(0); }}', '-p', str(proc.pid))
                assert proc.poll() is None, (i, proc.communicate())
                got = numbers(r.stdout)
                seen += got.get('c', 0)
                still(proc.pid, lib.assert_untouched)
            assert seen > 1000, seen
        finally:
            proc.kill()
            proc.wait()


def main():
    tap = lib.Tap()
    tap.run('a library is closed, and opened here and elsewhere', reopened, 'closed', 200)
    tap.run('threads open and close a library for themselves', reopened, 'shared', 200)
    for mode in 'closed', 'shared':
        tap.run(f'attached and left while a library is {mode} and opened', reopened_while_we_come_and_go, mode)
    tap.done()


if __name__ == '__main__':
    main()
