# SPDX-License-Identifier: MIT
"""-x budget=5%: how much slower a program becomes whose hot function is traced, and what is counted against the truth.

Two processes on one processor do the same in turn, a slice of some two milliseconds each: one is traced, the other is not.  In one
process with both, the traced half might be twice as much slower, since the share is of all of a process's time."""
import os
import re
import subprocess
import tempfile

from hits import Row

D = 'pid$target::work_slow:entry { @n = count(); @s[ustack(4)] = count(); } END { printa("%@d\\n", @n); }'
SLICE_CALLS = 30000 # as in target.c


def run(b, opts, slices, work):
    """(ns per call in each slice: of the traced process, of the other; counted)"""
    turn, out = os.path.join(work, 'turn'), os.path.join(work, 'out')
    with open(turn, 'wb') as f:
        f.write(bytes(4))
    with subprocess.Popen([b.plain, 'turns', turn, '1', str(slices)], stdout=subprocess.PIPE, text=True) as other:
        try:
            r = subprocess.run([b.dyn, '-q', *opts, '-n', D, '-o', out, '-c', f'{b.plain} turns {turn} 0 {slices}'],
                               capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, check=False)
            traced = [float(v) for v in r.stdout.split()]
            if r.returncode or len(traced) != slices:
                raise RuntimeError((r.stderr or r.stdout).strip()[-300:])
            plain = [float(v) for v in other.communicate(timeout=60)[0].split()]
        finally:
            other.kill()
    with open(out, encoding='utf-8') as f:
        return traced, plain, int(re.search(r'^\d+$', f.read(), re.M)[0])


def slower(b, *opts):
    """(% slower, by which part what was counted is off)"""
    slices = 100 if b.quick else 1300
    with tempfile.TemporaryDirectory(dir=b.work) as work:
        traced, plain, counted = run(b, opts, slices, work)
    return (sum(traced) / sum(plain) - 1) * 100, abs(counted / (slices * SLICE_CALLS) - 1)


def within(b):
    more, off = slower(b, '-x', 'budget=5%')
    return {('budget', 'dyntrace'): more, ('budget-truth', 'dyntrace'): off * 100}


def rows(b):
    yield Row('budget-none', 'a hot function with `@s[ustack(4)] = count()`, no budget', [('dyntrace', lambda: slower(b)[0])], unit='% slower')
    yield Row('budget', 'the same with `-x budget=5%`', [('dyntrace', lambda: within(b))], most=5, unit='% slower', often=True)
    yield Row('budget-truth', 'the same: what is counted differs from the truth', [('dyntrace', None)], most=5, unit='%')
