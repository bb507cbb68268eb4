# SPDX-License-Identifier: MIT
"""What arming costs, beside peers: see README.md here.  A measure gives the figures of several rows."""
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

import peers
from hits import Row

LIBRARIES = ('/usr/lib/x86_64-linux-gnu/libLLVM-14.so.1', '/usr/lib/llvm-14/lib/libLLVM-14.so.1')
LIBRARY = next((p for p in LIBRARIES if os.path.exists(p)), None)
LIMIT = 120
NAMED = ['pidPID:libLLVM*::entry']
ALL = [*NAMED, 'pidPID:libLLVM*:sub_*:entry']


class Process:
    """Threads that wake up every millisecond and note how late they were, which is how long they were stopped."""

    def __init__(self, b, threads=4, library=True):
        self.proc = subprocess.Popen([b.program('loader'), str(threads), *([LIBRARY] if library else [])], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True)
        self.pid = self.proc.pid
        if not self.proc.stdout.readline().startswith('ready'):
            raise RuntimeError('the loader did not start')
        time.sleep(0.2)
        self.longest_ms()

    def longest_ms(self):
        self.proc.stdin.write('\n')
        self.proc.stdin.flush()
        return int(self.proc.stdout.readline().split()[0]) / 1e6

    def resident_kib(self):
        with open(f'/proc/{self.pid}/smaps_rollup', encoding='ascii') as f:
            return int(re.search(r'^Rss:\s+(\d+)', f.read(), re.M)[1])

    def mapped_kib(self):
        """Pages of code of files that are its own by now: they were written to; resident memory that is of no file."""
        text, own, code, nowhere = 0, 0, False, False
        with open(f'/proc/{self.pid}/smaps', encoding='utf-8') as f:
            for line in f:
                m = re.match(r'[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ \S+\s*(.*)', line)
                if m:
                    nowhere = not m[2].startswith('/') or m[2].startswith('/memfd:')
                    code = m[1] == 'r-xp' and not nowhere
                elif code and line.startswith('Private_Dirty:'):
                    text += int(line.split()[1])
                elif nowhere and line.startswith('Rss:'):
                    own += int(line.split()[1])
        return text, own

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.communicate()


class Tool:
    """A tracer whose output is looked at while it runs."""

    def __init__(self, argv):
        self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def until(self, wanted, limit=LIMIT):
        """Seconds until @wanted is in what it writes, and what it wrote."""
        begin, got = time.monotonic(), b''
        fd = self.proc.stdout.fileno()
        while time.monotonic() < begin + limit:
            if not select.select([fd], [], [], 1.0)[0]:
                continue
            block = os.read(fd, 65536)
            got += block
            if wanted in got:
                return time.monotonic() - begin, got
            if not block:
                break
        raise RuntimeError('it was not armed: ' + self.proc.stderr.read(2000).decode(errors='replace') if self.proc.poll() is not None
                           else f'not armed within {limit} s')

    def places(self):
        """What -v says."""
        text = b''
        while b'probes armed' not in text and select.select([self.proc.stderr.fileno()], [], [], 1.0)[0]:
            block = os.read(self.proc.stderr.fileno(), 65536)
            text += block
            if not block:
                break
        m = re.search(rb'probes armed at (\d+) places', text)
        return int(m[1]) if m else 0

    def finish(self):
        """Seconds until it has ended after it was asked to."""
        begin = time.monotonic()
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGINT)
        try:
            self.proc.communicate(timeout=2 * LIMIT)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.communicate()
            raise
        return time.monotonic() - begin


def armed(b, pid, descs):
    """Arms @descs: the tool, which still runs; seconds until it was done."""
    script = ''.join(f'{d.replace("PID", str(pid))} {{ @ = count(); }} ' for d in descs) + 'BEGIN { printf("armed\\n"); }'
    p = Tool([b.dyn, '-q', '-v', '-x', 'bufsize=64k', '-p', str(pid), '-n', script])
    try:
        return p, p.until(b'armed')[0]
    except RuntimeError:
        p.finish()
        raise


def first_event(b):
    """One probe into a process that runs."""
    with Process(b, library=False) as t:
        p = Tool([b.dyn, '-q', '-p', str(t.pid), '-n', 'pid$target:loader:probed:entry { printf("hit\\n"); }'])
        try:
            seconds = p.until(b'hit')[0]
            stop = t.longest_ms()
        finally:
            p.finish()
    return {('first-event', 'dyntrace'): seconds * 1e3, ('stop-one', 'dyntrace'): stop}


def first_event_bpftrace(b):
    with Process(b, library=False) as t:
        p = Tool(peers.TRACEFS + ['bpftrace', '-p', str(t.pid), '-e', f'uprobe:{b.program("loader")}:probed {{ printf("hit\\n"); }}'])
        try:
            return p.until(b'hit')[0] * 1e3
        finally:
            p.finish()


def one_of_many(b):
    with Process(b) as t:
        p, seconds = armed(b, t.pid, ['pidPID:libLLVM*:LLVMContextCreate:entry'])
        p.finish()
    return seconds * 1e3


