#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The cost of a hit, beside peers, in one run: see README.md here.

usage: bench.py BUILD [--rounds N] [--out FILE]
"""
import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))


class Target:
    """The hot loop, pinned to one processor; collects its ns per call."""

    def __init__(self, argv):
        self.values = []
        self.proc = subprocess.Popen(['taskset', '-c', '0', *argv], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.proc.stdout:
            try:
                self.values.append(float(line))
            except ValueError:
                pass

    def sample(self, seconds):
        first = len(self.values) + 1
        time.sleep(seconds)
        got = self.values[first:]
        return statistics.median(got) if got else float('nan')

    def end(self):
        self.proc.kill()
        self.proc.wait()


def tracer(argv):
    return subprocess.Popen(['taskset', '-c', '1', *argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)


def attached_cost(target, argv, seconds, settle):
    """ns per call more while the tracer @argv runs, against the same process just before; and whether it ran."""
    t = Target([target])
    try:
        time.sleep(0.5)
        base = t.sample(seconds)
        p = tracer([a.replace('PID', str(t.proc.pid)) for a in argv])
        time.sleep(settle)
        if p.poll() is not None:
            return None
        cost = t.sample(seconds) - base
        p.send_signal(2)
        try:
            p.wait(60)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
        return cost
    finally:
        t.end()


def started_cost(plain, argv, seconds):
    """ns per call more under a tracer that has to start the program."""
    t = Target([plain])
    base = t.sample(seconds)
    t.end()
    with tempfile.TemporaryDirectory() as work:
        out = os.path.join(work, 'values')
        with open(out, 'w', encoding='ascii') as f:
            subprocess.run(['taskset', '-c', '0', *[a.replace('DIR', work) for a in argv]], stdout=f,
                           stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=False, timeout=120)
        with open(out, encoding='ascii') as f:
            values = [float(l) for l in f.read().split() if l.replace('.', '').isdigit()]
    return statistics.median(values[1:]) - base if len(values) > 2 else None


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument('build')
    ap.add_argument('--rounds', type=int, default=5)
    ap.add_argument('--seconds', type=float, default=1.0)
    ap.add_argument('--out', default=os.path.join(HERE, 'results', 'hit.md'))
    args = ap.parse_args()
    dyn = os.path.abspath(os.path.join(args.build, 'dyntrace'))
    with tempfile.TemporaryDirectory() as work:
        plain, pg = os.path.join(work, 'target'), os.path.join(work, 'target-pg')
        src = os.path.join(HERE, 'target.c')
        subprocess.run(['gcc', '-O2', '-o', plain, src], check=True)
        subprocess.run(['gcc', '-O2', '-pg', '-mfentry', '-o', pg, src], check=True)

        def ours(d):
            return lambda: attached_cost(plain, [dyn, '-q', '-x', 'bufsize=16m', '-n', d, '-p', 'PID', '-o', '/dev/null'], args.seconds, 1.0)

        def bpf(d):
            return lambda: attached_cost(plain, ['bpftrace', '-e', d, '-p', 'PID'], args.seconds, 3.0)

        def uft(*extra):
            return lambda: started_cost(plain, ['uftrace', 'record', '-d', 'DIR/data', *extra, pg, '8'], args.seconds)

        rows = [
            ('count on entry', 'dyntrace', ours('pid$target::work:entry { @ = count(); }')),
            ('count on entry', 'bpftrace uprobe', bpf(f'uprobe:{plain}:work {{ @ = count(); }}')),
            ('record: time and two arguments', 'dyntrace',
             ours('pid$target::work:entry { printf("%d %d %d\\n", timestamp, arg0, arg1); }')),
            ('record: time and two arguments', 'bpftrace uprobe',
             bpf(f'uprobe:{plain}:work {{ printf("%ld %ld %ld\\n", nsecs, arg0, arg1); }}')),
            ('entry and return recorded', 'dyntrace',
             ours('pid$target::work:entry { trace(timestamp); } pid$target::work:return { trace(timestamp); }')),
            ('entry and return recorded', 'uftrace, recompiled', uft()),
            ('entry to return as a histogram', 'dyntrace',
             ours('pid$target::work:entry { self->t = timestamp; } '
                  'pid$target::work:return /self->t/ { @ = quantize(timestamp - self->t); self->t = 0; }')),
            ('entry to return as a histogram', 'bpftrace uprobe',
             bpf(f'uprobe:{plain}:work {{ @s[tid] = nsecs; }} uretprobe:{plain}:work /@s[tid]/ '
                 '{ @ = hist(nsecs - @s[tid]); delete(@s[tid]); }')),
        ]
        costs = {}
        for n in range(args.rounds):
            for what, who, measure in rows:
                if not shutil.which(who.split()[0].rstrip(',')) and who != 'dyntrace':
                    continue
                print(f'round {n + 1} of {args.rounds}: {what}: {who}      ', end='\r', file=sys.stderr, flush=True)
                cost = measure()
                if cost is not None and cost == cost: # not NaN: a moment in which the target was not run at all
                    costs.setdefault((what, who), []).append(cost)
    print(' ' * 78, end='\r', file=sys.stderr)
    lines = [f'ns per hit over the untraced call; median (lowest to highest) of {args.rounds} rounds, one run; '
             f'Linux {platform.release()}', '', '| what | who | ns | times dyntrace |', '| --- | --- | --- | --- |']
    for (what, who), v in costs.items():
        own = statistics.median(costs[(what, 'dyntrace')]) if (what, 'dyntrace') in costs else None
        m = statistics.median(v)
        ratio = f'{m / own:.1f}' if own and own > 0 and who != 'dyntrace' else ''
        lines.append(f'| {what} | {who} | {m:.1f} ({min(v):.1f} to {max(v):.1f}) | {ratio} |')
    text = '\n'.join(lines) + '\n'
    print(text)
    os.makedirs(os.path.dirname(args.out), exist_ok=True)
    with open(args.out, 'w', encoding='utf-8') as f:
        f.write(text)


if __name__ == '__main__':
    main()
