# SPDX-License-Identifier: MIT
"""Probes of the kernel beside bpftrace: what a hit costs, and how long the start takes.  See README.md here."""
import os
import re
import shutil
import subprocess
import time

import drive
import peers
from hits import Row

STATS = '/proc/sys/kernel/bpf_stats_enabled'


def ours(dyn, d):
    return [dyn, '-q', '-o', '/dev/null', '-n', d]


def theirs(d):
    return peers.TRACEFS + ['bpftrace', '-o', '/dev/null', '-e', d]


def scripts(dyn):
    yield ('raw', 'raw_syscalls: count by execname', ours(dyn, 'rawtp:raw_syscalls::sys_enter { @[execname] = count(); }'),
           theirs('tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }'))
    yield ('syscalls', 'all system calls: count by execname', ours(dyn, 'syscall:::entry { @[execname] = count(); }'),
           theirs('tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }'))
    yield ('sizes', 'sizes of read as a histogram', ours(dyn, 'syscall::read:entry { @[execname] = quantize(arg2); }'),
           theirs('tracepoint:syscalls:sys_enter_read { @[comm] = hist(args->count); }'))
    yield ('profile', 'profile at 997 Hz with both stacks', ours(dyn, 'profile-997 { @[execname, stack(), ustack()] = count(); }'),
           theirs('profile:hz:997 { @[comm, kstack, ustack] = count(); }'))


def infos(pid):
    try:
        return [f'/proc/{pid}/fdinfo/{n}' for n in os.listdir(f'/proc/{pid}/fdinfo')]
    except OSError:
        return []


def run_stats(pid):
    """{program: (ns, hits)} of all that the process and its children hold, as the kernel counts."""
    found = {}
    for path in [p for c in drive.family(pid) for p in infos(c)]:
        try:
            with open(path, encoding='ascii') as f:
                text = f.read()
        except OSError:
            continue
        v = dict(re.findall(r'^(prog_id|run_time_ns|run_cnt):\s*(\d+)', text, re.M))
        if 'run_cnt' in v:
            found[v['prog_id']] = (int(v['run_time_ns']), int(v['run_cnt']))
    return found


def start_ms(argv, ends):
    """A run that ends as soon as it is armed."""
    argv = argv[:-1] + [ends + ' ' + argv[-1]]
    start = time.monotonic()
    r = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=120, check=False)
    if r.returncode:
        raise RuntimeError(r.stderr.decode(errors='replace')[-200:])
    return (time.monotonic() - start) * 1e3


def stats_enable(on):
    with open(STATS, 'w', encoding='ascii') as f:
        f.write('1' if on else '0')


def attached(b, t, argv, settle):
    """ns in the program per hit; ns more per call of the loop @t."""
    base = t.sample(b.seconds)
    stats_enable(True)
    p = drive.Tracer(argv)
    try:
        time.sleep(settle)
        t.sample(b.seconds / 2)
        before = run_stats(p.pid)
        more = t.sample(b.seconds) - base
        after = run_stats(p.pid)
        alive = p.runs()
    finally:
        said = p.end(15)
        stats_enable(False)
    ns = sum(after[k][0] - before[k][0] for k in after if k in before)
    hits = sum(after[k][1] - before[k][1] for k in after if k in before)
    if not alive or not hits:
        raise RuntimeError(f'{argv[0]}: ' + (said.strip()[-200:] or 'no hits'))
    return ns / hits, more


def measure(b, key, who, argv, settle, ends):
    def run():
        t = drive.Target([b.program('reads')])
        try:
            cost, more = attached(b, t, argv, settle)
            got = {(key + '-start', who): start_ms(argv, ends), (key + '-hit', who): cost}
        finally:
            t.end()
        if 'profile' not in key:
            got[key + '-call', who] = more
        return got
    return run


def rows(b):
    if os.geteuid() or not shutil.which('bpftrace') or not os.path.exists(STATS):
        return # needs root, bpftrace and a kernel with BPF
    for key, what, mine, other in scripts(b.dyn):
        yield Row(f'k-{key}-hit', f'{what}: in the program', [
            ('dyntrace', measure(b, f'k-{key}', 'dyntrace', mine, 0.8, 'BEGIN { exit(0); }')),
            ('bpftrace', measure(b, f'k-{key}', 'bpftrace', other, 2.5, 'BEGIN { exit(); }')),
        ], unit='ns a hit')
        if 'profile' not in key:
            yield Row(f'k-{key}-call', f'{what}: what a call of `read()` takes more', [('dyntrace', None), ('bpftrace', None)], unit='ns')
        yield Row(f'k-{key}-start', f'{what}: to start and end', [('dyntrace', None), ('bpftrace', None)], unit='ms')
