#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What arming costs, beside peers, in one run: see README.md here.

usage: arm.py BUILD [--rounds N] [--out FILE] [--fifo] [--only PART,...] [--no-peers]
"""
import argparse
import os
import platform
import re
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LIBRARIES = ('/usr/lib/x86_64-linux-gnu/libLLVM-14.so.1', '/usr/lib/llvm-14/lib/libLLVM-14.so.1')
LIMIT = 120


class Target:
    """A process with threads that wake up every millisecond and note how late they were."""

    def __init__(self, argv):
        self.proc = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self.proc.pid
        if not self.proc.stdout.readline().startswith('ready'):
            raise SystemExit(f'{argv[0]} did not start')

    def longest_ms(self):
        self.proc.stdin.write('\n')
        self.proc.stdin.flush()
        return int(self.proc.stdout.readline().split()[0]) / 1e6

    def resident_kib(self):
        with open(f'/proc/{self.pid}/smaps_rollup', encoding='ascii') as f:
            return int(re.search(r'^Rss:\s+(\d+)', f.read(), re.M)[1])

    def text_kib(self):
        """Pages of code that are its own by now: they were written to."""
        total, code = 0, False
        with open(f'/proc/{self.pid}/smaps', encoding='utf-8') as f:
            for line in f:
                m = re.match(r'[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ \S+\s*(.*)', line)
                if m:
                    code = m[1] == 'r-xp' and m[2].startswith('/')
                elif code and line.startswith('Private_Dirty:'):
                    total += int(line.split()[1])
        return total

    def end(self):
        self.proc.kill()
        self.proc.wait()
        self.proc.stdin.close()
        self.proc.stdout.close()


class Bench:
    def __init__(self, args, work):
        self.dyn = os.path.abspath(os.path.join(args.build, 'dyntrace'))
        self.prefix = ['chrt', '-f', '1'] if args.fifo else []
        self.work, self.rounds, self.peers = work, args.rounds, not args.no_peers
        os.environ['XDG_CACHE_HOME'] = work
        self.library = next((p for p in LIBRARIES if os.path.exists(p)), None)
        self.rows = []
        self.loader = os.path.join(work, 'loader')
        subprocess.run(['gcc', '-O2', '-pthread', '-o', self.loader, os.path.join(HERE, 'loader.c'), '-ldl'], check=True)

    def target(self, threads=4, library=True):
        return Target([*(['chrt', '-f', '2'] if self.prefix else []), self.loader, str(threads), *([self.library] if library else [])])

    def start(self, argv, **kw):
        return subprocess.Popen([*self.prefix, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **kw)

    def has(self, tool):
        return self.peers and shutil.which(tool)

    def median(self, what, values, unit):
        values = [v for v in values if v is not None]
        if not values:
            return None
        m = statistics.median(values)
        text = f'{m:.3g}' if m < 100 else f'{m:.0f}'
        self.rows.append((what, f'{text} {unit} ({min(values):.3g} to {max(values):.3g})'))
        print(f'{what}: {self.rows[-1][1]}', file=sys.stderr)
        return m

    def ratio(self, what, peer, ours):
        if peer and ours:
            self.rows.append((what, f'{peer / ours:.1f} times'))
            print(f'{what}: {peer / ours:.1f} times', file=sys.stderr)


def read_until(p, wanted, stream='stdout', limit=LIMIT):
    """Seconds until @wanted is in what @p writes; what it wrote."""
    begin, got = time.monotonic(), b''
    fd = getattr(p, stream).fileno()
    while time.monotonic() < begin + limit:
        if not select.select([fd], [], [], 1.0)[0]:
            continue
        block = os.read(fd, 65536)
        got += block
        if wanted in got:
            return time.monotonic() - begin, got
        if not block:
            break
    return None, got


def finish(p):
    """Seconds until it has ended after it was asked to."""
    begin = time.monotonic()
    p.send_signal(signal.SIGINT)
    try:
        p.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        p.kill()
        p.communicate()
        return None
    return time.monotonic() - begin


def armed(b, target, descs, clauses='{ @ = count(); }', more=()):
    """Arms @descs: seconds until it is done, how many; the tracer, still running."""
    script = ''.join(f'{d.replace("PID", str(target.pid))} ' + clauses for d in descs) + ' BEGIN { printf("armed\\n"); }'
    p = b.start([b.dyn, '-q', '-v', '-x', 'bufsize=64k', *more, '-p', str(target.pid), '-n', script])
    seconds, _ = read_until(p, b'armed')
    text = b''
    while seconds is not None and b'probes armed' not in text and select.select([p.stderr.fileno()], [], [], 1.0)[0]:
        block = os.read(p.stderr.fileno(), 65536)
        text += block
        if not block:
            break
    m = re.search(rb'probes armed at (\d+) places', text)
    return p, seconds, int(m[1]) if m else 0


def first_event(b):
    """One probe into a process that runs."""
    ours, theirs, stops = [], [], []
    for _ in range(b.rounds):
        t = b.target(library=False)
        time.sleep(0.2)
        t.longest_ms()
        p = b.start([b.dyn, '-q', '-p', str(t.pid), '-n', 'pid$target:loader:probed:entry { printf("hit\\n"); }'])
        ours.append(read_until(p, b'hit')[0])
        stops.append(t.longest_ms())
        finish(p)
        if b.has('bpftrace'):
            p = b.start(['bpftrace', '-p', str(t.pid), '-e', f'uprobe:{b.loader}:probed {{ printf("hit\\n"); }}'])
            theirs.append(read_until(p, b'hit')[0])
            finish(p)
        t.end()
    x = b.median('first event after the command, one probe', [v and v * 1e3 for v in ours], 'ms')
    y = b.median('the same, bpftrace', [v and v * 1e3 for v in theirs], 'ms')
    b.ratio('sooner than bpftrace', y, x)
    b.median('target stopped meanwhile at most, 4 threads', stops, 'ms')


def one_of_many(b):
    times = []
    for _ in range(b.rounds):
        t = b.target()
        time.sleep(0.2)
        p, seconds, _ = armed(b, t, ['pidPID:libLLVM*:LLVMContextCreate:entry'])
        times.append(seconds and seconds * 1e3)
        finish(p)
        t.end()
    b.median('one probe in libLLVM-14: armed after the command', times, 'ms')


def whole_library(b):
    named = ['pidPID:libLLVM*::entry']
    for what, descs in (('named functions', named), ('all functions', [*named, 'pidPID:libLLVM*:sub_*:entry'])):
        arm, disarm, stops, counts = [], [], [], 0
        for _ in range(b.rounds):
            t = b.target()
            time.sleep(0.3)
            t.longest_ms()
            rss, text = t.resident_kib(), t.text_kib()
            p, seconds, counts = armed(b, t, descs)
            arm.append(seconds)
            time.sleep(0.5)
            stops.append(t.longest_ms())
            resident, copied = t.resident_kib() - rss, t.text_kib() - text
            disarm.append(finish(p))
            t.end()
        b.median(f'libLLVM-14, {what} ({counts} places): armed after the command', arm, 's')
        b.median('target stopped meanwhile at most, 4 threads', stops, 'ms')
        b.median('disarmed', disarm, 's')
        b.rows.append(('resident memory more', f'{resident} KiB, of them {copied} KiB copied pages of code: '
                       f'{max(resident - copied, 0) * 1024 / max(counts, 1):.0f} bytes a probe besides'))
        print(b.rows[-1], file=sys.stderr)


def one_probe_memory(b):
    t = b.target()
    time.sleep(0.3)
    rss = t.resident_kib()
    p, _, _ = armed(b, t, ['pidPID:loader:probed:entry'])
    time.sleep(1)
    b.rows.append(('resident memory more with one probe, its rings included', f'{t.resident_kib() - rss} KiB'))
    finish(p)
    t.end()


def bpftrace_many(b):
    """Some hundred functions are what it arms in a bearable time."""
    if not b.has('bpftrace') or not b.library:
        return
    t = b.target()
    p = b.start(['bpftrace', '-p', str(t.pid), '-e',
                 f'uprobe:{b.library}:LLVMBuild* {{ @ = count(); }} BEGIN {{ printf("armed\\n"); }}'])
    # It says BEGIN before it attaches the rest: what it says last is how many.
    seconds, got = read_until(p, b'armed')
    off = finish(p)
    m = re.search(rb'Attaching (\d+) probes', got)
    t.end()
    t = b.target()
    q, ours, count = armed(b, t, ['pidPID:libLLVM*:LLVMBuild*:entry'])
    done = finish(q)
    t.end()
    if seconds and ours:
        b.rows.append((f'LLVMBuild* of libLLVM-14: bpftrace ({int(m[1]) - 1 if m else 0} probes), to end',
                       f'{seconds + off:.2f} s'))
        b.rows.append((f'the same, dyntrace ({count} places)', f'{ours + done:.2f} s'))


def symbols(b):
    ours, theirs = [], []
    t = b.target()
    for _ in range(b.rounds):
        for argv, into in (([b.dyn, 'list-symbols', str(t.pid)], ours), (['nm', '-D', b.library], theirs)):
            begin = time.monotonic()
            subprocess.run([*b.prefix, *argv], stdout=subprocess.DEVNULL, check=False)
            into.append((time.monotonic() - begin) * 1e3)
    t.end()
    x = b.median('list-symbols of a process that has loaded libLLVM-14', ours, 'ms')
    y = b.median('nm -D of libLLVM-14', theirs, 'ms')
    b.ratio('as long as nm', x, y)


def curve(b, what, unit, points):
    """@points: (n, seconds)."""
    cells = ', '.join(f'{n}: {s * 1e3:.0f}' for n, s in points if s is not None)
    b.rows.append((f'ms to arm against the number of {what}', cells))
    print(b.rows[-1], file=sys.stderr)
    known = [(n, s) for n, s in points if s is not None]
    if len(known) > 2:
        (n0, s0), (n1, s1) = known[0], known[-1]
        b.rows.append((f'each {unit} more', f'{(s1 - s0) / (n1 - n0) * 1e6:.1f} us'))


def measure_one(b, descs, threads=4, clauses='{ @ = count(); }', more=()):
    t = b.target(threads)
    time.sleep(0.2)
    p, seconds, count = armed(b, t, descs, clauses, more)
    finish(p)
    t.end()
    return count, seconds


def scale_probes(b):
    points = [measure_one(b, [d]) for d in ('pidPID:libLLVM*:LLVMContextCreate:entry', 'pidPID:libLLVM*:LLVMBuild*:entry',
                                            'pidPID:libLLVM*:LLVM*:entry', 'pidPID:libLLVM*:_ZN4llvm1*:entry')]
    points.append(measure_one(b, ['pidPID:libLLVM*::entry']))
    points.append(measure_one(b, ['pidPID:libLLVM*::entry', 'pidPID:libLLVM*::return']))
    points.append(measure_one(b, ['pidPID:libLLVM*::entry', 'pidPID:libLLVM*:sub_*:entry', 'pidPID:libLLVM*::return']))
    curve(b, 'places', 'place', sorted(points))


def scale_clauses(b):
    curve(b, 'clauses at one place', 'clause',
          [(n, measure_one(b, ['pidPID:loader:probed:entry'] * n)[1]) for n in (1, 3, 10, 30, 100)])


def scale_threads(b):
    curve(b, 'threads', 'thread',
          [(n, measure_one(b, ['pidPID:loader:probed:entry'], threads=n)[1]) for n in (1, 10, 50, 100, 200, 500)])


def scale_processes(b):
    points = []
    for n in (1, 5, 20, 60, 200):
        targets = [b.target(0, False) for _ in range(n)]
        time.sleep(0.2)
        argv = [x for t in targets for x in ('-p', str(t.pid))]
        probes = ', '.join(f'pid{t.pid}:loader:probed:entry' for t in targets)
        p = b.start([b.dyn, '-q', '-x', 'bufsize=64k', *argv, '-n', probes + ' { @ = count(); } BEGIN { printf("armed\\n"); }'])
        points.append((n, read_until(p, b'armed')[0]))
        finish(p)
        for t in targets:
            t.end()
    curve(b, 'processes', 'process', points)


PARTS = {'first': first_event, 'one': one_of_many, 'memory': one_probe_memory, 'library': whole_library, 'peer': bpftrace_many,
         'symbols': symbols, 'probes': scale_probes, 'clauses': scale_clauses, 'threads': scale_threads,
         'processes': scale_processes}


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument('build')
    ap.add_argument('--rounds', type=int, default=5)
    ap.add_argument('--out', default=os.path.join(HERE, 'results', 'arm.md'))
    ap.add_argument('--fifo', action='store_true', help='at real-time priority: on a machine that has other work')
    ap.add_argument('--only', help='some of: ' + ', '.join(PARTS))
    ap.add_argument('--no-peers', action='store_true')
    args = ap.parse_args()
    with tempfile.TemporaryDirectory() as work:
        b = Bench(args, work)
        if not b.library:
            raise SystemExit('libLLVM-14 is not installed (package libllvm14)')
        for part in (args.only.split(',') if args.only else PARTS):
            PARTS[part](b)
    text = f'Median (lowest to highest) of {args.rounds} rounds, one run; Linux {platform.release()}, {os.cpu_count()} processors' + \
           (', at real-time priority beside other work' if args.fifo else '') + '\n\n| what | |\n| --- | --- |\n' + \
           ''.join(f'| {a} | {v} |\n' for a, v in b.rows)
    print(text)
    if not args.only:
        with open(args.out, 'w', encoding='utf-8') as f:
            f.write(text)


if __name__ == '__main__':
    main()
