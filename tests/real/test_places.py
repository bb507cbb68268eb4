#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Processes that live in narrow places: sealed text, no descriptors, tiny and alternate stacks, seccomp, namespaces, chroot."""
import os
import re
import shutil
import subprocess
import tempfile
import time

import lib

PROGRAM = r'''
#define _GNU_SOURCE
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
static volatile int n;
__attribute__((noinline)) int work(int a) { __asm__ volatile(""); return a + 1; }
static void handler(int sig) { (void)sig; n += work(1); }
static void *thread(void *arg)
{
	for (int i = 0; i < 400; i++) {
		n += work(i);
		usleep(10000);
	}
	return arg;
}
int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	if (!strcmp(mode, "sealed") && syscall(462, (uintptr_t)work & ~4095ul, 4096, 0))
		return 9; /* mseal: Linux 6.10 */
	for (int i = 3; !strcmp(mode, "closed") && i < 1024; i++)
		close(i);
	if (!strcmp(mode, "limited"))
		setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 3, 4096 });
	if (!strcmp(mode, "tiny")) {
		pthread_attr_t a;
		pthread_t t;
		pthread_attr_init(&a);
		pthread_attr_setstacksize(&a, 16384);
		pthread_create(&t, &a, thread, NULL);
		pthread_join(t, NULL);
		return 0;
	}
	if (!strcmp(mode, "alternate")) {
		stack_t s = { .ss_sp = malloc(8192), .ss_size = 8192 };
		struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_ONSTACK };
		sigaltstack(&s, NULL);
		sigaction(SIGALRM, &sa, NULL);
		ualarm(10000, 10000);
		for (int i = 0; i < 400; i++)
			usleep(10000);
		return 0;
	}
	if (!strcmp(mode, "strict")) {
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
			return 9;
		for (uint64_t i = 0; i < 4000000000u; i++)
			n += work(1);
		syscall(SYS_exit, 0);
	}
	thread(NULL);
	return 0;
}
'''
SCRIPT = ('pid$target:a.out:work:entry,pid$target:a.out:work:return { @[probename] = count(); } '
          'tick-300ms { exit(0); }')


def build(work, *flags):
    lib.need('gcc')
    with open(f'{work}/p.c', 'w', encoding='ascii') as f:
        f.write(PROGRAM)
    subprocess.run(['gcc', '-O1', *flags, '-o', f'{work}/p', f'{work}/p.c', '-pthread'], check=True, capture_output=True)
    return f'{work}/p'


def child_named(name):
    out = subprocess.run(['pgrep', '-n', '-x', name], capture_output=True, text=True, check=False).stdout.split()
    return int(out[0]) if out else 0


def trace_twice(proc, pid):
    """Entry and return while it lives; then again; its text as in its file afterwards."""
    for _ in range(2):
        r = lib.dyntrace('-q', '-n', SCRIPT, '-p', str(pid))
        got = {m.group(1): int(m.group(2)) for m in re.finditer(r'^\s+(entry|return)\s+(\d+)$', r.stdout, re.M)}
        assert got.get('entry', 0) > 3 and got.get('return', 0) > 3, (r.stdout, r.stderr)
        assert lib.alive(pid) and proc.poll() is None
        lib.assert_untouched(pid)


def run(mode, flags=()):
    with tempfile.TemporaryDirectory() as work:
        proc = subprocess.Popen([build(work, *flags), mode], stdin=subprocess.DEVNULL)
        try:
            time.sleep(0.3)
            if proc.poll() == 9:
                raise lib.Skip(f'this kernel does not do that ({mode})')
            trace_twice(proc, proc.pid)
        finally:
            proc.kill()
            proc.wait()


def unshared(options, chroot):
    if os.geteuid():
        raise lib.Skip('needs root')
    lib.need('unshare', 'chroot', 'pgrep')
    with tempfile.TemporaryDirectory() as work:
        exe = build(work, '-static')
        name = 'dtplace'
        os.makedirs(f'{work}/root/bin')
        os.chmod(work, 0o755)
        shutil.copy(exe, f'{work}/root/bin/{name}')
        command = ['chroot', f'{work}/root', f'/bin/{name}'] if chroot else [f'{work}/root/bin/{name}']
        proc = subprocess.Popen(['unshare', *options, '--fork', '--kill-child', *command], stdin=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            if proc.poll() is not None:
                raise lib.Skip('namespaces cannot be made here')
            trace_twice(proc, child_named(name))
        finally:
            proc.kill()
            proc.wait()


def main():
    tap = lib.Tap()
    tap.run('sealed text', run, 'sealed')
    tap.run('all descriptors closed', run, 'closed')
    tap.run('no descriptor left to open', run, 'limited')
    tap.run('a thread with the smallest stack', run, 'tiny')
    tap.run('a handler on an alternate stack', run, 'alternate')
    tap.run('strict seccomp', run, 'strict')
    tap.run('strict seccomp, static', run, 'strict', ['-static'])
    tap.run('chroot in mount, pid, net, uts and ipc namespaces', unshared, ['-m', '-p', '-n', '-u', '-i'], True)
    tap.run('a user namespace', unshared, ['-U', '-r', '-m', '-p'], False)
    tap.done()


if __name__ == '__main__':
    main()
