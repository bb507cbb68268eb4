# SPDX-License-Identifier: MIT
"""What a hit costs and what memory is taken as things become many: threads, clauses, keys, processes."""
import math
import os
import subprocess
import time

import arm
import drive
from hits import ENTRY

COUNT = ENTRY + ' { @ = count(); }'


def wait_armed(path, p, limit=120):
    """ms until BEGIN's line is in the tool's output: all probes stand."""
    begin = time.monotonic()
    while time.monotonic() < begin + limit and p.runs():
        if os.path.getsize(path):
            return (time.monotonic() - begin) * 1e3
        time.sleep(0.002)
    return None


def traced(b, t, argv):
    """(ns a hit, KiB that the target grew by, KiB of the tool, ms until it was armed), or None."""
    base, before = t.sample(b.seconds), drive.rss_kib(t.pid)
    path = os.path.join(b.work, 'scale.out')
    with open(path, 'wb') as out:
        p = drive.Tracer([a.replace('PID', str(t.pid)) for a in argv], out=out)
    try:
        ms = wait_armed(path, p)
        t.sample(b.seconds / 2)
        cost = t.sample(b.seconds) - base
        found = (cost, drive.rss_kib(t.pid) - before, drive.rss_kib(p.pid), ms) if ms and p.runs() else None
    finally:
        said = p.end()
    if not found:
        raise RuntimeError(said.strip()[-200:] or 'it was not armed')
    return found


def one(b, kind, argv, env=None):
    t = drive.Target([b.plain, *kind], env=env)
    try:
        time.sleep(0.3)
        return traced(b, t, argv)
    finally:
        t.end()


def tool(b, d, *opts):
    return [b.dyn, '-q', *opts, '-n', d + ' BEGIN { printf("armed\\n"); }', '-p', 'PID']


def threads(b, n):
    return one(b, ['threads', str(n), '1000000'], tool(b, COUNT, '-x', 'threads=1024'))


def clauses(b, n):
    return one(b, ['plain'], tool(b, ' '.join(f'{ENTRY} {{ @a{i} = count(); }}' for i in range(n))))


