#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Processes that live in narrow places: sealed text, no descriptors, tiny and alternate stacks, seccomp, namespaces, chroot,
huge pages; setuid programs."""
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
#define HUGE (2ul << 20)
#ifdef LARGE
__asm__(".text\n.fill 4194304, 1, 0x90\n");
#endif
__attribute__((noinline)) int work(int a) { __asm__ volatile(""); return a + 1; }
#ifdef LARGE
__asm__(".text\n.fill 4194304, 1, 0x90\n");
#endif
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
	if (!strcmp(mode, "huge") || !strcmp(mode, "moved")) {
		char *start = (char *)(((uintptr_t)work + HUGE / 2) & ~(HUGE - 1)) - HUGE;
		char *copy;
		if (!strcmp(mode, "huge") && madvise(start, 2 * HUGE, 25)) /* MADV_COLLAPSE: Linux 6.1 */
			return 9;
		copy = mmap(NULL, 4 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		copy = (char *)(((uintptr_t)copy + HUGE - 1) & ~(HUGE - 1));
		madvise(copy, 2 * HUGE, MADV_HUGEPAGE);
		if (!strcmp(mode, "moved")) { /* as servers do with their hot code */
			memcpy(copy, start, 2 * HUGE);
			if (mprotect(copy, 2 * HUGE, PROT_READ | PROT_EXEC) ||
			    mremap(copy, 2 * HUGE, 2 * HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, start) == MAP_FAILED)
				return 9;
		}
	}
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


def child_named(pid, name):
    """Of @pid, or 0; others may run a program of that name, too."""
    try:
        with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as f:
            for kid in f.read().split():
                with open(f'/proc/{kid}/comm', encoding='utf-8') as c:
                    if c.read() == name + '\n':
                        return int(kid)
    except OSError:
        pass
    return 0


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


def setuid(how):
    """A program that gets another user's rights at its exec."""
    if os.geteuid():
        raise lib.Skip('needs root')
    with tempfile.TemporaryDirectory() as work:
        exe = build(work)
        os.chmod(work, 0o755)
        user, owner = (65534, 0) if how != 'of nobody' else (0, 65534)
        os.chown(exe, owner, owner)
        os.chmod(exe, 0o4755)
        as_user = {'user': user, 'group': user, 'extra_groups': []}
        if how == 'command':
            r = lib.dyntrace('-q', '-n', SCRIPT, '-c', exe)
            assert re.search(r'entry\s+\d', r.stdout), (r.stdout, r.stderr)
            return
        proc = subprocess.Popen([exe], stdin=subprocess.DEVNULL, **as_user)
        try:
            time.sleep(0.3)
            with open(f'/proc/{proc.pid}/status', encoding='ascii') as f:
                assert f'{user}\t{owner}\t{owner}' in f.read(), 'it has not got its rights: is the folder mounted nosuid?'
            if how == 'not root':
                tool = shutil.copy(lib.DYNTRACE, work)
                shutil.copy(os.path.join(lib.BUILD, 'libdyntrace-agent.so'), work)
                r = subprocess.run([tool, '-q', '-n', SCRIPT, '-p', str(proc.pid)], capture_output=True, text=True, check=False, **as_user)
                assert r.returncode == 1 and 'privileged' in r.stderr, (r.returncode, r.stderr)
                lib.assert_untouched(proc.pid)
            else:
                trace_twice(proc, proc.pid)
        finally:
            proc.kill()
            proc.wait()


def unshared(options, chroot):
    if os.geteuid():
        raise lib.Skip('needs root')
    lib.need('unshare', 'chroot')
    with tempfile.TemporaryDirectory() as work:
        exe = build(work, '-static')
        name = 'dtplace'
        os.makedirs(f'{work}/root/bin')
        os.chmod(work, 0o755)
        shutil.copy(exe, f'{work}/root/bin/{name}')
        command = ['chroot', f'{work}/root', f'/bin/{name}'] if chroot else [f'{work}/root/bin/{name}']
        proc = subprocess.Popen(['unshare', *options, '--fork', '--kill-child', *command], stdin=subprocess.DEVNULL)
        try:
            lib.wait_for(lambda: proc.poll() is not None or child_named(proc.pid, name), name)
            if proc.poll() is not None:
                raise lib.Skip('namespaces cannot be made here')
            trace_twice(proc, child_named(proc.pid, name))
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
    large = ['-DLARGE', '-fno-toplevel-reorder', '-no-pie', '-Wl,-z,max-page-size=2097152,-z,common-page-size=2097152']
    tap.run('huge pages of its file', run, 'huge', large)
    tap.run('text moved to huge pages', run, 'moved', large)
    tap.run('setuid root, run by another', setuid, 'of root')
    tap.run('setuid to another, run by root', setuid, 'of nobody')
    tap.run('setuid, started by root', setuid, 'command')
    tap.run('setuid, and not root', setuid, 'not root')
    tap.run('chroot in mount, pid, net, uts and ipc namespaces', unshared, ['-m', '-p', '-n', '-u', '-i'], True)
    tap.run('a user namespace', unshared, ['-U', '-r', '-m', '-p'], False)
    tap.done()


if __name__ == '__main__':
    main()
