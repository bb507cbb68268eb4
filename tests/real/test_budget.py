#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""-x budget: hot probes are sampled and said to be, rare ones and those that keep variables are all there.

How far what is counted may be from the truth, and how much slower a program becomes, is for bench/ to tell: no test measures time."""
import os
import re
import shutil
import statistics
import subprocess
import tempfile

import lib
import test_backends

CALLS, RARE = 12000000, 40
PROGRAM = r'''
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#define NOIPA __attribute__((noipa))
NOIPA long hot(long n) { for (int i = 0; i < 60; i++) __asm__ volatile("imul $7, %0, %0" : "+r"(n)); return n; }
NOIPA long rare(long n) { __asm__ volatile(""); return n + 1; }
NOIPA long tiny(long n) { __asm__ volatile(""); return n ^ 1; }
NOIPA long slow(long n) { for (int i = 0; i < 20000; i++) __asm__ volatile("imul $7, %0, %0" : "+r"(n)); return n; }
#define THREADS 8
static long calls, each;
static void *work(void *arg)
{
	long sum = 0;
	for (long i = 0; i < calls; i++) {
		sum += hot(i);
		if (i % each == 0)
			sum += rare(i);
		for (int k = 0; i % 1000 == 0 && k < 1000; k++)
			sum += tiny(k);
		if (i % 1000 == 0)
			sum += slow(i);
	}
	*(long *)arg = sum;
	return NULL;
}
int main(int argc, char **argv)
{
	long sums[THREADS] = { 0 }, sum = 0;
	pthread_t ids[THREADS];
	int threads = argc > 3 ? atoi(argv[3]) : 1;
	calls = atol(argv[1]);
	each = calls / atol(argv[2]);
	for (int i = 1; i < threads; i++)
		if (pthread_create(&ids[i], NULL, work, &sums[i]))
			return 1;
	work(&sums[0]);
	for (int i = 1; i < threads; i++)
		pthread_join(ids[i], NULL);
	for (int i = 0; i < threads; i++)
		sum += sums[i];
	printf("sum %ld\n", sum);
	return 0;
}
'''


def trace(exe, d, *opts, calls=CALLS, more=()):
    """(what was printed, what was said); the program must have said what it says untraced."""
    cmd = [exe, str(calls), str(RARE), *more]
    plain = subprocess.run(cmd, capture_output=True, text=True, check=True, timeout=300 * lib.SLOW)
    r = subprocess.run([lib.DYNTRACE, '-q', *opts, '-n', d, '-c', ' '.join(cmd)], capture_output=True, text=True,
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
    assert re.search(r':hot:entry was sampled, .* what it aggregates is scaled from [\d.]+% of its hits', said), said
    share = float(re.search(r'scaled from ([\d.]+)%', said).group(1))
    assert 0 < share <= 100, said
    assert 'rare:entry was sampled' not in said, said
    assert numbers(out, 'r') == [RARE], out
    assert numbers(out, 'a') == [7], out
    n = numbers(out, 'n')[0]
    assert abs(n - CALLS) < CALLS * 0.15, n
    buckets = sum(int(line.split()[-1]) for line in out.splitlines() if re.match(r'\s+\d+ \|', line))
    assert abs(buckets - n) < n / 10, (buckets, n)


def count_of_threads(exe, cnt):
    """By which part of the truth what is counted is off."""
    calls = CALLS * 2 // cnt
    out, said = trace(exe, 'pid$target:a.out:hot:entry { @n = count(); @s[ustack(6)] = count(); @t[tid] = count(); }'
                      'pid$target:a.out:rare:entry { @r = count(); }'
                      'END { printa("n %@d\\n", @n); printa("r %@d\\n", @r); printa("t %d %@d\\n", @t); }', '-x', 'budget=5%',
                      calls=calls, more=[str(cnt)])
    assert ':hot:entry was sampled' in said and 'rare:entry was sampled' not in said, said
    assert numbers(out, 'r') == [cnt * RARE], out
    n, of_threads = numbers(out, 'n')[0], numbers(out, r't \d+')
    assert len(of_threads) == cnt and sum(of_threads) == n, (n, of_threads)
    return n / (cnt * calls) - 1


def threads(exe):
    """All hits are known whoever has them, so what is counted is as near to the truth as for one thread.  Most of three runs are: where
    the machine keeps the tool from ending a window, and the program ends soon after, nothing makes up for that."""
    for cnt in 1, 2, 3, 8:
        offs = [count_of_threads(exe, cnt), count_of_threads(exe, cnt)]
        if max(map(abs, offs)) >= 0.05:
            offs.append(count_of_threads(exe, cnt))
        assert sum(abs(off) < 0.05 for off in offs) >= 2, (cnt, offs)


def no_bias(exe):
    """What is on stands for what is off, neither more nor less: of one thread, seven runs but for the highest and the lowest are as good as
    the truth in the mean, however far one alone may be from it where the machine is busy.  What takes long while a window is switched makes
    them too low, most where hits that are on take much longer than those that are off."""
    offs = []
    for _ in range(7):
        out, said = trace(exe, 'pid$target:a.out:hot:entry { @n = count(); @s[ustack(4)] = count(); } END { printa("n %@d\\n", @n); }',
                          '-x', 'budget=5%')
        assert ':hot:entry was sampled' in said, said
        offs.append(numbers(out, 'n')[0] / CALLS - 1)
    mean = statistics.mean(sorted(offs)[1:-1])
    assert abs(mean) < 0.02, sorted(offs)


def clauses(exe):
    """What clauses of one site have in common is found once, and each hit stands for as many in all of them."""
    d = '''hot:entry /arg0 % 3 == 0/ { @t = count(); @t7 = sum((arg0 & 1) + 6); STACK }
           hot:entry { @n = count(); @x = sum(2); @k[probefunc, arg0 & 1] = count(); }
           hot:entry /arg0 % 3 == 0/ { @u = count(); @u7 = sum((arg0 & 1) + 6); }
           hot:entry { @m = count(); @a = avg((arg0 & 1) + 6); }
           END { printa("t %@d\\n", @t); printa("t7 %@d\\n", @t7); printa("n %@d\\n", @n); printa("x %@d\\n", @x);
               printa("k %s %d %@d\\n", @k); printa("u %@d\\n", @u); printa("u7 %@d\\n", @u7); printa("m %@d\\n", @m);
               printa("a %@d\\n", @a); }'''
    d = d.replace('hot:', 'pid$target:a.out:hot:')
    for stack in '', '@s[ustack(1)] = sum(arg0 & 7);':
        out, said = trace(exe, d.replace('STACK', stack), '-x', 'budget=5%')
        assert ':hot:entry was sampled' in said, said
        t, t7, n, x, u, u7, m, a = (numbers(out, rf'\b{name}')[0] for name in ('t', 't7', 'n', 'x', 'u', 'u7', 'm', 'a'))
        k = [int(v) for v in re.findall(r'^k hot [01] (\d+)', out, re.M)]
        assert x == 2 * n and len(k) == 2 and sum(k) == n, out # clauses have one weight
        assert abs(k[0] - k[1]) < n / 20 and a in (6, 7), out
        for one, other in (m, n), (t, u), (3 * t, n), (t7, 6.5 * t), (u7, 6.5 * u):
            assert abs(one - other) < other / 20, (one, other, out)


MANY = r'''
#include <stdlib.h>
#define F(n) __attribute__((noipa)) int many##n(int i) { __asm__ volatile("nop;nop;nop;nop;nop;nop"); return i + n; }
F(1) F(2) F(3) F(4) F(5) F(6)
int main(int argc, char **argv)
{
	int s = argc;
	for (long i = atol(argv[1]); i > 0; i--)
		s = many1(many2(many3(many4(many5(many6(s))))));
	return s == 7;
}
'''


def many_places(exe):
    """One line says it of all of them, with the names of those that took most."""
    many = f'{os.path.dirname(exe)}/many'
    subprocess.run(['gcc', '-O1', '-x', 'c', '-', '-o', many], input=MANY, text=True, check=True)
    r = lib.dyntrace('-qx', 'budget=5%', '-n', 'pid$target:a.out:many*:entry { @[probefunc] = count(); }', '-c', f'{many} {CALLS}')
    said = [line for line in r.stderr.splitlines() if 'sampled' in line]
    name = r'many:many\d:entry \((?:1 hit of )?\d+(?:, at most)?\)'
    assert len(said) == 1 and re.search(rf' {name}(?:, {name}){{3}} and 2 others were sampled', said[0]), r.stderr


def recording(exe):
    with tempfile.TemporaryDirectory() as folder:
        r = lib.dyntrace('record', '-x', 'budget=5%', '-x', 'bufsize=16m', '-o', f'{folder}/trace', '-c', f'{exe} {CALLS} {RARE}', 'hot:entry')
        assert ':hot:entry was sampled' in r.stderr and 'not all there' in r.stderr, r.stderr
        with open(f'{folder}/trace/metadata', encoding='utf-8') as f:
            meta = f.read()
        noted = re.search(r'^/\* sampled: 1 event of (\d+) at most: prog:hot:entry \*/$', meta, re.M)
        assert noted and 'budget_percent = 5;' in meta, meta[-500:]
        r = lib.dyntrace('dump', f'{folder}/trace')
        assert f'of prog:hot:entry there is 1 event of {noted.group(1)} at most' in r.stderr, r.stderr
        if shutil.which('babeltrace2'): # a comment is no event
            subprocess.run(['babeltrace2', f'{folder}/trace'], stdout=subprocess.DEVNULL, check=True, timeout=300 * lib.SLOW)
        r = lib.dyntrace('record', '-x', 'budget=5%', '-o', f'{folder}/rare', '-c', f'{exe} 50 5', 'rare:entry')
        with open(f'{folder}/rare/metadata', encoding='utf-8') as f:
            assert f.read().endswith('\n/* sampled: none */\n')
        assert 'budget' not in lib.dyntrace('dump', f'{folder}/rare').stderr


def killed():
    """Whoever records may be killed: the trace says that there was a budget."""
    with tempfile.TemporaryDirectory() as folder, subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as p:
        with subprocess.Popen([lib.DYNTRACE, 'record', '-x', 'budget=5%', '-o', f'{folder}/t', '-p', str(p.pid), 'read:entry']) as rec:
            lib.wait_for(lambda: os.path.exists(f'{folder}/t/dyntrace/ready'), 'the recording')
            rec.kill()
        said = lib.dyntrace('dump', f'{folder}/t').stderr
        p.stdin.close()
    assert 'recorded with -x budget=5%' in said, said


def short_of(said, share):
    """What is said of a budget that was not kept: how much it was, and of whom."""
    m = re.search(rf'-x budget={share}% was not kept: probes took some ([\d.]+)%', said)
    assert m, said
    places = re.findall(r'(\S+:\S+:\S+) took ([\d.]+)%', said)
    assert float(m[1]) > share and places and sum(float(p[1]) for p in places) < float(m[1]) + 1, said
    return float(m[1]), [p[0] for p in places]


def not_kept(exe):
    d = 'pid$target:a.out:tiny:entry { self->t = timestamp; } pid$target:a.out:tiny:return /self->t/ { @ = quantize(timestamp - self->t); }'
    taken, places = short_of(trace(exe, d, '-x', 'budget=1%', calls=CALLS // 10)[1], 1)
    assert set(places) == {'prog:tiny:entry', 'prog:tiny:return'}, places
    said = trace(exe, d, '-x', 'budget=1%', calls=CALLS // 10)[1]
    assert 'clauses that are not sampled' in said and 'without variables' in said, said
    m = re.search(r'or allow -x budget=(\d+)%', said)
    assert m is None or int(m[1]) > 1, said
    # Off, it takes more; with one thread and with several.
    for cnt in '1', '3':
        said = trace(exe, 'pid$target:a.out:tiny:entry { @ = count(); }', '-x', 'budget=1%', calls=CALLS // 2, more=[cnt])[1]
        taken, places = short_of(said, 1)
        assert places == ['prog:tiny:entry'] and 'by being hit at all' in said and 'fewer functions' in said, said
        assert taken < 100, said


def kept(exe):
    said = trace(exe, 'pid$target:a.out:slow:entry { @s[ustack(6)] = count(); }', '-x', 'budget=20%', calls=CALLS // 2)[1]
    assert 'not kept' not in said and 'took' not in said, said


def vain(exe):
    script = 'pid$target:a.out:hot:entry { self->t = 1; } BEGIN { printf("begins\\n"); }'
    said = trace(exe, script, '-x', 'budget=5%', calls=1000)[1]
    assert 'nothing can be sampled' in said and 'budget=5% is not kept' in said, said
    said = trace(exe, 'pid$target:a.out:hot:entry { @ = count(); }', '-x', 'budget=5%', calls=1000)[1]
    assert not said, said


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


def no_room():
    """The counters are 1 GiB of addresses more."""
    for limit in '--as=100000000', '--fsize=100000000':
        for opts in ('-x', 'budget=5%'), ():
            with subprocess.Popen(['prlimit', limit, 'cat'] if limit.startswith('--as') else ['cat'], stdin=subprocess.PIPE) as p:
                lib.wait_for(lambda p=p: any('libc' in m[4] for m in lib.maps(p.pid)), 'its library')
                cmd = [lib.DYNTRACE, *opts, '-n', 'pid$target:libc.so.6:read:entry { @ = count(); }', '-p', str(p.pid)]
                r = subprocess.run(['prlimit', limit, *cmd] if limit.startswith('--f') else cmd, capture_output=True, text=True,
                                   stdin=subprocess.DEVNULL, check=False, timeout=60 * lib.SLOW)
                p.stdin.close()
            assert r.returncode and 'a smaller bufsize or aggsize' in r.stderr, r.stderr
            assert ('without -x budget' in r.stderr) == bool(opts), r.stderr


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
        subprocess.run(['gcc', '-O2', '-pthread', '-o', exe, source], check=True)
        tap.run('hot ones are sampled and scaled, rare ones are all there', sampled, exe)
        tap.run('of several threads, too', threads, exe)
        tap.run('nor more or less than that in the mean', no_bias, exe)
        tap.run('clauses of one site have one weight', clauses, exe)
        tap.run('many places are one line', many_places, exe)
        tap.run('a recording says what it leaves out', recording, exe)
        tap.run('of a recording that was killed, too', killed)
        tap.run('how much it was is said where it was more', not_kept, exe)
        tap.run('and nothing where it was not', kept, exe)
        tap.run('that nothing can be sampled is said at once', vain, exe)
        tap.run('clauses that keep variables are not sampled', variables, exe)
        tap.run('clauses by which something is done are not sampled', acts, exe)
        tap.run('places that have no jump', refused_places)
        tap.run('no room for the counters', no_room)
        tap.run('without a budget nothing is', off, exe)
        tap.run('what cannot be is said', refused, exe)
    tap.done()


if __name__ == '__main__':
    main()
