#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What can be reached: Go, functions that stand close together, addresses and offsets, the first instructions."""
import os
import re
import shlex
import subprocess
import tempfile

import lib

TIGHT = r'''
#include <stdio.h>
__attribute__((noinline)) int inc(int a) { __asm__ volatile(""); return a + 1; }
__attribute__((noinline)) int dec(int a) { __asm__ volatile(""); return a - 1; }
__attribute__((noinline)) int same(int a) { __asm__ volatile(""); return a; }
__attribute__((noinline)) int zero(void) { __asm__ volatile(""); return 0; }
static int x;
__attribute__((noinline)) int early(int a) { __asm__ volatile(""); return a + 1; }
__attribute__((constructor)) static void before(void) { x = early(41); }
__attribute__((destructor)) static void after(void) { early(1); }
int main(void)
{
	int n = 0;
	for (int i = 0; i < 5; i++)
		n += inc(i) + dec(i) + same(i) + zero();
	printf("%d %d\n", n, x);
	return 0;
}
'''


def compiled(work, *flags, cc='gcc'):
    lib.need(cc)
    src, exe = f'{work}/tight.c', f'{work}/tight'
    with open(src, 'w', encoding='ascii') as f:
        f.write(TIGHT)
    subprocess.run([cc, '-O1', *flags, '-o', exe, src], check=True, capture_output=True)
    return exe


def trace(exe, script, *args):
    r = lib.dyntrace('-q', *args, '-n', script, '-c', exe)
    return r


def go():
    """A stripped Go program: its own table tells its functions; what it computes is as untraced."""
    lib.need('gron')
    with tempfile.TemporaryDirectory() as work:
        with open(f'{work}/a.json', 'w', encoding='ascii') as f:
            f.write('{' + ','.join(f'"k{i}":[{i},{{"s":"{"x" * (i % 50)}"}}]' for i in range(1500)) + '}')
        plain = subprocess.run(['gron', f'{work}/a.json'], capture_output=True, check=True).stdout
        for _ in range(3):
            argv = [os.path.abspath(lib.DYNTRACE), '-q', '-o', f'{work}/trace', '-n',
                    'pid$target:a.out::entry,pid$target:a.out::return { @[probename] = count(); } '
                    'pid$target:a.out:main.main:entry { @m = count(); }', '-c', shlex.join(['gron', f'{work}/a.json'])]
            r = subprocess.run(argv, capture_output=True, timeout=300 * lib.SLOW, check=False)
            assert r.returncode == 0, r.stderr[-2000:]
            assert r.stdout == plain, 'the output differs'
            with open(f'{work}/trace', encoding='utf-8') as f:
                out = f.read()
            assert re.search(r'^\s+1$', out, re.M), out  # entered once although its stack may have grown
            assert int(re.search(r'entry\s+(\d+)', out).group(1)) > 10000, out
            refused = re.findall(rb':entry at .* not traced', r.stderr)
            assert len(refused) <= 5, r.stderr[-2000:]


def go_args():
    """A string is two words in Go: where it is, and its length."""
    lib.need('gron')
    with tempfile.TemporaryDirectory() as work:
        path = f'{work}/a.json'
        with open(path, 'w', encoding='ascii') as f:
            f.write('{"a": 1}')
        r = lib.dyntrace('-q', '-n', 'pid$target:a.out:os.OpenFile:entry { printf("opens %s, flags %d, mode %d\\n", '
                         'stringof(copyin(arg0, arg1)), arg2, arg3); } '
                         'pid$target:a.out:os.OpenFile:entry { trace(arg8 != arg7 || arg8 == arg7); trace(arg9); } '
                         'ERROR { printf("fault %d\\n", arg4); }', '-c', shlex.join(['gron', path]))
        assert f'opens {path}, flags 0, mode 0\n' in r.stdout, (r.stdout, r.stderr)
        assert 'fault' in r.stdout, r.stdout  # arg9 is in no register


def tight():
    """Functions of three or four bytes without padding between them: entry and return of each."""
    with tempfile.TemporaryDirectory() as work:
        exe = compiled(work)
        r = trace(exe, 'pid$target:a.out:inc:,pid$target:a.out:dec:,pid$target:a.out:same:,pid$target:a.out:zero: '
                  '{ @[probefunc, probename] = count(); }')
        assert 'not traced' not in r.stderr, r.stderr
        assert r.stdout.startswith('30 42\n'), r.stdout
        got = {m.group(1, 2): int(m.group(3)) for m in re.finditer(r'^\s+(\w+)\s+(\w+)\s+(\d+)$', r.stdout, re.M)}
        for func in ('inc', 'dec', 'same', 'zero'):
            for name in ('entry', 'return', '0'):
                assert got.get((func, name)) == 5, (func, name, got)


def places():
    """One place under its names: function and offset, f+OFFSET, its address in the file."""
    with tempfile.TemporaryDirectory() as work:
        exe = compiled(work)
        at = next(int(l.split()[0], 16) for l in subprocess.run(['nm', exe], capture_output=True, text=True,
                                                                check=True).stdout.splitlines() if l.endswith(' T inc'))
        for desc in ('a.out:inc:3', 'a.out:inc+3:', 'a.out:inc+0x3:', f'a.out:{at + 3:#x}:', f':{at + 3:#x}:',
                     f'a.out:-:{at + 3:x}'):
            r = trace(exe, f'pid$target:{desc} {{ @ = count(); }}')
            assert re.search(r'^\s+5$', r.stdout, re.M), (desc, r.stdout, r.stderr)
        r = trace(exe, f'pid$target::{at:#x}:entry {{ @[probefunc] = count(); }}')
        assert re.search(r'inc\s+5$', r.stdout, re.M), r.stdout
        r = lib.dyntrace('-n', f'pid$target::{at + 1:#x}: {{}}', '-c', exe, check=False)
        assert r.returncode and 'inside an instruction' in r.stderr, r.stderr
        subprocess.run(['strip', exe], check=True)
        r = trace(exe, f'pid$target:a.out:sub_{at:x}:entry {{ @ = count(); }}')
        assert re.search(r'^\s+5$', r.stdout, re.M), (r.stdout, r.stderr)


def first(flags, cc, wanted):
    """Everything from the program's first instruction on."""
    with tempfile.TemporaryDirectory() as work:
        exe = compiled(work, *flags, cc=cc)
        script = ','.join(f'pid$target::{f}:entry' for f in wanted) + ' { trace(probefunc); }'
        r = lib.dyntrace('-q', '-Z', '-n', script, '-c', exe)
        for f in wanted:
            assert f in r.stdout, (f, r.stdout, r.stderr)


def main():
    tap = lib.Tap()
    tap.run('a stripped Go program', go)
    tap.run('arguments of Go functions', go_args)
    tap.run('functions close together', tight)
    tap.run('names of a place', places)
    libc = ['_start', '__libc_start_main', 'before', 'early', 'main', 'after']
    tap.run('first instructions, dynamic', first, [], 'gcc', ['_dl_start', '__libc_early_init', *libc])
    tap.run('first instructions, static', first, ['-static'], 'gcc', ['__libc_early_init', *libc])
    tap.run('first instructions, static and position-independent', first, ['-static-pie'], 'gcc', libc)
    tap.run('first instructions, musl', first, [], 'musl-gcc', libc)
    tap.run('first instructions, musl and static', first, ['-static'], 'musl-gcc', libc)
    tap.done()


if __name__ == '__main__':
    main()
