#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""dyntrace is killed at each of its system calls while it arms and disarms, or has one of them fail: the program runs on
correctly, and `dyntrace repair` makes its code what it was.

DYNTRACE_STRESS=N takes N times as many of the steps, evenly spread (default 1: a few; 100: all).
"""
import collections
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'real'))
import lib  # noqa: E402

SCALE = int(os.environ.get('DYNTRACE_STRESS', '1'))
PROBES = 'pid$target:libc.so*:[mprs]*:entry,pid$target:libc.so*:[mprs]*:return { @[probename] = count(); }'
WORK = ('import hashlib, threading, time\nd = b"x" * 1000\nwant = hashlib.md5(d).hexdigest()\n'
        'def run():\n while True:\n  s = "%d %s" % (len(d), d[:3])\n  assert hashlib.md5(d).hexdigest() == want\n  time.sleep(0.0002)\n'
        'for i in range(3): threading.Thread(target=run, daemon=True).start()\nrun()\n')
# Leaks are looked for by ptrace, which strace has.
ENV = dict(os.environ, ASAN_OPTIONS=os.environ.get('ASAN_OPTIONS', '') + ':detect_leaks=0')


class Target:
    def __enter__(self):
        self.err = tempfile.TemporaryFile('w+')
        self.proc = subprocess.Popen(['/usr/bin/python3', '-c', WORK], env=lib.clean_env(), stdin=subprocess.DEVNULL, stderr=self.err)
        lib.wait_for(lambda: len(os.listdir(f'/proc/{self.proc.pid}/task')) == 4, 'its threads')
        return self

    def __exit__(self, *exc):
        self.proc.kill()
        self.proc.wait()
        self.err.close()

    def errors(self):
        self.err.seek(0)
        return self.err.read()[-1500:]

    def ticks(self):
        """Involuntary and voluntary switches of each thread: it runs."""
        found = {}
        for tid in os.listdir(f'/proc/{self.proc.pid}/task'):
            with open(f'/proc/{self.proc.pid}/task/{tid}/status', encoding='utf-8') as f:
                found[tid] = sum(int(x) for x in re.findall(r'ctxt_switches:\s+(\d+)', f.read()))
        return found

    def check(self, what):
        pid = self.proc.pid
        assert self.proc.poll() is None, f'{what}: the target ended ({self.proc.returncode}): {self.errors()}'
        before = self.ticks()
        lib.wait_for(lambda: all(n > before[t] for t, n in self.ticks().items()), f'all threads to run after {what}', 5)
        r = lib.dyntrace('repair', str(pid), check=False, timeout=60)
        assert r.returncode == 0, f'{what}: repair: {r.stderr}'
        v = lib.dyntrace('verify', str(pid), check=False, timeout=60)
        assert v.returncode == 0, f'{what}: {v.stdout}{v.stderr}'
        assert self.proc.poll() is None and not self.errors(), f'{what}: {self.errors()}'


def traced(*who, inject=None, count=None):
    """dyntrace under strace: with a fault injected, or its calls counted into @count."""
    argv = ['strace', '-qq', '-o', count or '/dev/null', '-e', f'trace={",".join(CALLS) if count else inject.split(":")[0]}']
    if inject:
        argv += ['-e', f'inject={inject}']
    probes = PROBES + (' tick-20ms { exit(0); }' if '-p' in who else '') # a command would be killed then
    proc = subprocess.Popen([*argv, lib.DYNTRACE, '-q', '-n', probes, *who], stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, env=ENV)
    try:
        out, err = proc.communicate(timeout=120 * lib.SLOW)
    except subprocess.TimeoutExpired:
        os.killpg(proc.pid, signal.SIGKILL) # strace alone would leave the other where it hangs
        proc.communicate()
        raise AssertionError(f'{inject}: dyntrace does not end') from None
    return subprocess.CompletedProcess(proc.args, proc.returncode, out, err)


CALLS = ('ptrace', 'pwrite64', 'wait4', 'munmap', 'mmap', 'memfd_create', 'sendmsg', 'ftruncate', 'pidfd_open', 'pidfd_getfd', 'poll',
         'pread64', 'openat')
KILLS = {'ptrace': 12, 'pwrite64': 10, 'wait4': 3, 'munmap': 2, 'pread64': 3} # steps of the short form
ERRORS = {'ptrace': ('ESRCH', 6), 'wait4': ('ECHILD', 3), 'pwrite64': ('EIO', 5), 'pread64': ('EIO', 4), 'openat': ('EMFILE', 4), 'mmap': ('ENOMEM', 3),
          'memfd_create': ('EMFILE', 2), 'sendmsg': ('EPERM', 1), 'ftruncate': ('ENOMEM', 1), 'pidfd_open': ('EMFILE', 1),
          'pidfd_getfd': ('EPERM', 1)}


def is_sanitized():
    with open(lib.DYNTRACE, 'rb') as f:
        return b'__asan_init' in f.read()


def how_many(*who):
    """{call: (number of the first that is dyntrace's own, not the loader's; number of the last)}"""
    lib.need('strace')
    with tempfile.NamedTemporaryFile('r') as f:
        r = traced(*who, count=f.name)
        if 'ptrace' in r.stderr and r.returncode:
            raise lib.Skip('strace cannot trace here: ' + r.stderr.strip()[-200:])
        assert r.returncode == 0, r.stderr
        text = f.read()
    own = text.index('/proc/')
    first, last = (collections.Counter(re.findall(r'^(\w+)\(', part, re.M)) for part in (text[:own], text))
    return {call: (first[call] + 1, last[call]) for call in last if last[call] > first[call]}


def spread(span, want):
    """@want numbers of @span, evenly."""
    first, last = span
    want = min(last - first + 1, want * SCALE)
    return [first + i * (last - first) // max(want - 1, 1) for i in range(want)]


def killed(call, span):
    with Target() as t:
        for n in spread(span, KILLS[call]):
            traced('-p', str(t.proc.pid), inject=f'{call}:signal=SIGKILL:when={n}')
            t.check(f'SIGKILL at {call} number {n} of {span[1]}')


def says_why(r, what):
    """An error is said, and not that of somebody who lives that he has ended."""
    assert r.returncode in (0, 1), f'{what}: status {r.returncode}: {r.stderr[-1500:]}'
    assert not r.returncode or 'dyntrace: ' in r.stderr, f'{what}: it does not say why: {r.stderr[-500:]}'
    assert not re.search(r'has ended|[Nn]o such process|there is no process|traced by dyntrace already', r.stderr), f'{what}: {r.stderr[-500:]}'


def failing(call, span):
    error, want = ERRORS[call]
    with Target() as t:
        for n in spread(span, want):
            r = traced('-p', str(t.proc.pid), inject=f'{call}:error={error}:when={n}')
            says_why(r, f'{call} number {n} fails')
            t.check(f'{error} from {call} number {n} of {span[1]} ({r.stderr.strip()[-300:]})')


def failing_on(call, span):
    """From some call on all fail: not even the way back works."""
    error, want = ERRORS[call]
    with Target() as t:
        for n in spread(span, max(want // 2, 1)):
            r = traced('-p', str(t.proc.pid), inject=f'{call}:error={error}:when={n}+')
            says_why(r, f'{call} from number {n} on fails')
            t.check(f'{error} from {call} number {n} of {span[1]} on ({r.stderr.strip()[-300:]})')


def starting(call):
    """A program of its own runs whole, or dyntrace says why not; nobody waits for it for ever, and it is not left."""
    def command(name):
        return ['-c', f'/bin/sh -c "echo begin; sleep 0.05; echo end" {name}']
    error, want = ERRORS[call]
    for n in spread(how_many(*command('counted'))[call], want):
        name = f'started-{os.getpid()}-{n}'
        r = traced(*command(name), inject=f'{call}:error={error}:when={n}')
        assert r.returncode in (0, 1), f'{call} number {n} fails: status {r.returncode}: {r.stderr[-1500:]}'
        assert 'dyntrace: ' in r.stderr if r.returncode else 'begin\nend\n' in r.stdout, f'{call} number {n} fails: {r.stdout[-300:]} {r.stderr[-500:]}'
        lib.wait_for(lambda name=name: subprocess.run(['pgrep', '-f', name], stdout=subprocess.DEVNULL, check=False).returncode == 1,
                     f'the end of {name}', 5)


def main():
    tap = lib.Tap()
    counts = {}

    def count():
        with Target() as t:
            counts.update(how_many('-p', str(t.proc.pid)))
    tap.run('counting system calls', count)
    if not counts:
        with contextlib.suppress(AssertionError, lib.Skip):
            count()
    for call in KILLS:
        if counts.get(call):
            tap.run(f'killed at {call}', killed, call, counts[call])
    if is_sanitized():
        counts.pop('mmap', None) # the sanitizer's own
    for call in ERRORS:
        if counts.get(call):
            tap.run(f'{call} fails', failing, call, counts[call])
    for call in ('ptrace', 'pwrite64', 'wait4'):
        if counts.get(call):
            tap.run(f'{call} fails from then on', failing_on, call, counts[call])
    for call in ('ptrace', 'wait4', 'pwrite64'):
        if counts.get(call):
            tap.run(f'{call} fails for a program of its own', starting, call)
    tap.done()


if __name__ == '__main__':
    main()
