#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Probes of the kernel beside bpftrace, in one run: what a hit costs, and how long the start takes.  See README.md here.

usage: kernel.py BUILD [--rounds N] [--out FILE]
"""
import argparse
import glob
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import bench

STATS = '/proc/sys/kernel/bpf_stats_enabled'
# bpftrace wants tracefs to be mounted: in a mount namespace of its own, nothing is left behind.
TRACEFS = ['unshare', '-m', 'sh', '-c', 'test -e /sys/kernel/tracing/events || mount -t tracefs none /sys/kernel/tracing; exec "$@"', 'sh']


def ours(dyn, d):
    return [dyn, '-q', '-o', '/dev/null', '-n', d]


def theirs(d):
    return TRACEFS + ['bpftrace', '-o', '/dev/null', '-e', d]


def rows(dyn):
    yield ('raw_syscalls: count by execname', ours(dyn, 'rawtp:raw_syscalls::sys_enter { @[execname] = count(); }'),
           theirs('tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }'))
    yield ('all system calls: count by execname', ours(dyn, 'syscall:::entry { @[execname] = count(); }'),
           theirs('tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }'))
    yield ('sizes of read as a histogram', ours(dyn, 'syscall::read:entry { @[execname] = quantize(arg2); }'),
           theirs('tracepoint:syscalls:sys_enter_read { @[comm] = hist(args->count); }'))
    yield ('profile at 997 Hz with both stacks', ours(dyn, 'profile-997 { @[execname, stack(), ustack()] = count(); }'),
           theirs('profile:hz:997 { @[comm, kstack, ustack] = count(); }'))


def children(pid):
    found = [pid]
    for path in glob.glob(f'/proc/{pid}/task/*/children'):
        with open(path, encoding='ascii') as f:
            for child in f.read().split():
                found += children(int(child))
    return found


def run_stats(pid):
    """{program: (ns, hits)} of all that the process and its children hold, as the kernel counts."""
    found = {}
    for path in [p for c in children(pid) for p in glob.glob(f'/proc/{c}/fdinfo/*')]:
        try:
            with open(path, encoding='ascii') as f:
                text = f.read()
        except OSError:
            continue
        v = dict(re.findall(r'^(prog_id|run_time_ns|run_cnt):\s*(\d+)', text, re.M))
        if 'run_cnt' in v:
            found[v['prog_id']] = (int(v['run_time_ns']), int(v['run_cnt']))
    return found


def end(p):
    for number in (signal.SIGINT, signal.SIGKILL):
        for c in children(p.pid):
            os.kill(c, number)
        try:
            p.wait(15)
            return
        except subprocess.TimeoutExpired:
            pass


def measure(target, argv, seconds, settle):
    """ns in the program per hit; ns more per call of the loop."""
    t = bench.Target([target])
    time.sleep(0.5)
    base = t.sample(seconds)
    p = bench.tracer(argv)
    try:
        time.sleep(settle)
        if p.poll() is not None:
            return None
        before = run_stats(p.pid)
        more = t.sample(seconds) - base
        after = run_stats(p.pid)
    finally:
        end(p)
        t.end()
    ns = sum(after[k][0] - before[k][0] for k in after if k in before)
    hits = sum(after[k][1] - before[k][1] for k in after if k in before)
    return (ns / hits, more) if hits else None


def start_time(argv, ends):
    """Seconds of a run that ends as soon as it is armed."""
    argv = argv[:-1] + [ends + ' ' + argv[-1]]
    start = time.monotonic()
    subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=120, check=False)
    return time.monotonic() - start


def stats_enable(on):
    with open(STATS, 'w', encoding='ascii') as f:
        f.write('1' if on else '0')


def collect(target, dyn, args, got):
    for n in range(args.rounds):
        for what, a, b in rows(dyn):
            for who, argv, settle, ends in (('dyntrace', a, 1.0, 'BEGIN { exit(0); }'), ('bpftrace', b, 3.0, 'BEGIN { exit(); }')):
                print(f'round {n + 1} of {args.rounds}: {what}: {who}      ', end='\r', file=sys.stderr, flush=True)
                cost = measure(target, argv, args.seconds, settle)
                got.setdefault((what, who, 'start'), []).append(start_time(argv, ends))
                if cost:
                    got.setdefault((what, who, 'hit'), []).append(cost[0])
                    got.setdefault((what, who, 'call'), []).append(cost[1])


def table(got, args):
    yield (f'median (lowest to highest) of {args.rounds} rounds, one run; Linux {platform.release()}; times is bpftrace '
           'divided by dyntrace')
    yield ''
    yield '| what | measure | dyntrace | bpftrace | times |'
    yield '| --- | --- | --- | --- | --- |'
    kinds = (('hit', 'ns in the program per hit', 1), ('call', 'ns more per call', 1), ('start', 'ms to start and end', 1000))
    for what in dict.fromkeys(k[0] for k in got):
        for kind, name, scale in kinds:
            if kind == 'call' and what.startswith('profile'):
                continue
            v = [[x * scale for x in got.get((what, who, kind), [])] for who in ('dyntrace', 'bpftrace')]
            if v[0] and v[1]:
                text = [f'{statistics.median(x):.0f} ({min(x):.0f} to {max(x):.0f})' for x in v]
                yield f'| {what} | {name} | {text[0]} | {text[1]} | {statistics.median(v[1]) / statistics.median(v[0]):.2f} |'


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument('build')
    ap.add_argument('--rounds', type=int, default=5)
    ap.add_argument('--seconds', type=float, default=1.0)
    ap.add_argument('--out', default=os.path.join(bench.HERE, 'results', 'kernel.md'))
    args = ap.parse_args()
    if os.geteuid() or not shutil.which('bpftrace') or not os.path.exists(STATS):
        print('kernel.py: needs root, bpftrace and a kernel with BPF', file=sys.stderr)
        return 0
    got = {}
    stats_enable(True)
    try:
        with tempfile.TemporaryDirectory() as work:
            target = os.path.join(work, 'reads')
            subprocess.run(['gcc', '-O2', '-o', target, os.path.join(bench.HERE, 'reads.c')], check=True)
            collect(target, os.path.abspath(os.path.join(args.build, 'dyntrace')), args, got)
    finally:
        stats_enable(False)
    print(' ' * 78, end='\r', file=sys.stderr)
    text = '\n'.join(table(got, args)) + '\n'
    print(text)
    with open(args.out, 'w', encoding='utf-8') as f:
        f.write(text)
    return 0


if __name__ == '__main__':
    sys.exit(main())
