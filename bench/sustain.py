# SPDX-License-Identifier: MIT
"""What consumers do: processor time per record, and the highest rate at which nothing is lost for ten seconds."""
import collections
import os
import re
import shutil
import subprocess
import tempfile
import time

import drive
import peers
from hits import ENTRY, Row
from store import Lost


class Paced:
    """A target that calls at a given rate once it is told to."""

    def __init__(self, argv, rate, seconds):
        self.proc = subprocess.Popen(['taskset', '-c', '0', *argv, 'rate', str(int(rate)), str(seconds)], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.proc.stdout.readline()
        self.pid = self.proc.pid

    def go(self):
        """(calls, seconds)"""
        self.proc.stdin.write('\n')
        self.proc.stdin.flush()
        calls, seconds = self.proc.stdout.readline().split()
        return int(calls), float(seconds)

    def end(self):
        self.proc.kill()
        self.proc.communicate()


EVENT_BYTES = 24 # at most, of either trace


class Warm:
    """Memory that was in use until free(), for the trace: what was not, a virtual machine has to ask its host for, at ten times the price of a
    page, and no consumer writes faster than that."""

    def __init__(self, folder, size):
        self.path = os.path.join(folder, 'warm')
        block = bytes(1 << 20)
        with open(self.path, 'wb') as f:
            for _ in range(min(int(size), WARM_MAX) >> 20):
                f.write(block)

    def free(self):
        os.unlink(self.path)


WARM_MAX = 6 << 30


def ours(b, work, rate, seconds):
    """`dyntrace record`: (calls, seconds, lost, consumer's seconds)."""
    warm = Warm(work, rate * seconds * EVENT_BYTES)
    t = Paced([b.plain], rate, seconds)
    p = None
    try:
        p = drive.Tracer([b.dyn, 'record', '-x', 'bufsize=256m', '-p', str(t.pid), '-o', os.path.join(work, 'trace'),
                          'work:entry a=arg0 b=arg1'])
        wait_for(os.path.join(work, 'trace', 'dyntrace', 'ready'))
        used = p.cpu_seconds()
        warm.free()
        calls, took = t.go()
        time.sleep(1)
        used = p.cpu_seconds() - used
    finally:
        said = p.end() if p else ''
        t.end()
    m = re.search(r': (\d+) events.*, (\d+) lost', said)
    if not m or int(m[1]) + int(m[2]) != calls:
        raise RuntimeError(f'dyntrace record counts {said.strip()} of {calls} calls')
    return calls, took, int(m[2]), used


def wait_for(path):
    for _ in range(200):
        if os.path.exists(path):
            return
        time.sleep(0.05)


def lttng(b, work, rate, seconds):
    warm = Warm(work, rate * seconds * EVENT_BYTES)
    target = b.program('target-lttng')
    l = peers.Lttng(b.work)
    t = Paced([*l.prefix, target], rate, seconds)
    try:
        if not l.begin():
            return None
        time.sleep(0.5)
        pid = l.consumer_pid()
        used = drive.cpu_seconds(pid)
        warm.free()
        calls, took = t.go()
        time.sleep(1)
        used = drive.cpu_seconds(pid) - used
        return calls, took, l.finish(), used
    finally:
        t.end()
        l.end()


Try = collections.namedtuple('Try', 'reached kept is_most') # million a second; share; whether the target could not be faster


def try_rate(b, run, rate, seconds):
    """A Try, or None."""
    work = tempfile.mkdtemp(dir='/dev/shm' if os.path.isdir('/dev/shm') else b.work)
    try:
        got = run(b, work, rate, seconds)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if not got:
        return None
    calls, took, lost, _used = got
    drive.say(f'{rate / 1e6:.1f} million a second wanted, {calls / took / 1e6:.1f} reached in {took:.0f} s, {lost} lost')
    return Try(calls / took / 1e6, 1 - lost / max(calls, 1), calls / took < rate * 0.8)


def search(b, run, low, high):
    """Halves the span by short tries: the highest rate at which nothing is lost."""
    last = 0.0
    for _ in range(3 if b.quick else 5):
        rate = (low * high) ** 0.5
        got = try_rate(b, run, rate, 1 if b.quick else 2)
        if not got:
            return None
        if got.kept < 1:
            high = rate
        else:
            low = rate
            if got.is_most and got.reached < last * 1.1: # the target cannot be faster, and is not only seldom run
                break
            last = got.reached
    return low


STEP = 1.15 # rates closer than this are not told apart
TRIES = 12


def lower(rate, kept):
    """What to try after a loss: near what was kept, which a long run shows better than a short one."""
    return rate * min(1 / STEP, max(0.4, kept))


def highest(b, who, run, low, high):
    """Millions of events a second for all the time, by what was really reached.  What a round finds, the next one begins
    with.  A short run says little about a long one (fresh memory costs more than used), so it goes down until a rate
    holds, then up again to the first that does not."""
    seconds = 2 if b.quick else 10
    rate, best, lost_at = b.found.get(who) or search(b, run, low, high), None, None
    for _ in range(TRIES):
        got = try_rate(b, run, rate, seconds) if rate else None
        if not got:
            break
        if got.kept < 1:
            lost_at = rate
        elif not best or got.reached > best.reached:
            best = got
            b.found[who] = rate if got.is_most or lost_at else rate * 1.1 # more is tried in the next round
        if got.kept == 1 and (got.is_most or not lost_at):
            break
        if best and lost_at / b.found[who] < STEP:
            break
        rate = (b.found[who] * lost_at) ** 0.5 if best else lower(rate, got.kept)
    return best.reached if best else None


def printf_ours(b, rate=200000):
    def measure():
        with tempfile.TemporaryDirectory(dir=b.work) as work:
            out = os.path.join(work, 'out')
            d = ENTRY + ' { printf("%d %d %d\\n", timestamp, arg0, arg1); }'
            return consumer_cost(b, [b.dyn, '-q', '-x', 'bufsize=64m', '-n', d, '-p', 'PID', '-o', out], rate, out, 1.5)
    return measure


def printf_bpftrace(b, rate=20000):
    def measure():
        with tempfile.TemporaryDirectory(dir=b.work) as work:
            out = os.path.join(work, 'out')
            d = f'uprobe:{b.plain}:work {{ printf("%ld %ld %ld\\n", nsecs, arg0, arg1); }}'
            return consumer_cost(b, peers.TRACEFS + ['bpftrace', '-o', out, '-e', d, '-p', 'PID'], rate, out, 3)
    return measure


def consumer_cost(b, argv, rate, out, settle):
    """ns of the tracer's processor time per line that it wrote."""
    t = Paced([b.plain], rate, 1 if b.quick else 3)
    p = drive.Tracer([a.replace('PID', str(t.pid)) for a in argv], env=dict(os.environ, BPFTRACE_PERF_RB_PAGES='4096'))
    try:
        time.sleep(settle)
        idle = p.cpu_seconds()
        time.sleep(1)
        idle = p.cpu_seconds() - idle # of a second without records
        used = p.cpu_seconds()
        calls, took = t.go()
        time.sleep(1)
        used = p.cpu_seconds() - used - idle * (took + 1)
    finally:
        said = p.end()
        t.end()
    with open(out, encoding='utf-8', errors='replace') as f:
        lines = sum(1 for l in f if len(l.split()) == 3)
    if not lines:
        return None
    cost = used * 1e9 / lines
    return Lost(cost) if peers.lost_of(said) or lines < calls else cost


def rows(b):
    yield Row('printf', 'printf of a record to a file, three numbers', [
        ('dyntrace', printf_ours(b)), ('bpftrace', printf_bpftrace(b)),
    ], {'bpftrace': 20}, most=300, unit='ns of the consumer a record')
    yield Row('sustained', 'events that the consumer keeps up with: time and two arguments, 10 s, none lost', [
        ('dyntrace', lambda: highest(b, 'dyntrace', ours, 2e6, 80e6)), ('LTTng-UST', lambda: highest(b, 'LTTng-UST', lttng, 0.5e6, 20e6)),
    ], {'LTTng-UST': -3}, most=-10, unit='million a second')
