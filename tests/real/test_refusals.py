#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Everything that is refused leaves the process as it was: its code byte for byte, its mappings, descriptors, threads, signals,
limits, registers; and its code is not written to on the way, not even to be restored (strace sees every write)."""
import contextlib
import hashlib
import os
import re
import resource
import shutil
import subprocess
import tempfile
import time

import kernlib
import lib

IDLE = r'''
#define _GNU_SOURCE
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
__attribute__((noipa)) int work(int a) { return a + 1; }
/* Nothing can be placed at a system call in which somebody may sleep. */
__asm__(".globl bare\n.type bare, @function\nbare: syscall\nret\n.size bare, .-bare\n");
static int twin(void *arg) { (void)arg; for (;;) pause(); }
static char stack[65536];
int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	if (!strcmp(how, "twin") &&
	    clone(twin, stack + sizeof(stack), CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, NULL) < 0)
		return 9;
	if (!strcmp(how, "strict")) {
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT))
			return 9;
		for (;;)
			work(1);
	}
	for (;;)
		pause();
}
'''
WORK = 'pid$target:a.out:work:entry { @ = count(); }'


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def state(pid, busy):
    """All that can be seen of a process from outside and stays while it waits."""
    maps = list(lib.maps(pid))
    digest = hashlib.sha256()
    with open(f'/proc/{pid}/mem', 'rb', buffering=0) as mem:
        for start, end, prot, _, path in maps:
            # What another dyntrace shares with it changes all the time.
            if prot[:1] == 'r' and not path.startswith(('[vvar', '[vsyscall', '/memfd:dyntrace', 'anon_inode:bpf-map')) and \
                    (prot[2] == 'x' or not busy):
                mem.seek(start)
                digest.update(mem.read(end - start))
    status = read(f'/proc/{pid}/status').decode()
    keep = re.findall(r'^(?:Threads|TracerPid|Seccomp\w*|Sig(?:Pnd|Blk|Ign|Cgt)|ShdPnd|NoNewPrivs):.*$', status, re.M)
    fds = sorted((fd, os.readlink(f'/proc/{pid}/fd/{fd}')) for fd in os.listdir(f'/proc/{pid}/fd'))
    regs = None if busy else sorted((t, read(f'/proc/{pid}/task/{t}/syscall')) for t in os.listdir(f'/proc/{pid}/task'))
    return {'maps': maps, 'memory': digest.hexdigest(), 'status': keep, 'descriptors': fds, 'registers': regs,
            'limits': read(f'/proc/{pid}/limits')}


def wrote_text(log, pid):
    """Writes of the tool into executable mappings of @pid."""
    code = [(s, e) for s, e, prot, _, _ in lib.maps(pid) if 'x' in prot]
    return [line for line in log.splitlines() for m in [re.search(rf'pwrite64\(\d+</proc/{pid}/[^>]*mem>.*, (\d+|0x[0-9a-f]+)\) = ', line)]
            if m and any(s <= int(m.group(1), 0) < e for s, e in code)]


class Idle:
    def __init__(self, folder, *args, **kw):
        self.exe, self.args, self.kw = f'{folder}/idle', args, kw

    def __enter__(self):
        # Without restartable sequences: the kernel notes the processor in them.
        env = lib.clean_env(GLIBC_TUNABLES='glibc.pthread.rseq=0')
        self.proc = subprocess.Popen([self.exe, *self.args], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                     **self.kw)
        time.sleep(0.3)
        assert self.proc.poll() is None, f'the target ended: {self.proc.returncode}'
        return self.proc.pid

    def __exit__(self, *exc):
        self.proc.kill()
        self.proc.wait()


def refused(pid, args, pattern, status=1, user=None, tool=None, busy=False):
    """dyntrace @args (with {pid}) is refused with /@pattern/, and @pid is as it was."""
    before = state(pid, busy)
    command = [tool or os.path.abspath(lib.DYNTRACE), *[a.replace('{pid}', str(pid)) for a in args]]
    with tempfile.NamedTemporaryFile('r', encoding='utf-8', errors='replace') as log:
        # A second tracer of the tool itself is in its way only where the tool lacks rights.
        if not user and shutil.which('strace'):
            command = ['strace', '-qq', '-y', '-o', log.name, '-e', 'trace=pwrite64', *command]
        # Leaks are looked for with ptrace, which strace has.
        env = dict(os.environ, ASAN_OPTIONS=os.environ.get('ASAN_OPTIONS', '') + ':detect_leaks=0')
        r = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace', timeout=60 * lib.SLOW, check=False,
                           **({'user': user, 'group': user, 'extra_groups': []} if user else {}))
        text = wrote_text(log.read(), pid)
    assert r.returncode == status, f'{args}: status {r.returncode}, not {status}: {r.stdout[-300:]}{r.stderr[-800:]}'
    assert re.search(pattern, r.stderr, re.S), f'{args}: no /{pattern}/ in {r.stderr[-800:]}'
    assert not text, f'{args}: its code was written to: {text[:3]}'
    after = state(pid, busy)
    for what, was in before.items():
        assert after[what] == was, f'{args}: its {what} differ: {was}\nnow {after[what]}'


SCRIPTS = {
    'no such function': (['-n', 'pid$target:a.out:wrok:entry { }'], 'does not match any probes'),
    'no such module': (['-n', 'pid$target:libnothere*::entry { }'], 'does not match any probes'),
    'one of two is not there': (['-n', WORK, '-n', 'pid$target::wrok:entry { }'], 'does not match any probes'),
    'no such provider': (['-n', 'nonesuch$target:::go { }'], 'does not match any probes|provider'),
    'offset outside': (['-n', 'pid$target:a.out:work:ffff { }'], 'offset'),
    'offset inside an instruction': (['-n', 'pid$target:a.out:work:1 { }'], 'offset|instruction'),
    'nothing can be placed': (['-x', 'backend=jump', '-n', 'pid$target:a.out:bare:entry { @ = count(); }'], 'none of the probes can be placed'),
    'syntax': (['-n', 'pid$target:a.out:work:entry { printf("%d", 1 + ; }'], r'\^'),
    'type': (['-n', 'pid$target:a.out:work:entry { x = "s"; trace(x * 2); }'], r'\^'),
    'types of its own that are not there': (['-n', 'pid$target:a.out:work:entry { trace(((struct nonesuch *)arg0)->x); }'], 'nonesuch'),
    'destructive': (['-n', 'pid$target:a.out:work:entry { stop(); }'], 'Destructive'),
    'buffer too small': (['-x', 'bufsize=16', '-n', 'pid$target:a.out:work:entry { trace(1); trace(2); trace(3); }'], 'buffer'),
    'record of nothing': (['record', '-p', '{pid}', '-o', '/nonexistent/folder/x', 'work'], 'nonexistent'),
    'no such option': (['-x', 'nonesuch=1', '-n', WORK], 'option name'),
    'no daemon': (['-x', 'daemon=always', '-n', WORK], 'dyntraced does not run'),
}
WRONG = 'no such option', 'no such agent', 'another agent' # as usage


def script(folder, name):
    args, pattern = SCRIPTS[name]
    status = 2 if name in WRONG else 1
    with Idle(folder) as pid:
        refused(pid, args if '{pid}' in args else [*args, '-p', '{pid}'], pattern, status)


def no_room(folder):
    with Idle(folder) as pid:
        used = int(re.search(r'VmSize:\s+(\d+)', read(f'/proc/{pid}/status').decode()).group(1)) * 1024
        resource.prlimit(pid, resource.RLIMIT_AS, (used + (1 << 20), used + (1 << 20)))
        refused(pid, ['-n', WORK, '-p', '{pid}'], 'map|memory')


def one_block_for_two(folder):
    with Idle(folder, 'twin') as pid:
        refused(pid, ['-n', WORK, '-p', '{pid}'], 'share one thread block')


def traced(folder):
    lib.need('strace')
    with Idle(folder) as pid:
        other = subprocess.Popen(['strace', '-qq', '-o', '/dev/null', '-p', str(pid)])
        try:
            lib.wait_for(lambda: lib.tracer_of(pid), 'strace to attach')
            refused(pid, ['-n', WORK, '-p', '{pid}'], f'traced by process {other.pid} already .strace.; .*kill {other.pid}, ends that', busy=True)
            refused(pid, ['repair', '{pid}'], f'traced by process {other.pid} already .strace.; .*kill {other.pid}, ends that', busy=True)
        finally:
            other.kill()
            other.wait()


def second(folder):
    with Idle(folder) as pid, lib.Tracing('-n', WORK, '-p', pid) as t:
        t.wait_armed(pid)
        refused(pid, ['-n', 'pid$target:libc.so*:write:entry { @ = count(); }', '-p', '{pid}'], f'traced by dyntrace already .process {t.proc.pid}')
        refused(pid, ['repair', '{pid}'], f'traced by dyntrace already .process {t.proc.pid}')
        status, _, err = t.stop()
        assert status == 0, err


def second_of_both_worlds(folder):
    """The first one's memory is the kernel's."""
    kernlib.need_kernel()
    with Idle(folder) as pid, lib.Tracing('-n', WORK + ' syscall::read:entry /pid == $target/ { @r = count(); }', '-p', pid) as t:
        t.wait_armed(pid)
        for args in (['-n', WORK, '-p', '{pid}'], ['-n', WORK + ' syscall::write:entry { }', '-p', '{pid}'], ['repair', '{pid}']):
            refused(pid, args, f'traced by dyntrace already .process {t.proc.pid}')
        status, _, err = t.stop()
        assert status == 0, err


@contextlib.contextmanager
def as_nobody(folder):
    """The tool where another user can run it."""
    if os.geteuid():
        raise lib.Skip('needs root')
    with tempfile.TemporaryDirectory() as home:
        os.chmod(home, 0o755)
        os.chmod(folder, 0o755)
        shutil.copy(os.path.join(lib.BUILD, 'libdyntrace-agent.so'), home)
        yield shutil.copy(lib.DYNTRACE, home)


def not_permitted(folder):
    with as_nobody(folder) as tool, Idle(folder) as pid:
        refused(pid, ['-x', 'daemon=never', '-n', WORK, '-p', '{pid}'], 'not permitted|privileged', user=65534, tool=tool)


def filtered(folder):
    with as_nobody(folder) as tool, Idle(folder, 'strict', user=65534, group=65534, extra_groups=[]) as pid:
        refused(pid, ['-x', 'daemon=never', '-n', WORK, '-p', '{pid}'], 'seccomp', user=65534, tool=tool, busy=True)


def kernel_probes(folder):
    """What the process would allow, and the kernel does not."""
    with as_nobody(folder) as tool, Idle(folder, user=65534, group=65534, extra_groups=[]) as pid:
        refused(pid, ['-x', 'daemon=never', '-n', WORK + ' syscall::read:entry { }', '-p', '{pid}'], 'CAP_BPF|root', user=65534, tool=tool)
        refused(pid, ['-x', 'daemon=never', '-x', 'backend=uprobe', '-n', WORK, '-p', '{pid}'], 'CAP_BPF|root|uprobe', user=65534, tool=tool)


READY = ('biolatency', 'execsnoop', 'offcpu', 'opensnoop', 'profile', 'runqlat', 'syscalls')


def ready_scripts(folder):
    """All of them are of the kernel, profile too: a profile of the tool itself would be no answer."""
    with as_nobody(folder) as tool:
        for name in READY:
            r = subprocess.run([tool, name, '-x', 'daemon=never', '-d', '1'], user=65534, group=65534, extra_groups=[], text=True,
                               capture_output=True, timeout=60 * lib.SLOW)
            assert r.returncode == 1 and not r.stdout and 'probes of the kernel need' in r.stderr, (name, r)


def root_without_the_right(folder):
    """dyntraced has no more rights than root: no advice of its group, but what root lacks."""
    if os.geteuid():
        raise lib.Skip('needs root')
    with Idle(folder) as pid:
        r = subprocess.run(['setpriv', '--bounding-set=-sys_ptrace', '--inh-caps=-sys_ptrace', lib.DYNTRACE, '-n', WORK, '-p', str(pid)],
                           text=True, capture_output=True, timeout=60 * lib.SLOW, check=False)
        assert r.returncode == 1 and 'root has no CAP_SYS_PTRACE' in r.stderr and 'group dyntrace' not in r.stderr, r


def main():
    tap = lib.Tap()
    with tempfile.TemporaryDirectory() as folder:
        with open(f'{folder}/idle.c', 'w', encoding='ascii') as f:
            f.write(IDLE)
        subprocess.run(['gcc', '-O1', '-o', f'{folder}/idle', f'{folder}/idle.c'], check=True)
        for name in SCRIPTS:
            tap.run(name, script, folder, name)
        for name, fn in (('no room for the shared memory', no_room), ('threads that share a block', one_block_for_two),
                         ('traced by another', traced), ('traced by dyntrace', second), ('traced by dyntrace, the kernel too', second_of_both_worlds),
                         ('not permitted', not_permitted),
                         ('seccomp, not root', filtered), ('probes of the kernel, not root', kernel_probes),
                         ('root without CAP_SYS_PTRACE', root_without_the_right),
                         ('ready scripts, not root', ready_scripts)):
            tap.run(name, fn, folder)
    tap.done()


if __name__ == '__main__':
    main()
