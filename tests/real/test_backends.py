#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""-x backend: the same scripts with jumps, and with uprobes of the kernel, see the same; auto: nothing is left out."""
import os
import re
import signal
import subprocess
import tempfile
import time

import lib

PROGRAM = r'''
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#define NOIPA __attribute__((noipa))
NOIPA int leaf(int a, int b) { return a * b + 1; }
NOIPA int work(int n) { int s = 0; for (int i = 0; i < n; i++) s += leaf(i, n); return s; }
/* A ret that two paths share, right before other code that is jumped to: no jump fits there. */
__asm__(".text\n.globl shared\n.type shared,@function\nshared:\n"
        "test %edi,%edi\njne 2f\nmov $5,%eax\n1: ret\n2: lea 1(%rdi),%eax\ncmp $3,%edi\nja 1b\njmp 3f\n3: ret\n.size shared,.-shared\n");
int shared(int);
/* A ret to which another function jumps, too: what leads there is not all known. */
__asm__(".globl odd\n.type odd,@function\nodd:\ntest %edi,%edi\njne 2f\nmov $5,%eax\n1: ret\n2: lea 1(%rdi),%eax\ncmp $3,%edi\nja 1b\n"
        "jmp 3f\n3: ret\n.size odd,.-odd\n.skip 200,0xcc\n.globl even\n.type even,@function\neven:\nmov $7,%eax\njmp odd+9\n.size even,.-even\n");
int odd(int), even(int);
__asm__(".globl tail\n.type tail,@function\ntail:\nlea 1(%rdi),%edi\nmov $3,%esi\njmp leaf\n.size tail,.-tail\n");
int tail(int);
NOIPA long nine(long a, long b, long c, long d, long e, long f, long g, long h, long i) { return a + b + c + d + e + f + g * h - i; }
int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 20, s = 0;
	for (; argc > 2; usleep(1000))
		s += odd(s & 3) + even(s);
	for (int i = 0; i < n; i++)
		s += work(i) + shared(i % 6) + tail(i) + (int)nine(1, 2, 3, 4, 5, 6, i, i + 1, i + 2);
	printf("%d\n", s);
	return 0;
}
'''
SCRIPTS = [
    'pid$target:a.out:leaf:entry,pid$target:a.out:work:entry { @[probefunc, arg0] = count(); }',
    'pid$target:a.out:work:return { @[arg1] = count(); @s = sum(arg1); }',
    'pid$target:a.out:work:entry { self->n = arg0; } pid$target:a.out:work:return /self->n/ { @[self->n, arg1] = count(); self->n = 0; }',
    'pid$target:a.out:leaf:entry { @[ustack(1)] = count(); n++; } END { printf("n %d\\n", n); }',
    'pid$target:a.out:leaf:0 { @[execname, pid == $target, uregs[R_RDI]] = count(); }',
    'pid$target:libc*:write:entry { @[copyinstr(arg1, 4), arg2] = count(); }',
    'pid$target:a.out:nine:entry { @[arg5, arg6, arg7, arg8] = count(); }',
    'pid$target:a.out:tail:return { @[probefunc, arg0] = count(); }',
]
THROWS = r'''
#include <cstdio>
#include <stdexcept>
__attribute__((noinline)) int thrower(int n) { if (n % 3 == 0) throw std::runtime_error("three"); return n; }
__attribute__((noinline)) int middle(int n) { return thrower(n) + 1; }
int main()
{
	int s = 0;
	for (int i = 0; i < 30; i++)
		try { s += middle(i); } catch (const std::exception &e) { s += e.what()[0]; }
	std::printf("%d\n", s);
}
'''

