#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What probes of the kernel count, beside what others count at the same time: perf, tracefs, /proc, the block layer.

Nothing is compared with a clock.  Where both see the same events the numbers are equal; where both sample, they differ by
what chance does.
"""
import collections
import math
import os
import re
import sys
import tempfile

import kernlib
import lib

CHAIN = re.compile(r'\b(main|shares_much|shares_little|shares_deep|shares_spin)\b')


# ---- profile, beside perf record ----

def perf_chains(data):
    """Stacks of perf script, outermost first: how often each chain of ours was seen."""
    out = kernlib.perf('script', '-i', data, '-F', 'ip,sym').stdout
    chains = collections.Counter()
    for block in re.split(r'\n\s*\n', out):
        names = [m.group(1) for m in (CHAIN.search(l) for l in block.splitlines()) if m]
        if block.strip():
            chains[tuple(reversed(names))] += 1
    return chains


def folded_chains(text):
    chains = collections.Counter()
    for line in text.splitlines():
        frames, _, n = line.rpartition(' ')
        if n.isdigit():
            chains[tuple(m.group(1) for m in (CHAIN.search(f) for f in frames.split(';')[1:]) if m)] += int(n)
    return chains


def share(chains, name):
    """Of the samples in one of the two chains, those in that; and how many samples there are."""
    whole = [(c, n) for c, n in chains.items() if 'shares_much' in c or 'shares_little' in c]
    total = sum(n for _, n in whole)
    return sum(n for c, n in whole if name in c) / max(total, 1), total


def check_profile(run, samples):
    """Until each has @samples: both see the same chains, in the same proportion."""
    assert samples >= 100
    theirs, ours = run()
    (a, na), (b, nb) = share(theirs, 'shares_much'), share(ours, 'shares_much')
    text = f'perf: {dict(theirs)}\ndyntrace: {dict(ours)}'
    assert na >= samples and nb >= samples, f'too few samples: {na}, {nb}\n{text}'
    # Of n samples a share of p deviates by sqrt(p (1 - p) / n); five times that happens once in a million runs.
    p = (a * na + b * nb) / (na + nb)
    bound = 5 * math.sqrt(p * (1 - p) * (1 / na + 1 / nb))
    assert abs(a - b) <= bound, f'shares_much: {a:.3f} of {na}, {b:.3f} of {nb}, more than {bound:.3f} apart\n{text}'
    # A sample in the two instructions before a frame is there may lack one function; a broken unwinder lacks most.
    for who, c in ('perf', theirs), ('dyntrace', ours):
        whole = sum(n for k, n in c.items() if k[:1] == ('main',) and k[1:2] in (('shares_much',), ('shares_little',)) and
                    k[2:] in (('shares_deep', 'shares_spin'), ('shares_deep',)))
        assert whole >= 0.95 * sum(c.values()), f'{who}: only {whole} whole stacks\n{text}'


def profile_perf():
    """The same load, by the same clock; user stacks of a program without frame pointers."""
    kernlib.have_perf()
    with tempfile.TemporaryDirectory() as tmp, kernlib.Waiting(f'{kernlib.TRIGGERS}/shares') as target:
        def run():
            data, folded = f'{tmp}/perf.data', f'{tmp}/folded'
            with lib.Tracing('profile', '-F', '499', '-p', target.pid, '-o', folded) as t, \
                    kernlib.Perf('record', '-o', data, '-e', 'cpu-clock', '-F', '499', '--call-graph', 'dwarf,2048',
                                 '-p', target.pid) as p:
                # As much of the processor as is worth some thousand samples, however long that takes.
                used = lambda: sum(int(x) for x in open(f'/proc/{target.pid}/stat').read().rsplit(')', 1)[1].split()[11:13])
                begun = used()
                lib.wait_for(lambda: used() - begun > 4 * os.sysconf('SC_CLK_TCK'), 'the load', timeout=120)
                p.stop()
                status, _, err = t.stop()
                assert status == 0, err
            with open(folded, encoding='utf-8') as f:
                return perf_chains(data), folded_chains(f.read())
        check_profile(run, 500)


# ---- sched, beside perf sched ----

PING = '''
import os, sys
sys.stdin.readline()
a, b = os.pipe(), os.pipe()
if not os.fork():
    for i in range(300):
        os.read(a[0], 1)
        os.write(b[1], b"x")
    os._exit(0)
for i in range(300):
    os.write(a[1], b"x")
    os.read(b[0], 1)
os.wait()
'''


def sched_lines(data):
    return kernlib.perf('script', '-i', data, '-F', 'comm,pid,tid,cpu,event,trace').stdout.splitlines()


def perf_sched_counts(data, pid):
    n = collections.Counter()
    for line in sched_lines(data):
        m = re.search(r'sched:sched_switch:\s.*?prev_pid=(\d+) .*prev_state=(\S+) .*next_pid=(\d+)', line)
        m = m or re.search(r'sched:sched_switch:\s.*?:(\d+) \[\d+\] (\S+) ==> .*:(\d+) \[\d+\]', line)
        if m:
            n['off-cpu'] += int(m.group(1)) == pid
            n['on-cpu'] += int(m.group(3)) == pid
            n['sleep'] += int(m.group(1)) == pid and m.group(2)[0] not in 'R'
        m = re.search(r'sched:sched_wakeup:\s.*?(?:pid=|:)(\d+) (?:prio=|\[)', line)
        if m:
            n['wakeup'] += int(m.group(1)) == pid
    return dict(n)


def sched_perf():
    """How often a process went on and off its processor, slept and was woken."""
    kernlib.have_perf()
    kernlib.need_probe('sched:::on-cpu')
    with tempfile.TemporaryDirectory() as tmp, kernlib.Waiting(sys.executable, '-c', PING) as target:
        data = f'{tmp}/sched.data'
        target.settled()
        script = f'''
            sched:::off-cpu, sched:::on-cpu, sched:::sleep /tid == {target.pid}/ {{ @[probename] = count(); }}
            sched:::wakeup /args[0]->pr_lwpid == {target.pid}/ {{ @[probename] = count(); }}
            END {{ printa("%s %@d\\n", @); }}'''
        with kernlib.Counting(script) as t, \
                kernlib.Perf('sched', 'record', '-D', '-1', '-m', '4096', '-e', 'sched:sched_wakeup', '-a', '-o', data) as p:
            t.wait()
            p.enable()
            target.go()
            said = p.stop()
            ours = t.counts()
        if 'lost' in said.lower():
            raise lib.Skip('perf lost events: ' + said.strip().splitlines()[-1])
        theirs = perf_sched_counts(data, target.pid)
    if abs(theirs['on-cpu'] - theirs['off-cpu']) > 1:
        raise lib.Skip(f'perf has not seen all of it, who goes off must have come: {theirs}') # a processor's counter began late
    assert theirs['on-cpu'] >= 300 and theirs['wakeup'] >= 100, theirs
    assert ours == theirs, f'dyntrace: {ours}\nperf sched: {theirs}'


# ---- sdt and rawtp, beside tracefs ----

TREE = '''
read x
i=0
while [ $i -lt 25 ]; do
    i=$((i + 1))
    /bin/true $i
    (exit 3)
    kill -0 $$ 2>/dev/null
    test -e /nonexistent/$i
done
sh -c 'kill -9 $$'
kill -WINCH $$
'''
EVENTS = ['sched:sched_process_fork', 'sched:sched_process_exec', 'sched:sched_process_wait', 'signal:signal_generate',
          'signal:signal_deliver', 'task:task_newtask', 'task:task_rename', 'raw_syscalls:sys_enter', 'raw_syscalls:sys_exit',
          'exceptions:page_fault_user', 'mmap_lock:mmap_lock_released', 'kmem:mm_page_alloc', 'kmem:rss_stat',
          'filemap:mm_filemap_add_to_page_cache']


def sdt_tracefs():
    """Each tracepoint that fires in a process and its children, as often as tracefs records it: by both providers."""
    with kernlib.Tracefs() as fs, kernlib.Waiting('sh', '-c', TREE) as target:
        events = [e for e in EVENTS if fs.has(e)]
        if len(events) < 5:
            raise lib.Skip('this kernel has few tracepoints')
        target.settled()
        fs.write('buffer_size_kb', '8192')
        fs.write('options/event-fork', '1')
        fs.write('set_event_pid', str(target.pid))
        sdt = ', '.join('sdt:{}::{}'.format(*e.split(':')) for e in events)
        raw = ', '.join('rawtp:{}::{}'.format(*e.split(':')) for e in events)
        mine = f'/pid == {target.pid} || progenyof({target.pid})/'
        with kernlib.Counting(f'{sdt}, {raw} {mine} {{ @[probeprov, probename] = count(); }} '
                              'END { printa("%s %s %@d\\n", @); }') as t:
            t.wait()
            for e in events:
                fs.write(f'events/{e.replace(":", "/")}/enable', '1')
            target.go()
            fs.write('tracing_on', '0')
            ours = t.counts()
        if fs.lost():
            raise lib.Skip('tracefs lost events')
        theirs = collections.Counter(m.group(1) for m in (re.search(r'\d: (\w+)[:(]', l) for l in fs.lines()) if m)
        names = {e.split(':')[1] for e in events}
        wrong = {n: (theirs[n], ours.get('sdt ' + n, 0), ours.get('rawtp ' + n, 0)) for n in sorted(names)
                 if not theirs[n] == ours.get('sdt ' + n, 0) == ours.get('rawtp ' + n, 0)}
        assert not wrong, f'tracefs, sdt, rawtp: {wrong}'
        assert sum(1 for n in names if theirs[n] > 20) >= 5, dict(theirs)


def main():
    kernlib.tests({
        'profile beside perf record': profile_perf,
        'sched beside perf sched': sched_perf,
        'tracepoints beside tracefs': sdt_tracefs,
    })


if __name__ == '__main__':
    main()