def keys(b, n):
    size = max(4, n // 8192)
    return one(b, ['keys', str(n)], tool(b, ENTRY + ' { @[arg0] = count(); }', '-x', f'aggsize={size}m'))


# The hot probe, and so many in libLLVM-14 that are not hit: about 100, 1,300, 8,500, 34,000, 77,000, 140,000.
MANY = [[], ['LLVMBuild*:entry'], ['LLVM*:entry'], ['_ZN4llvm1*:entry'], [':entry'], [':entry', ':return'],
        [':entry', 'sub_*:entry', ':return']]
PLACES = [1, 112, 1305, 8502, 33851, 77033, 138178]


def probes(b, n):
    if not arm.LIBRARY:
        return None
    many = ''.join(f' pid$target:libLLVM*:{d} {{ @ = count(); }}' for d in MANY[PLACES.index(n)])
    return one(b, ['plain'], tool(b, COUNT + many, '-x', 'bufsize=64k'), dict(os.environ, LD_PRELOAD=arm.LIBRARY) if n > 1 else None)


def processes(b, n):
    """One that is hot, the others wait, all armed."""
    idle = [subprocess.Popen([b.plain, 'rate', '1', '1'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) for _ in range(n - 1)]
    t = drive.Target([b.plain])
    try:
        time.sleep(0.3)
        more = [w for p in idle for w in ('-p', str(p.pid))]
        return traced(b, t, tool(b, COUNT) + more)
    finally:
        t.end()
        for p in idle:
            p.kill()
            p.communicate()


CURVES = [
    ('probes', probes, PLACES),
    ('threads', threads, (1, 3, 10, 30, 100, 250, 500)),
    ('clauses at one site', clauses, (1, 3, 10, 30, 100)),
    ('keys in an aggregation', keys, (1, 10, 100, 1000, 10000, 100000, 1000000)),
    ('processes', processes, (1, 3, 10, 30, 100, 200)),
]


def points(b):
    """What there is to measure: (curve, n, function)."""
    for name, fn, ns in CURVES:
        for n in ns[::3] if b.quick else ns:
            yield name, n, lambda fn=fn, n=n: fn(b, n)


def growth(points, column):
    """The steepest rise from the first point to a later one, as a power of n: 1 is linear.  Below @least it is noise."""
    least = (0.5, 512, 512, 5)[column]
    first = points[0]
    return max((math.log(max(p[column + 1], least) / max(first[column + 1], least)) / math.log(p[0] / first[0]) for p in points[1:]),
               default=0.0)


LINES = [('ns a hit', 1), ('target, MiB more', 1024), ('tool, MiB', 1024), ('armed after, ms', 1)]


def number(x):
    return f'{x:.1f}' if abs(x) < 100 else f'{x:,.0f}'


def text(curves):
    out = ['## Scale', '', 'Against the number of things: ns of a hit over the untraced call; what the target\'s resident memory grew by, '
           'and the tool\'s own; ms from the tool\'s start until all probes stand. The power of n is that of the steepest rise from the '
           'first point: 1 is linear.', '']
    for name, points in curves.items():
        out += [f'| {name} | ' + ' | '.join(f'{p[0]:,}' for p in points) + ' | power of n | no worse than linear |',
                '| --- |' + ' --: |' * len(points) + ' --: | --- |']
        for i, (what, unit) in enumerate(LINES):
            g = growth(points, i)
            out.append(f'| {what} | ' + ' | '.join(number(p[i + 1] / unit) for p in points) +
                       f' | {g:.2f} | {"yes" if g <= 1.05 else "**no**"} |')
        out.append('')
    return '\n'.join(out)


WIDE, HIGH, LEFT, TOP = 260, 150, 40, 24


def ticks(lo, hi):
    return [10.0 ** k for k in range(round(math.log10(lo)), round(math.log10(hi)) + 1)]


def panel(x0, y0, title, points, least):
    """@points: (n, value).  Both axes logarithmic; the dashed line is linear growth from the first point."""
    points = [(n, max(v, least)) for n, v in points]
    lo, hi = min(v for _n, v in points), max(v for _n, v in points)
    lo, hi = 10 ** math.floor(math.log10(lo)), 10 ** math.ceil(math.log10(hi) + 1e-9)
    span = math.log10(points[-1][0] / points[0][0]) or 1

    def at(p):
        x = x0 + LEFT + math.log10(p[0] / points[0][0]) / span * (WIDE - LEFT - 20)
        return x, y0 + TOP + HIGH - math.log10(p[1] / lo) / math.log10(hi / lo) * HIGH
    yield f'<text x="{x0 + LEFT}" y="{y0 + 14}">{title}</text>'
    yield f'<path d="M{x0 + LEFT} {y0 + TOP}V{y0 + TOP + HIGH}H{x0 + WIDE - 10}" fill="none" stroke="#888"/>'
    for v in ticks(lo, hi):
        y = at((points[0][0], v))[1]
        yield f'<path d="M{x0 + LEFT} {y:.1f}H{x0 + WIDE - 10}" stroke="#ddd"/>'
        yield f'<text x="{x0 + LEFT - 4}" y="{y + 4:.1f}" text-anchor="end">{v:,g}</text>'
    most = min(points[-1][0] / points[0][0], hi / points[0][1])
    far = at((points[0][0] * most, points[0][1] * most))
    yield f'<path d="M{at(points[0])[0]:.1f} {at(points[0])[1]:.1f}L{far[0]:.1f} {far[1]:.1f}" stroke="#bbb" stroke-dasharray="4 3"/>'
    yield f'<polyline fill="none" stroke="#06c" stroke-width="2" points="{" ".join("%.1f,%.1f" % at(p) for p in points)}"/>'
    for p in points:
        yield f'<circle cx="{at(p)[0]:.1f}" cy="{at(p)[1]:.1f}" r="2.5" fill="#06c"/>'
    for p in (points[0], points[-1]):
        yield f'<text x="{at(p)[0]:.1f}" y="{y0 + TOP + HIGH + 14}" text-anchor="middle">{p[0]:,}</text>'


SHOWN = [(1, 'ns a hit', 1, 0.1), (2, 'target, MiB more', 1024, 0.1), (4, 'ms until armed', 1, 1)]


def svg(curves):
    row = TOP + HIGH + 34
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDE * len(curves)}" height="{row * len(SHOWN)}" font-family="sans-serif" '
           'font-size="11">', '<rect width="100%" height="100%" fill="#fff"/>']
    for j, (column, what, unit, least) in enumerate(SHOWN):
        for i, (name, points) in enumerate(curves.items()):
            out += list(panel(i * WIDE, j * row, f'{name}: {what}', [(p[0], p[column] / unit) for p in points], least))
    return '\n'.join(out + ['</svg>', ''])
