#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""self-> variables of both worlds: a clause in the process sees what one in the kernel set for the same thread, and the other way round."""
import os
import re
import subprocess
import tempfile

import lib

PROGRAM = r'''
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define NOIPA __attribute__((noipa))
static int fd;
static char buf[4096];
NOIPA void first(long n) { __asm__ volatile("mov %0, %%r11\n\tadd $1, %%r11" :: "r"(n) : "r11"); }
NOIPA void second(long n) { __asm__ volatile("mov %0, %%r11\n\tadd $2, %%r11" :: "r"(n) : "r11"); }
static void *run(void *arg)
{
	long n = (long)arg;
	for (int i = 0; i < 20; i++) {
		first(n + i);
		if (write(fd, buf, (size_t)(n + i)) < 0)
			abort();
		second(n + i);
	}
	return NULL;
}
int main(int argc, char **argv)
{
	int rounds = atoi(argv[1]), at_once = atoi(argv[2]);
	pthread_t t[64];
	fd = open("/dev/null", O_WRONLY);
	if (argc > 3) { /* the kernel's clause comes first, in a thread that nobody has seen */
		for (int i = 0; i < rounds; i++) {
			write(fd, buf, 77);
			second(77);
		}
		return 0;
	}
	for (int r = 0; r < rounds; r++) {
		for (int i = 0; i < at_once; i++)
			pthread_create(&t[i], NULL, run, (void *)(long)(1 + (r * at_once + i) % 1000));
		for (int i = 0; i < at_once; i++)
			pthread_join(t[i], NULL);
		usleep(20000);
	}
	return 0;
}
'''
SCRIPT = '''
pid$target:a.out:first:entry { self->a = arg0; self->arr[arg0 % 2, "in"] = arg0; self->s = "x"; }
syscall::write:entry /self->a/ { @k[self->a == arg2, self->arr[arg2 % 2, "in"] == arg2, self->s] = count();
	self->b = arg2; self->arr[arg2 % 2, "out"] = arg2; self->s = "y"; }
pid$target:a.out:second:entry /self->b/ { @u[self->b == arg0, self->arr[arg0 % 2, "out"] == arg0, self->s] = count();
	self->a = 0; self->b = 0; self->s = 0; self->arr[arg0 % 2, "in"] = 0; self->arr[arg0 % 2, "out"] = 0; }
END { printa("kernel %d %d %s %@d\\n", @k); printa("user %d %d %s %@d\\n", @u); }
'''


def build(work):
    lib.need('gcc')
    if os.geteuid():
        raise lib.Skip('needs root')
    exe = os.path.join(work, 'mixed')
    subprocess.run(['gcc', '-O1', '-pthread', '-x', 'c', '-', '-o', exe], input=PROGRAM, text=True, check=True)
    return exe


def trace(script, command, *args):
    r = lib.dyntrace('-q', *args, '-n', script, '-c', command, check=False)
    if 'BPF' in r.stderr:
        raise lib.Skip(r.stderr.strip()[:100])
    assert r.returncode == 0 and 'drop' not in r.stderr, r.stderr
    return r.stdout


def threads(rounds, at_once, *args):
    with tempfile.TemporaryDirectory() as work:
        out = trace(SCRIPT, f'{build(work)} {rounds} {at_once}', *args)
        n = 20 * rounds * at_once
        assert f'kernel 1 1 x {n}\n' in out and f'user 1 1 y {n}\n' in out and len(out.split('\n')) <= 4, f'{n} of each:\n{out}'


def kernel_first():
    with tempfile.TemporaryDirectory() as work:
        out = trace('syscall::write:entry /pid == $target/ { self->n = arg2; self->m[1] = ++self->cnt; } '
                    'pid$target:a.out:second:entry /self->n/ { @[self->n, self->m[1] == self->cnt] = count(); @m = max(self->cnt); self->n = 0; }',
                    f'{build(work)} 50 1 first')
        assert re.search(r'^\s+77\s+1\s+50$', out, re.M) and re.search(r'^\s+50$', out, re.M), out


def namespace():
    """The thread's number there is not the one that the kernel's clause is told."""
    with tempfile.TemporaryDirectory() as work:
        exe = build(work)
        if subprocess.run(['unshare', '--pid', '--fork', 'true'], check=False, stderr=subprocess.DEVNULL).returncode:
            raise lib.Skip('no PID namespaces here')
        with subprocess.Popen(['unshare', '--pid', '--fork', '--kill-child', exe, '300', '2'], stdout=subprocess.DEVNULL) as outer:
            children = f'/proc/{outer.pid}/task/{outer.pid}/children'
            pid = lib.wait_for(lambda: open(children, encoding='ascii').read().split(), 'a child')[0]
            lib.wait_for(lambda: os.readlink(f'/proc/{pid}/exe') == exe, 'the program')
            r = lib.dyntrace('-q', '-n', SCRIPT + 'tick-1s { exit(0); }', '-p', pid, check=False)
            outer.kill()
        assert re.search(r'^kernel 1 1 x \d+\nuser 1 1 y \d+\n*$', r.stdout.lstrip()), r.stdout + r.stderr


def forked():
    """Children that are followed, where the memory is the kernel's: they have probes, and variables of their own."""
    if os.geteuid():
        raise lib.Skip('needs root')
    with tempfile.TemporaryDirectory() as work:
        script = os.path.join(work, 'forks.sh')
        with open(script, 'w', encoding='ascii') as f:
            f.write('for i in 1 2 3; do (read x < /etc/passwd); done; read x < /etc/passwd\n')
        text = ('pid$target:libc*:read:entry { self->n = arg2; @u[pid == $target] = count(); } syscall::read:entry /self->n/ '
                '{ @k[pid == $target, self->n == arg2] = count(); self->n = 0; } END { printa("user %d %@d\\n", @u); printa("kernel %d %d %@d\\n", @k); }')
        out = trace(text, f'sh {script}', '-x', 'followfork')
        n = dict(re.findall(r'^user (\d) (\d+)$', out, re.M))
        assert int(n['0']) > 3 * 5 and int(n['1']) > 5, out
        assert f"kernel 0 1 {n['0']}\n" in out and f"kernel 1 1 {n['1']}\n" in out, out


def main():
    tap = lib.Tap()
    tap.run('threads', threads, 10, 4)
    tap.run('threads that come and go', threads, 60, 2)
    tap.run('all through the kernel', threads, 10, 4, '-x', 'backend=uprobe')
    tap.run('the kernel comes first', kernel_first)
    tap.run('another PID namespace', namespace)
    tap.run('followed children', forked)
    tap.done()


if __name__ == '__main__':
    main()
