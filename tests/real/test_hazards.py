#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a tracer could spoil, one thing at a time (tests/stress/hazards.c), with all functions armed at entry and return: results
as untraced, and where they can be counted no probe is lost."""
import os
import re
import subprocess
import tempfile

import lib

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'stress', 'hazards.c')
ALL = 'pid$target:::entry,pid$target:::return { @[probename] = count(); }'
COUNT = ('pid$target:a.out:work:entry,pid$target:a.out:handle:entry { @[probefunc] = count(); @s[copyinstr(arg0)] = count(); '
         'self->n++; seen[probefunc]++; }')
PANICS = r'''
use std::panic;
use std::thread;
struct Guard<'a>(&'a std::cell::Cell<i64>);
impl<'a> Drop for Guard<'a> { fn drop(&mut self) { self.0.set(self.0.get() + 1); } }
#[inline(never)]
fn dive(depth: i64, seed: i64, c: &std::cell::Cell<i64>) -> i64 {
    let _g = Guard(c);
    if depth == 0 {
        if seed % 3 == 0 { panic!("seed {}", seed); }
        if seed % 3 == 1 { let v: Vec<i64> = Vec::new(); return v[seed as usize]; }
        return seed;
    }
    dive(depth - 1, seed, c) + 1
}
fn main() {
    panic::set_hook(Box::new(|_| {}));
    let mut caught = 0; let mut sum = 0;
    let drops = std::cell::Cell::new(0);
    for i in 0..600 {
        match panic::catch_unwind(panic::AssertUnwindSafe(|| dive(i % 30, i, &drops))) { Ok(v) => sum += v, Err(_) => caught += 1 }
    }
    let failed: i32 = (0..40).map(|i| thread::spawn(move || { dive(5, i, &std::cell::Cell::new(0)) }).join().is_err() as i32).sum();
    println!("caught {} sum {} drops {} threads {}", caught, sum, drops.get(), failed);
}
'''
GO_FILTER = r'''
package main

import (
	"fmt"
	"syscall"
	"unsafe"
)

//go:noinline
func work(p *byte) byte { return *p }

func main() {
	f := []uint64{0x20, 0x0000000000000000 | 0x15 | 1<<24 | 310<<32, 0x06 | 0x80000000<<32, 0x06 | 0x7fff0000<<32}
	prog := struct {
		n uint16
		f *uint64
	}{4, &f[0]}
	text := make([]byte, 8)
	for i := 0; i < 100000; i++ {
		work(&text[0])
	}
	syscall.RawSyscall6(157, 38, 1, 0, 0, 0, 0)
	_, _, e := syscall.RawSyscall(317, 1, 1, uintptr(unsafe.Pointer(&prog)))
	for i := 0; i < 100000; i++ {
		work(&text[0])
	}
	fmt.Println("filtered", e)
}
'''


def build(folder, *flags):
    lib.need('gcc')
    exe = f'{folder}/hazards'
    subprocess.run(['gcc', '-O1', *flags, '-o', exe, SOURCE, '-pthread', '-ldl'], check=True, capture_output=True)
    return exe


def plain(argv):
    return subprocess.run(argv, env=lib.clean_env(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=120 * lib.SLOW).stdout


def everything(deed):
    """With all functions of the program, the libc and the loader armed, it says what it says untraced."""
    with tempfile.TemporaryDirectory() as folder:
        exe = build(folder)
        want = plain([exe, deed])
        r = lib.dyntrace('-q', '-o', f'{folder}/out', '-n', ALL, '-c', f'{exe} {deed}', timeout=300, env=lib.clean_env())
        assert r.stdout == want, f'{r.stdout!r}, untraced {want!r}; {r.stderr[-500:]}'
        assert 'terminated' not in r.stderr, r.stderr


def nothing_lost():
    """Handlers interrupt work(), its probe and the functions below that: each of both is counted, with its argument."""
    with tempfile.TemporaryDirectory() as folder:
        exe = build(folder)
        r = lib.dyntrace('-q', '-x', 'bufsize=16m', '-n', COUNT + ' END { printa("%s %@d\\n", @); printa("%s %@d\\n", @s); '
                         'printf("seen %d\\n", seen["work"] + seen["handle"]); }', '-c', f'{exe} handlers', timeout=300)
        m = re.search(r'worked (\d+) handled (\d+)', r.stdout)
        got = {k: int(v) for k, v in re.findall(r'^(\w+) (\d+)$', r.stdout, re.M)}
        assert m and got.get('work') == int(m.group(1)) and got.get('handle') == int(m.group(2)), (r.stdout, r.stderr[-500:])
        assert got.get('xy') == got['work'] and got.get('ab') == got['handle'], (r.stdout, r.stderr[-500:])
        assert not r.stderr, r.stderr[-500:]


def stack_limit():
    """Also with what holds locks of ours: a probe that the end of the stack takes gives them back."""
    with tempfile.TemporaryDirectory() as folder:
        exe = build(folder)
        want = plain([exe, 'limit'])
        for probes in ('pid$target:a.out:dive:entry { @[ustack(3)] = count(); n[arg0 % 100]++; self->x = arg0; }',
                       'pid$target:a.out:dive:entry { n[copyinstr(uregs[R_RSP])]++; } pid$target:a.out:work:entry { @[copyinstr(arg0)] = count(); }'):
            r = lib.dyntrace('-q', '-o', f'{folder}/out', '-n', probes, '-c', f'{exe} limit', timeout=300)
            assert r.stdout == want, f'{r.stdout!r}, untraced {want!r}; {r.stderr[-500:]}'


def filtered(deed, want):
    """From its filter on nothing is asked of the kernel in its name, however soon the next probe fires."""
    with tempfile.TemporaryDirectory() as folder:
        exe = build(folder)
        for flags in ((), ('-static',)):
            exe = build(folder, *flags)
            r = lib.dyntrace('-q', '-n', 'pid$target:a.out:work:entry { @[copyinstr(arg0)] = count(); } ERROR { @bad[arg4] = count(); } '
                             'END { printa("%s %@d\\n", @); printa("fault %d %@d\\n", @bad); }', '-c', f'{exe} {deed}', check=False, timeout=300)
            assert want in r.stdout, (flags, r.stdout[-500:], r.stderr[-500:])
            m = re.search(r'^heap (\d+)$', r.stdout, re.M)
            assert m and 190000 < int(m.group(1)) <= 200000, (flags, r.stdout[-500:], r.stderr[-500:])


def filtered_go():
    lib.need('go')
    with tempfile.TemporaryDirectory() as folder:
        with open(f'{folder}/f.go', 'w', encoding='ascii') as f:
            f.write(GO_FILTER)
        subprocess.run(['go', 'build', '-o', f'{folder}/f', f'{folder}/f.go'], check=True, capture_output=True,
                       env=lib.clean_env(CGO_ENABLED='0', GOCACHE=f'{folder}/cache', HOME=folder))
        r = lib.dyntrace('-q', '-n', 'pid$target:a.out:main.work:entry { @[*(char *)copyin(uregs[R_RAX], 1)] = count(); } ERROR { @bad = count(); }',
                         '-c', f'{folder}/f', check=False, timeout=300)
        assert 'filtered errno 0' in r.stdout, (r.returncode, r.stdout[-500:], r.stderr[-500:])


def rust_panics():
    lib.need('rustc')
    with tempfile.TemporaryDirectory() as folder:
        with open(f'{folder}/panics.rs', 'w', encoding='ascii') as f:
            f.write(PANICS)
        r = subprocess.run(['rustc', '-O', '-o', f'{folder}/panics', f'{folder}/panics.rs'], capture_output=True, text=True, check=False)
        if r.returncode:
            raise lib.Skip('rustc does not work here: ' + r.stderr.strip()[:100])
        want = plain([f'{folder}/panics'])
        r = lib.dyntrace('-q', '-o', f'{folder}/out', '-n', ALL, '-c', f'{folder}/panics', timeout=300, env=lib.clean_env())
        assert r.stdout == want, (r.stdout, want, r.stderr[-500:])


def main():
    tap = lib.Tap()
    for deed in ('handlers', 'atfork', 'vfork', 'limit', 'loader', 'filter', 'strict'):
        if deed == 'handlers': # how often it works depends on the time
            tap.run('handlers: nothing is lost', nothing_lost)
        else:
            tap.run(deed, everything, deed)
    tap.run('the stack is at its end', stack_limit)
    tap.run('a filter past the libc', filtered, 'filter', 'filtered')
    tap.run('strict mode past the libc', filtered, 'strict', 'strict')
    tap.run('a filter of a Go program', filtered_go)
    tap.run('panics of Rust', rust_panics)
    tap.done()


if __name__ == '__main__':
    main()
