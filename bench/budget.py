# SPDX-License-Identifier: MIT
"""-x budget=5%: how much slower a program becomes whose hot function is traced, and what is counted against the truth."""
import os
import re
import subprocess
import tempfile

from hits import Row

D = 'pid$target::work_slow:entry { @n = count(); @s[ustack(4)] = count(); } END { printa("%@d\\n", @n); }'


def run(b, argv, calls):
    """(ns of its processor time per call, what it printed besides)"""
    r = subprocess.run([b.plain, 'calls', str(calls)] if not argv else [*argv, '-c', f'{b.plain} calls {calls}'],
                       capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, check=False)
    m = re.search(r'^([\d.]+) ns a call$', r.stdout, re.M)
    if r.returncode or not m:
        raise RuntimeError((r.stderr or r.stdout).strip()[-300:])
    return float(m[1]), r.stderr


def slower(b, *opts):
    """(% slower, counted)"""
    calls = 3000000 if b.quick else 40000000
    if 'budget' not in b.bases:
        b.bases['budget'] = run(b, [], calls)[0]
    with tempfile.TemporaryDirectory(dir=b.work) as work:
        out = os.path.join(work, 'out')
        ns, _said = run(b, [b.dyn, '-q', *opts, '-n', D, '-o', out], calls)
        with open(out, encoding='utf-8') as f:
            counted = int(re.search(r'^\d+$', f.read(), re.M)[0])
    return (ns / b.bases['budget'] - 1) * 100, counted / calls


def within(b):
    more, part = slower(b, '-x', 'budget=5%')
    return {('budget', 'dyntrace'): more, ('budget-truth', 'dyntrace'): abs(part - 1) * 100}


def rows(b):
    yield Row('budget-none', 'a hot function with `@s[ustack(4)] = count()`, no budget', [('dyntrace', lambda: slower(b)[0])], unit='% slower')
    yield Row('budget', 'the same with `-x budget=5%`', [('dyntrace', lambda: within(b))], most=5, unit='% slower')
    yield Row('budget-truth', 'the same: what is counted differs from the truth', [('dyntrace', None)], most=5, unit='%')
