#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is kept of large programs from one run to the next changes nothing but the time, whatever became of it."""
import contextlib
import os
import shutil
import subprocess
import tempfile

import lib

# More than 4 MiB of text, so that it is worth it.  Somebody far away jumps into the middle of work() where there is an INTO.
PROGRAM = r'''
#include <stdio.h>
#include <unistd.h>
__attribute__((noinline)) int work(int a) { __asm__ volatile("nop; nop; .globl inside; inside: nop; nop; nop; nop"); return a + 1; }
__attribute__((noinline)) int other(int a) { __asm__ volatile("" : "+r"(a)); return a * 3; }
__asm__(".text\n.fill 5000000, 1, 0x90\n");
#ifdef INTO
__asm__(".globl far\n.type far, @function\nfar: xor %eax, %eax\njmp inside\n.size far, . - far\n");
#else
__asm__(".globl far\n.type far, @function\nfar: xor %eax, %eax\njmp other\n.size far, . - far\n");
#endif
__attribute__((noinline)) long asks(void) { long r; __asm__ volatile("mov $317, %%eax\n\tmov $99, %%edi\n\tsyscall" : "=a"(r) :: "rdi", "rcx", "r11"); return r; }
int main(void)
{
	puts("ready");
	fflush(stdout);
	for (int n = 0;; n = (work(n) + other(n) + (int)asks()) & 1)
		usleep(1000);
}
'''
KINDS = {'branches', 'calls'}


def build(folder, *flags):
    """All have the same build-id."""
    source, exe = os.path.join(folder, 'p.c'), os.path.join(folder, 'p')
    with open(source, 'w', encoding='ascii') as f:
        f.write(PROGRAM)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(exe)
    subprocess.run(['gcc', '-O1', '-Wl,--build-id=0x0123456789abcdef0123456789abcdef01234567', *flags, '-o', exe, source], check=True)
    os.chmod(exe, 0o755)
    return exe


class Running:
    def __init__(self, exe):
        self.proc = subprocess.Popen([exe], stdout=subprocess.PIPE)
        assert self.proc.stdout.readline() == b'ready\n'

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.proc.kill()
        self.proc.communicate()

    def explained(self, **env):
        """How each place would be armed."""
        return lib.dyntrace('explain', '-n', 'pid$target:p::entry, pid$target:p::return { n++; }', '-p', str(self.proc.pid),
                            env=lib.clean_env(**env)).stdout

    def counts(self, **env):
        """That it is armed with that."""
        out = lib.dyntrace('-q', '-n', 'pid$target:p:work:entry, pid$target:p:other:return { @[probefunc] = count(); n++; } '
                           'tick-10ms /n > 50/ { exit(0); }', '-p', str(self.proc.pid), env=lib.clean_env(**env)).stdout
        assert 'work' in out and 'other' in out, out
        lib.assert_untouched(self.proc.pid)


class Place:
    """A program and a folder for what is kept."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='kept-of-')
        self.cache = os.path.join(self.dir, 'cache')
        os.mkdir(self.cache, 0o700)
        self.exe = build(self.dir)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        shutil.rmtree(self.dir, ignore_errors=True)

    def entries(self):
        folder = os.path.join(self.cache, 'dyntrace')
        found = {name.rsplit('.', 1)[1]: os.path.join(folder, name) for name in os.listdir(folder)
                 if name.startswith('0123456789abcdef')}
        assert set(found) == KINDS, found
        return found


def same_with_and_without():
    with Place() as p, Running(p.exe) as r:
        wanted = r.explained(DYNTRACE_CACHE='off')
        assert 'work' in wanted
        assert not os.listdir(p.cache)
        for _ in range(3):
            assert r.explained(XDG_CACHE_HOME=p.cache) == wanted
        r.counts(XDG_CACHE_HOME=p.cache)
        p.entries()
        r.counts(XDG_CACHE_HOME=p.cache)
        r.counts(DYNTRACE_CACHE='off')


def damage(path, how):
    with open(path, 'r+b') as f:
        data = f.read()
        if how == 'cut':
            f.truncate(len(data) - 1)
        elif how == 'empty':
            f.truncate(0)
        elif how == 'longer':
            f.write(b'\xff' * 64)
        else: # a byte there
            f.seek(how if how < len(data) else len(data) - 1)
            byte = data[f.tell()]
            f.write(bytes([byte ^ 0x40]))


def damaged():
    with Place() as p, Running(p.exe) as r:
        wanted = r.explained(DYNTRACE_CACHE='off')
        r.counts(XDG_CACHE_HOME=p.cache)
        for how in ('cut', 'empty', 'longer', 24, 101):
            for path in p.entries().values():
                damage(path, how)
            assert r.explained(XDG_CACHE_HOME=p.cache) == wanted, how
            r.counts(XDG_CACHE_HOME=p.cache)


def another_program_of_that_name():
    with Place() as p:
        with Running(p.exe) as r:
            first = r.explained(XDG_CACHE_HOME=p.cache)
            r.counts(XDG_CACHE_HOME=p.cache)
        build(p.dir, '-DINTO')
        with Running(p.exe) as r:
            wanted = r.explained(DYNTRACE_CACHE='off')
            assert r.explained(XDG_CACHE_HOME=p.cache) == wanted
            assert r.explained(XDG_CACHE_HOME=p.cache) == wanted
            r.counts(XDG_CACHE_HOME=p.cache)
        assert 'work' in first


def nowhere_to_keep_it():
    with Place() as p, Running(p.exe) as r:
        wanted = r.explained(DYNTRACE_CACHE='off')
        assert r.explained(XDG_CACHE_HOME=os.path.join(p.dir, 'not', 'there')) == wanted
        assert r.explained(XDG_CACHE_HOME='/proc/self') == wanted
        os.mkdir(os.path.join(p.cache, 'dyntrace'), 0o500)
        assert r.explained(XDG_CACHE_HOME=p.cache) == wanted


def of_others():
    """What another may have written is not looked at."""
    with Place() as p, Running(p.exe) as r:
        wanted = r.explained(XDG_CACHE_HOME=p.cache)
        r.counts(XDG_CACHE_HOME=p.cache)
        for path in p.entries().values():
            damage(path, 100)
            os.chmod(path, 0o666)
        assert r.explained(XDG_CACHE_HOME=p.cache) == wanted
        r.counts(XDG_CACHE_HOME=p.cache)
        for path in p.entries().values():
            assert os.stat(path).st_mode & 0o777 == 0o600, path
        if os.geteuid():
            return
        folder = os.path.join(p.cache, 'dyntrace')
        os.chown(folder, 65534, 65534)
        before = {path: os.stat(path).st_ino for path in p.entries().values()}
        os.unlink(p.entries()['calls'])
        assert r.explained(XDG_CACHE_HOME=p.cache) == wanted
        r.counts(XDG_CACHE_HOME=p.cache)
        del before[os.path.join(folder, '0123456789abcdef0123456789abcdef01234567.calls')]
        assert {path: os.stat(path).st_ino for path in before} == before
        assert not os.path.exists(os.path.join(folder, '0123456789abcdef0123456789abcdef01234567.calls'))


if __name__ == '__main__':
    tap = lib.Tap()
    for test in (same_with_and_without, damaged, another_program_of_that_name, nowhere_to_keep_it, of_others):
        tap.run(test.__name__.replace('_', ' '), test)
    tap.done()