# Opcodes of vector instructions that mean something else without their prefix: push, jumps, a call, returns.
VECTORS = r'''
#include <emmintrin.h>
#include <stdio.h>
#define BEGINS_WITH(name, insn) \
	__asm__(".globl " #name "\n.type " #name ",@function\n" #name ":\n" insn "\nret\n.size " #name ",.-" #name "\n"); \
	__m128i name(__m128i, __m128i)
BEGINS_WITH(v57_xor, "vxorps %xmm1,%xmm0,%xmm0");
BEGINS_WITH(v54_and, "vandps %xmm1,%xmm0,%xmm0");
BEGINS_WITH(v70_shuffle, "vpshufd $0x1b,%xmm0,%xmm0");
BEGINS_WITH(v74_equal, "vpcmpeqb %xmm1,%xmm0,%xmm0");
BEGINS_WITH(v79_broadcast, "vpbroadcastw %xmm1,%xmm0");
BEGINS_WITH(v77_zero, "vzeroupper");
BEGINS_WITH(vc2_compare, "vcmpeqps %xmm1,%xmm0,%xmm0");
BEGINS_WITH(ve8_minus, "vpsubsb %xmm1,%xmm0,%xmm0");
BEGINS_WITH(vea_least, "vpminsw %xmm1,%xmm0,%xmm0");
BEGINS_WITH(veb_or, "vpor %xmm1,%xmm0,%xmm0");
BEGINS_WITH(vef_xor, "vpxor %xmm1,%xmm0,%xmm0");
__attribute__((noipa)) int plain(int a) { return a + 1; }
int main(void)
{
	__m128i (*const all[])(__m128i, __m128i) = { v57_xor, v54_and, v70_shuffle, v74_equal, v79_broadcast, v77_zero, vc2_compare,
		ve8_minus, vea_least, veb_or, vef_xor };
	for (int n = 0; n < 3; n++)
		for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++) {
			long long out[2];
			_mm_storeu_si128((__m128i *)out, all[i](_mm_set_epi32(n, 2, 0x3030303, 4), _mm_set_epi32(1, 2, 0x1020304, 0)));
			printf("%u %d: %016llx %016llx\n", i, plain(n), out[0], out[1]);
		}
	return 0;
}
'''


def build(work):
    lib.need('gcc')
    exe = os.path.join(work, 'both')
    subprocess.run(['gcc', '-O1', '-no-pie', '-g', '-x', 'c', '-', '-o', exe], input=PROGRAM, text=True, check=True)
    return exe


def run(exe, backend, script, *args):
    if os.geteuid() and backend != 'jump':
        raise lib.Skip('needs root')
    r = lib.dyntrace('-q', *args, '-x', f'backend={backend}', '-n', script, '-c', f'{exe} 20', check=False)
    if 'BPF' in r.stderr or 'uprobes (CONFIG' in r.stderr:
        raise lib.Skip(r.stderr.strip()[:100])
    return r


def same(script):
    with tempfile.TemporaryDirectory() as work:
        exe = build(work)
        a, b = run(exe, 'jump', script), run(exe, 'uprobe', script)
        assert a.returncode == 0 and b.returncode == 0, a.stderr + b.stderr
        assert sorted(a.stdout.split('\n')) == sorted(b.stdout.split('\n')), f'jump:\n{a.stdout}uprobe:\n{b.stdout}'
        assert re.search(r'\d', a.stdout), 'nothing was seen'


def same_usdt():
    """Arguments of every kind, and the semaphores without which there would be no hit."""
    python = '/usr/bin/python3'
    script = 'python$target:::function-entry { @[copyinstr(arg1), arg2] = count(); } python$target:::function-return { @r[arg2] = count(); }'
    outs = []
    with tempfile.TemporaryDirectory() as work:
        with open(f'{work}/calls.py', 'w', encoding='ascii') as f:
            f.write('def called(): pass\nfor i in range(9): called()\n')
        for backend in 'jump', 'uprobe':
            if os.geteuid():
                raise lib.Skip('needs root')
            r = lib.dyntrace('-q', '-x', f'backend={backend}', '-n', script, '-c', f'{python} -S {work}/calls.py', check=False)
            if 'declares no probes' in r.stderr or 'BPF' in r.stderr:
                raise lib.Skip(r.stderr.strip()[:100])
            assert r.returncode == 0 and re.search(r'\d', r.stdout), r.stdout + r.stderr
            outs.append(sorted(r.stdout.split('\n')))
        assert outs[0] == outs[1], (len(outs[0]), len(outs[1]), outs[0][:9], outs[1][:9])