def one_memory(b):
    """Its rings included, as far as they were used."""
    with Process(b, library=False) as t:
        before = t.resident_kib()
        p, _ = armed(b, t.pid, ['pidPID:loader:probed:entry'])
        time.sleep(0.5)
        more = t.resident_kib() - before
        p.finish()
    return more / 1024


def library(b, key, descs):
    def measure():
        with Process(b) as t:
            text, own = t.mapped_kib()
            t.longest_ms()
            p, seconds = armed(b, t.pid, descs)
            stop = None
            try:
                places = p.places()
                time.sleep(0.3)
                stop = t.longest_ms()
                copied, more = [y - x for x, y in zip((text, own), t.mapped_kib())]
            finally:
                off = p.finish()
            if not places:
                raise RuntimeError('-v did not say how many places were armed')
        return {(f'arm-{key}', 'dyntrace'): seconds, (f'stop-{key}', 'dyntrace'): stop, (f'disarm-{key}', 'dyntrace'): off,
                (f'places-{key}', 'dyntrace'): places, (f'mem-{key}', 'dyntrace'): more * 1024 / places,
                (f'copied-{key}', 'dyntrace'): copied / 1024}
    return measure


def some(b):
    """As many as bpftrace arms in a bearable time."""
    with Process(b) as t:
        p, seconds = armed(b, t.pid, ['pidPID:libLLVM*:LLVMBuild*:entry'])
        return seconds + p.finish()


def some_bpftrace(b):
    # It says BEGIN before it attaches the rest, so that only its end tells that all were attached.
    with Process(b) as t:
        p = Tool(peers.TRACEFS + ['bpftrace', '-p', str(t.pid), '-e',
                                  f'uprobe:{LIBRARY}:LLVMBuild* {{ @ = count(); }} BEGIN {{ printf("armed\\n"); }}'])
        try:
            seconds = p.until(b'armed')[0]
        finally:
            off = p.finish()
    return seconds + off


def listed(argv_of, env=None):
    def measure():
        begin = time.monotonic()
        r = subprocess.run(argv_of(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env, check=False)
        if r.returncode:
            raise RuntimeError(r.stderr.decode(errors='replace')[-200:])
        return (time.monotonic() - begin) * 1e3
    return measure


def symbols(b):
    def measure():
        with Process(b) as t:
            return listed(lambda: [b.dyn, 'list-symbols', str(t.pid)])()
    return measure


def symbols_first(b):
    """With a cache that is empty."""
    def measure():
        with Process(b) as t, tempfile.TemporaryDirectory() as cache:
            return listed(lambda: [b.dyn, 'list-symbols', str(t.pid)], dict(os.environ, XDG_CACHE_HOME=cache))()
    return measure


def rows(b):
    yield Row('first-event', 'first event after the command, one probe into a running process', [
        ('dyntrace', lambda: first_event(b)), ('bpftrace', lambda: first_event_bpftrace(b)),
    ], {'bpftrace': 5}, most=50, unit='ms')
    yield Row('stop-one', 'target stopped while one probe is placed, 4 threads', [('dyntrace', None)], most=5, unit='ms')
    yield Row('mem-one', 'resident memory for one probe, with what is used of its rings', [('dyntrace', lambda: one_memory(b))], most=1,
              unit='MiB')
    if not LIBRARY:
        return
    yield Row('arm-one', 'one probe in libLLVM-14, armed', [('dyntrace', lambda: one_of_many(b))], unit='ms')
    for key, descs, what in (('named', NAMED, 'named functions'), ('all', ALL, 'functions, also those that only `.eh_frame` knows')):
        yield Row(f'arm-{key}', f'libLLVM-14, all {what}: armed', [('dyntrace', library(b, key, descs))], most=1, unit='s')
        yield Row(f'places-{key}', f'libLLVM-14, all {what}: places', [('dyntrace', None)], unit='places')
        yield Row(f'stop-{key}', f'libLLVM-14, all {what}: target stopped', [('dyntrace', None)], most=100, unit='ms')
        yield Row(f'disarm-{key}', f'libLLVM-14, all {what}: disarmed', [('dyntrace', None)], most=0.5, unit='s')
        yield Row(f'mem-{key}', f'libLLVM-14, all {what}: resident memory besides the copied pages of code',
                  [('dyntrace', None)], most=100, unit='bytes a probe')
        yield Row(f'copied-{key}', f'libLLVM-14, all {what}: copied pages of code', [('dyntrace', None)], unit='MiB')
    yield Row('arm-some', '`LLVMBuild*` of libLLVM-14 (111 functions): armed and disarmed', [
        ('dyntrace', lambda: some(b)), ('bpftrace', lambda: some_bpftrace(b)),
    ], unit='s')
    if shutil.which('nm'):
        for key, measure, when in (('symbols', symbols, ''), ('symbols-first', symbols_first, ', for the first time')):
            yield Row(key, f'`list-symbols` of a process that has loaded libLLVM-14{when}', [
                ('dyntrace', measure(b)), ('nm -D of it', listed(lambda: ['nm', '-D', LIBRARY])),
            ], {'nm -D of it': 0.5}, unit='ms')
