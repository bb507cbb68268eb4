#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""-x budget: hot probes are sampled and said to be, rare ones and those that keep variables are all there.

How far what is counted may be from the truth, and how much slower a program becomes, is for bench/ to tell: no test measures time."""
import os
import re
import subprocess
import tempfile

import lib
import test_backends

CALLS, RARE = 12000000, 40
PROGRAM = r'''
#include <stdio.h>
#include <stdlib.h>
#define NOIPA __attribute__((noipa))
NOIPA long hot(long n) { for (int i = 0; i < 60; i++) __asm__ volatile("imul $7, %0, %0" : "+r"(n)); return n; }
NOIPA long rare(long n) { __asm__ volatile(""); return n + 1; }
int main(int argc, char **argv)
{
	long calls = atol(argv[1]), each = calls / atol(argv[2]), sum = 0;
	for (long i = 0; i < calls; i++) {
		sum += hot(i);
		if (i % each == 0)
			sum += rare(i);
	}
	printf("sum %ld\n", sum);
	return 0;
}
'''


def trace(exe, d, *opts, calls=CALLS):
    """(what was printed, what was said); the program must have said what it says untraced."""
    plain = subprocess.run([exe, str(calls), str(RARE)], capture_output=True, text=True, check=True, timeout=300 * lib.SLOW)
    r = subprocess.run([lib.DYNTRACE, '-q', *opts, '-n', d, '-c', f'{exe} {calls} {RARE}'], capture_output=True, text=True,
                       stdin=subprocess.DEVNULL, check=False, timeout=600 * lib.SLOW)
    assert r.returncode == 0, r.stderr
    assert plain.stdout in r.stdout, r.stdout
    return r.stdout, r.stderr


def numbers(text, name):
    return [int(n) for n in re.findall(name + r' (-?\d+)', text)]


def sampled(exe):
    out, said = trace(exe, 'pid$target:a.out:hot:entry { @n = count(); @a = avg(7); @q = quantize(arg0 & 3); @s[ustack(6)] = count(); }'
                      'pid$target:a.out:rare:entry { @r = count(); }'
                      'END { printa("n %@d\\n", @n); printa("r %@d\\n", @r); printa("a %@d\\n", @a); printa(@q); }', '-x', 'budget=5%')
    assert ':hot:entry was sampled' in said and 'scaled' in said, said
    assert 'rare' not in said, said
    assert numbers(out, 'r') == [RARE], out
    assert numbers(out, 'a') == [7], out
    n = numbers(out, 'n')[0]
    assert CALLS / 3 < n < CALLS * 3, n # that it is scaled at all
    buckets = sum(int(line.split()[-1]) for line in out.splitlines() if re.match(r'\s+\d+ \|', line))
    assert abs(buckets - n) < n / 10, (buckets, n)


def recording(exe):
    with tempfile.TemporaryDirectory() as folder:
        r = lib.dyntrace('record', '-x', 'budget=5%', '-x', 'bufsize=16m', '-o', f'{folder}/trace', '-c', f'{exe} {CALLS} {RARE}', 'hot:entry')
        assert ':hot:entry was sampled' in r.stderr and 'not all there' in r.stderr, r.stderr


def variables(exe):
    calls = CALLS // 10
    out, said = trace(exe, 'pid$target:a.out:hot:entry { self->t = 1; n++; @n = count(); }'
                      'pid$target:a.out:hot:return /self->t/ { @r = count(); self->t = 0; }'
                      'END { printa("n %@d\\n", @n); printa("r %@d\\n", @r); printf("v %d\\n", n); }', '-x', 'budget=2', calls=calls)
    assert 'was sampled' not in said, said
    assert numbers(out, 'n') == [calls] and numbers(out, 'v') == [calls] and numbers(out, 'r') == [calls], out


def acts(exe):
    """normalize() is done by who reads: each hit counts, though the program changes nothing."""
    calls = CALLS // 10
    out, said = trace(exe, 'pid$target:a.out:hot:entry { @n = count(); } pid$target:a.out:hot:entry /arg0 % 100000 == 0/ { normalize(@n, 1); }'
                      'END { printa("n %@d\\n", @n); }', '-x', 'budget=2', calls=calls)
    assert 'was sampled' not in said and numbers(out, 'n') == [calls], (out, said)


def refused_places():
    """What would be uprobes of the kernel otherwise is left out, and the others are traced."""
    with tempfile.TemporaryDirectory() as work:
        exe = test_backends.build(work)
        script = 'pid$target:a.out:odd:return,pid$target:a.out:even:entry { @[probename] = count(); } tick-1s { exit(0); }'
        with subprocess.Popen([exe, '1', 'serve'], stdout=subprocess.DEVNULL) as p:
            try:
                lib.wait_for(lambda: any('libc' in m[4] for m in lib.maps(p.pid)), 'its library')
                r = lib.dyntrace('-q', '-x', 'budget=5%', '-n', script, '-p', str(p.pid), check=False)
            finally:
                p.kill()
        assert r.returncode == 0 and re.search('not traced.*with -x budget there are no uprobes', r.stderr), r.stderr
        assert int(re.search(r'entry\s+(\d+)', r.stdout).group(1)) > 0, r.stdout


def off(exe):
    out, said = trace(exe, 'pid$target:a.out:hot:entry { @n = count(); } END { printa("n %@d\\n", @n); }', calls=CALLS // 10)
    assert numbers(out, 'n') == [CALLS // 10] and not said, (out, said)


def refused(exe):
    for value in ('0', '51%', 'x'):
        r = subprocess.run([lib.DYNTRACE, '-x', f'budget={value}', '-n', 'BEGIN { exit(0); }'], capture_output=True, text=True, check=False)
        assert r.returncode and 'budget takes a number from 1 to 50' in r.stderr, (value, r.stderr)
    with subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as p, tempfile.TemporaryDirectory() as work:
        r = lib.dyntrace('attach', '-x', 'budget=5%', str(p.pid), env=lib.clean_env(XDG_RUNTIME_DIR=work), check=False)
        p.stdin.close()
    assert r.returncode and '-x budget is for scripts' in r.stderr, r.stderr
    if os.geteuid():
        raise lib.Skip('probes of the kernel need root')
    r = subprocess.run([lib.DYNTRACE, '-q', '-x', 'budget=5%', '-n', 'syscall::write:entry { @ = count(); } BEGIN { exit(0); }'],
                       capture_output=True, text=True, check=False, timeout=60 * lib.SLOW)
    assert r.returncode and '-x budget is for probes of processes' in r.stderr, r.stderr


def main():
    tap = lib.Tap()
    with tempfile.TemporaryDirectory() as work:
        exe = os.path.join(work, 'prog')
        source = exe + '.c'
        with open(source, 'w', encoding='ascii') as f:
            f.write(PROGRAM)
        subprocess.run(['gcc', '-O2', '-o', exe, source], check=True)
        tap.run('hot ones are sampled and scaled, rare ones are all there', sampled, exe)
        tap.run('a recording says what it leaves out', recording, exe)
        tap.run('clauses that keep variables are not sampled', variables, exe)
        tap.run('clauses by which something is done are not sampled', acts, exe)
        tap.run('places that have no jump', refused_places)
        tap.run('without a budget nothing is', off, exe)
        tap.run('what cannot be is said', refused, exe)
    tap.done()


if __name__ == '__main__':
    main()