def exceptions():
    """Return probes through the kernel leave return addresses alone."""
    lib.need('g++')
    with tempfile.TemporaryDirectory() as work:
        exe = os.path.join(work, 'throws')
        subprocess.run(['g++', '-O1', '-x', 'c++', '-', '-o', exe], input=THROWS, text=True, check=True)
        plain = subprocess.run([exe], stdout=subprocess.PIPE, text=True, check=True).stdout
        r = run(exe, 'uprobe', 'pid$target:a.out::return { @ = count(); }')
        assert r.returncode == 0 and plain.strip() in r.stdout, r.stdout + r.stderr


def refused_places():
    with tempfile.TemporaryDirectory() as work:
        exe = build(work)
        script = 'pid$target:a.out:shared:return { @ = count(); @v[arg1] = count(); }'
        r = run(exe, 'jump', script)
        refused = 'is not traced' in r.stderr
        auto = run(exe, 'auto', script, '-v')
        assert auto.returncode == 0 and 'is not traced' not in auto.stderr, auto.stderr
        assert re.search(r'^\s+20$', auto.stdout, re.M), auto.stdout + auto.stderr
        if refused:
            assert 'is a uprobe' in auto.stderr, auto.stderr


def last_resort():
    """As root a running process's places without room become uprobes, unasked; nobody else gets more than a count and why."""
    with tempfile.TemporaryDirectory() as work:
        exe = build(work)
        os.chmod(work, 0o755)
        script = 'pid$target:a.out:odd:return,pid$target:a.out:even:entry { @[probename] = count(); } tick-1s { exit(0); }'
        with subprocess.Popen([exe, '1', 'serve'], stdout=subprocess.DEVNULL) as p:
            try:
                time.sleep(0.2)
                jump = lib.dyntrace('-q', '-x', 'backend=jump', '-n', script, '-p', str(p.pid), check=False)
                assert 'is not traced' in jump.stderr, 'the program has no such place: ' + jump.stderr
                r = lib.dyntrace('-q', '-v', '-n', script, '-p', str(p.pid), check=False)
                if os.geteuid():
                    assert re.search(r'of \d+ places .* not traced.*root', r.stderr), r.stderr
                elif 'BPF' not in r.stderr:
                    assert 'is a uprobe' in r.stderr and 'not traced' not in r.stderr, r.stderr
                    n = dict(re.findall(r'(\w+)\s+(\d+)', r.stdout))
                    assert int(n['return']) > int(n['entry']) > 0, r.stdout
                assert p.poll() is None, 'the program ended'
            finally:
                p.kill()


def caught(pid, sig):
    """Whether a process has a handler for the signal."""
    with open(f'/proc/{pid}/status', encoding='ascii', errors='replace') as f:
        mask = next(int(line.split()[1], 16) for line in f if line.startswith('SigCgt'))
    return mask >> (sig - 1) & 1


def interrupt(p):
    """Ends tracing as soon as that can be done; whether it was said that it was too soon."""
    with lib.Tracing('-q', '-n', 'pid$target:::entry { @n = count(); }', '-p', p.pid) as t:
        lib.wait_for(lambda: caught(t.proc.pid, signal.SIGINT) or t.proc.poll() is not None, 'the handler')
        status, out, err = t.stop()
    assert status == 0, err
    soon = 'interrupted before all probes were armed' in err
    assert soon or re.search('^ +[1-9]', out, re.M), (out, err)
    return soon


def interrupted():
    """Who ends it before all is armed gets to know that, or else what was counted."""
    with tempfile.TemporaryDirectory() as work, subprocess.Popen([build(work), '1', 'serve'], stdout=subprocess.DEVNULL) as p:
        try:
            lib.wait_for(lambda: any('libc' in m[4] for m in lib.maps(p.pid)), 'its library')
            if not any(interrupt(p) for _ in range(5)):
                raise lib.Skip('it was always armed already')
        finally:
            p.kill()


