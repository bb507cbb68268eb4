#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""-x followfork: children by fork, vfork, posix_spawn, and the programs that they run."""
import os
import re
import subprocess
import tempfile
import time

import lib

HEAD = r'''
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
__attribute__((noinline)) int work(int a) { __asm__ volatile(""); return a + 1; }
static int n;
static void run(int times) { for (int i = 0; i < times; i++) n += work(i); }
'''
FORKS = HEAD + r'''
int main(int argc, char **argv)
{
	int kids = atoi(argv[argc - 1]), st, bad = 0;
	for (int k = 0; k < kids; k++) {
		pid_t p = k % 2 ? fork() : (pid_t)syscall(SYS_fork);
		if (p)
			continue;
		run(10 + k);
		if (k == 2 && !fork()) {
			run(7);
			_exit(0);
		}
		while (k == 2 && wait(&st) > 0)
			bad |= st;
		_exit(bad || !n);
	}
	run(5);
	while (wait(&st) > 0)
		bad |= st;
	printf("bad %d\n", bad);
	return bad;
}
'''
EXECS = HEAD + r'''
int main(int argc, char **argv)
{
	char *again[] = { argv[0], "30", NULL };
	int st, bad = 0, extra = argc > 1 ? atoi(argv[1]) : 0;
	pid_t p;
	run(3 + extra);
	if (extra)
		return 0;
	if (!(p = fork())) {
		execl("/nonexistent", "x", (char *)0);
		execl(argv[0], argv[0], "10", (char *)0);
		_exit(1);
	}
	waitpid(p, &st, 0);
	bad |= st;
	if (!(p = vfork())) {
		execl(argv[0], argv[0], "20", (char *)0);
		_exit(1);
	}
	waitpid(p, &st, 0);
	bad |= st;
	bad |= posix_spawn(&p, argv[0], NULL, NULL, again, environ);
	waitpid(p, &st, 0);
	bad |= st | system("exit 0");
	printf("bad %d\n", bad);
	fflush(stdout);
	execl(argv[0], argv[0], "40", (char *)0);
}
'''

# Says that process ARGV[1] is about to exec.
LIAR = HEAD + r'''
#include <fcntl.h>
#include <string.h>
#include "wire/wire.h"
int main(int argc, char **argv)
{
	char line[512];
	unsigned long start = 0;
	run(1);
	FILE *f = fopen("/proc/self/maps", "r");
	while (!start && fgets(line, sizeof(line), f))
		if (strstr(line, "dyntrace-shm"))
			start = strtoul(line, NULL, 16);
	struct wire_shm *shm = (struct wire_shm *)start;
	struct wire_proc *procs = (struct wire_proc *)(start + shm->proc_off);
	for (int i = 0; i < 100; i++) {
		procs[1].exec_tid = (uint32_t)atoi(argv[1]);
		usleep(10000);
	}
	return !argc;
}
'''


def compiled(work, text, *flags):
    lib.need('gcc')
    with open(f'{work}/p.c', 'w', encoding='ascii') as f:
        f.write(text)
    subprocess.run(['gcc', '-O1', *flags, '-o', f'{work}/p', f'{work}/p.c'], check=True, capture_output=True)
    return f'{work}/p'


def traced(command, *args):
    r = lib.dyntrace('-q', *args, '-n', 'pid$target:a.out:work:entry { @[pid == $target] = count(); }', '-c', command)
    assert 'bad 0' in r.stdout, (r.stdout, r.stderr)
    assert 'not traced' not in r.stderr, r.stderr
    return {m.group(1): int(m.group(2)) for m in re.finditer(r'^\s+([01])\s+(\d+)$', r.stdout, re.M)}


def forks(kids, *flags):
    with tempfile.TemporaryDirectory() as work:
        exe = compiled(work, FORKS, *flags)
        want = sum(10 + k for k in range(kids)) + 7
        assert traced(f'{exe} {kids}') == {'1': 5}
        got = traced(f'{exe} {kids}', '-x', 'followfork')
        assert got == {'1': 5, '0': want}, (got, want)


def execs(*flags):
    with tempfile.TemporaryDirectory() as work:
        exe = compiled(work, EXECS, *flags)
        for _ in range(3):
            got = traced(exe, '-x', 'followfork')
            # The program itself, and the one that it becomes; its three children.
            assert got == {'1': 3 + 43, '0': 13 + 23 + 33}, got


def tracer_of(pid):
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        return int(re.search(r'TracerPid:\s*(\d+)', f.read()).group(1))


def lies():
    """A process that a target names, and that is none of its own, is left alone."""
    with tempfile.TemporaryDirectory() as work:
        src = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'src')
        exe = compiled(work, LIAR, '-I', src)
        other = subprocess.Popen(['sleep', '20'])
        tool = subprocess.Popen([lib.DYNTRACE, '-q', '-x', 'followfork', '-n', 'pid$target:a.out:work:entry { @ = count(); }',
                                 '-c', f'{exe} {other.pid}'], stdout=subprocess.PIPE)
        tracers = set()
        while tool.poll() is None:
            tracers.add(tracer_of(other.pid))
            time.sleep(0.01)
        other.kill()
        other.wait()
        assert tool.returncode == 0 and '1' in tool.stdout.read().decode()
        assert tracers == {0}, tracers


def main():
    tap = lib.Tap()
    tap.run('fork', forks, 3)
    tap.run('fork, static', forks, 3, '-static')
    tap.run('a hundred forks', forks, 100)
    tap.run('fork, vfork, posix_spawn, exec', execs)
    tap.run('fork, vfork, posix_spawn, exec, static', execs, '-static')
    tap.run('a process that another one names', lies)
    tap.done()


if __name__ == '__main__':
    main()
