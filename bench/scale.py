# SPDX-License-Identifier: MIT
"""What a hit costs and what memory is taken as things become many: threads, clauses, keys, processes."""
import math
import os
import statistics
import subprocess
import time

import drive
from hits import ENTRY

COUNT = ENTRY + ' { @ = count(); }'


def traced(b, t, argv, settle=1.0):
    """(ns a hit, KiB that the target grew by, KiB of the tool), or None."""
    base, before = t.sample(b.seconds), drive.rss_kib(t.pid)
    p = drive.Tracer([a.replace('PID', str(t.pid)) for a in argv])
    try:
        time.sleep(settle)
        t.sample(b.seconds / 2)
        if not p.runs():
            return None
        cost = t.sample(b.seconds) - base
        return cost, drive.rss_kib(t.pid) - before, drive.rss_kib(p.pid)
    finally:
        p.end()


def one(b, kind, argv, settle=1.0):
    t = drive.Target([b.plain, *kind])
    try:
        time.sleep(0.3)
        return traced(b, t, argv, settle)
    finally:
        t.end()


def tool(b, d, *opts):
    return [b.dyn, '-q', *opts, '-n', d, '-p', 'PID', '-o', '/dev/null']


def threads(b, n):
    return one(b, ['threads', str(n), '1000000'], tool(b, COUNT, '-x', 'threads=1024'))


def clauses(b, n):
    return one(b, ['plain'], tool(b, ' '.join(f'{ENTRY} {{ @a{i} = count(); }}' for i in range(n))))


def keys(b, n):
    size = max(4, n // 8192)
    return one(b, ['keys', str(n)], tool(b, ENTRY + ' { @[arg0] = count(); }', '-x', f'aggsize={size}m'), 2.0)


def processes(b, n):
    """One that is hot, the others wait, all armed."""
    idle = [subprocess.Popen([b.plain, 'rate', '1', '1'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) for _ in range(n - 1)]
    t = drive.Target([b.plain])
    try:
        time.sleep(0.5)
        pids = [str(t.pid)] + [str(p.pid) for p in idle]
        argv = [b.dyn, '-q', '-n', COUNT, '-o', '/dev/null'] + [w for p in pids for w in ('-p', p)]
        return traced(b, t, argv, 1.0 + n / 40)
    finally:
        t.end()
        for p in idle:
            p.kill()
            p.communicate()


CURVES = [
    ('threads', threads, (1, 3, 10, 30, 100, 250, 500)),
    ('clauses at one site', clauses, (1, 3, 10, 30, 100)),
    ('keys in an aggregation', keys, (1, 10, 100, 1000, 10000, 100000, 1000000)),
    ('processes', processes, (1, 3, 10, 30, 100, 200)),
]


def measure(b):
    """{curve: [(n, ns, KiB of the target, KiB of the tool)]}"""
    found = {}
    for name, fn, points in CURVES:
        for n in points[::3] if b.quick else points:
            drive.say(f'{name}: {n}')
            runs = [r for r in (fn(b, n) for _ in range(1 if b.quick else 3)) if r and r[0] == r[0]]
            if runs:
                found.setdefault(name, []).append((n, *(statistics.median(r[i] for r in runs) for i in range(3))))
    return found


def growth(points):
    """The steepest rise of the cost, as a power of n: 1 is linear."""
    steps = [(math.log(max(b[1], 0.1) / max(a[1], 0.1)) / math.log(b[0] / a[0])) for a, b in zip(points, points[1:])]
    return max(steps, default=0.0)


def text(curves):
    out = ['## Scale', '', 'ns of a hit over the untraced call; what the target\'s resident memory grew by, and the tool\'s own.', '']
    for name, points in curves.items():
        out += [f'| {name} | ' + ' | '.join(f'{p[0]:,}' for p in points) + ' |', '| --- |' + ' --- |' * len(points),
                '| ns a hit | ' + ' | '.join(f'{p[1]:.1f}' for p in points) + ' |',
                '| target, MiB | ' + ' | '.join(f'{p[2] / 1024:.1f}' for p in points) + ' |',
                '| tool, MiB | ' + ' | '.join(f'{p[3] / 1024:.1f}' for p in points) + ' |', '',
                f'Steepest step: n to the {growth(points):.2f} (no worse than linear: {"yes" if growth(points) <= 1 else "**no**"}).', '']
    return '\n'.join(out)


WIDE, HIGH, LEFT, TOP = 260, 150, 40, 24


def panel(x0, name, points):
    """Both axes logarithmic."""
    lo, hi = [f(max(p[1], 0.1) for p in points) for f in (min, max)]
    lo, hi = 10 ** math.floor(math.log10(lo)), 10 ** math.ceil(math.log10(hi) + 1e-9)
    span = math.log10(points[-1][0] / points[0][0]) or 1

    def at(p):
        x = x0 + LEFT + math.log10(p[0] / points[0][0]) / span * (WIDE - LEFT - 20)
        y = TOP + HIGH - math.log10(max(p[1], 0.1) / lo) / (math.log10(hi / lo) or 1) * HIGH
        return x, y
    yield f'<text x="{x0 + LEFT}" y="14">{name}: ns a hit</text>'
    yield f'<path d="M{x0 + LEFT} {TOP}V{TOP + HIGH}H{x0 + WIDE - 10}" fill="none" stroke="#888"/>'
    for v, y in ((hi, TOP), (lo, TOP + HIGH)):
        yield f'<text x="{x0 + LEFT - 4}" y="{y + 4}" text-anchor="end">{v:g}</text>'
    yield f'<polyline fill="none" stroke="#06c" stroke-width="2" points="{" ".join("%.1f,%.1f" % at(p) for p in points)}"/>'
    for p in (points[0], points[-1]):
        yield f'<text x="{at(p)[0]:.1f}" y="{TOP + HIGH + 14}" text-anchor="middle">{p[0]:,}</text>'


def svg(curves):
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDE * len(curves)}" height="{TOP + HIGH + 24}" font-family="sans-serif" '
           'font-size="11">', '<rect width="100%" height="100%" fill="#fff"/>']
    for i, (name, points) in enumerate(curves.items()):
        out += list(panel(i * WIDE, name, points))
    return '\n'.join(out + ['</svg>', ''])


def keep(curves):
    for name, content in (('scale.md', text(curves)), ('scale.svg', svg(curves))):
        with open(os.path.join(drive.HERE, 'results', name), 'w', encoding='utf-8') as f:
            f.write(content)