def vectors():
    """Not every instruction goes where the kernel runs it: those are left out, and said to be."""
    lib.need('gcc')
    with open('/proc/cpuinfo', encoding='ascii', errors='replace') as f:
        if ' avx2 ' not in f.read():
            raise lib.Skip('no AVX2')
    with tempfile.TemporaryDirectory() as work:
        exe = os.path.join(work, 'vectors')
        subprocess.run(['gcc', '-O1', '-x', 'c', '-', '-o', exe], input=VECTORS, text=True, check=True)
        plain = subprocess.run([exe], capture_output=True, text=True, check=True).stdout
        for backend in 'jump', 'auto', 'uprobe':
            r = run(exe, backend, 'pid$target:a.out:v*:entry,pid$target:a.out:plain:entry { @[probefunc] = count(); }')
            assert r.returncode == 0 and r.stdout.startswith(plain), (backend, r.returncode, r.stdout[:300], r.stderr[-800:])
            seen = dict(line.split() for line in r.stdout[len(plain):].splitlines() if line)
            assert seen.pop('plain') == '33' and set(seen.values()) <= {'3'}, (backend, seen)
            assert backend == 'uprobe' and 'not traced' in r.stderr or len(seen) == 11, (backend, seen, r.stderr)


def self_is_shared():
    """Of a function some of whose returns are uprobes, where its entry is a jump."""
    with tempfile.TemporaryDirectory() as work:
        exe = build(work)
        if os.geteuid():
            raise lib.Skip('needs root')
        script = ('pid$target:a.out:odd:entry { self->t = timestamp; @n["entry"] = count(); } pid$target:a.out:odd:return /self->t/ '
                  '{ @n["return"] = count(); @t = sum(timestamp > self->t); self->t = 0; } tick-1s { exit(0); } END { printa("all %@d\\n", @t); }')
        with subprocess.Popen([exe, '1', 'serve'], stdout=subprocess.DEVNULL) as p:
            time.sleep(0.2)
            r = lib.dyntrace('-q', '-v', '-n', script, '-p', str(p.pid), check=False)
            p.kill()
        if 'BPF' in r.stderr:
            raise lib.Skip(r.stderr.strip()[:100])
        n = {k: int(v) for k, v in re.findall(r'(\w+)\s+(\d+)', r.stdout)}
        assert 'is a uprobe' in r.stderr and n['entry'] - n['return'] in (0, 1) and n['all'] == n['return'] > 100, r.stdout + r.stderr


def verb():
    with tempfile.TemporaryDirectory() as work:
        exe = build(work)
        if os.geteuid():
            raise lib.Skip('needs root')
        script = 'pid$target:a.out:leaf:entry { @[arg0, execname] = count(); } pid$target:a.out:work:return { @r[arg1] = count(); }'
        r = lib.dyntrace('verify', '-n', script, '-c', f'{exe} 20', check=False)
        if 'BPF' in r.stderr or 'uprobes (CONFIG' in r.stderr:
            raise lib.Skip(r.stderr.strip()[:100])
        assert r.returncode == 0 and 'jumps and uprobes agree' in r.stdout, r.stdout + r.stderr
        r = lib.dyntrace('verify', '-q', '-n', 'pid$target:a.out:main:entry { trace(timestamp); }', '-c', exe, check=False)
        assert r.returncode == 1 and re.search('^jump: ', r.stdout, re.M) and re.search('^uprobe: ', r.stdout, re.M), r.stdout


def main():
    tap = lib.Tap()
    for script in SCRIPTS:
        tap.run(script, same, script)
    tap.run('USDT probes', same_usdt)
    tap.run('exceptions', exceptions)
    tap.run('places that are refused', refused_places)
    tap.run('the last resort', last_resort)
    tap.run('it is ended before all is armed', interrupted)
    tap.run('vector instructions', vectors)
    tap.run('self-> variables are shared', self_is_shared)
    tap.run('verify with a script', verb)
    tap.done()


if __name__ == '__main__':
    main()
