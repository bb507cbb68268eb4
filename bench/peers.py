# SPDX-License-Identifier: MIT
"""How each tracer is driven: what a hit costs while it is attached, over the same process just before.

A measure is a function without arguments: ns per hit, None where the tracer did not run, or a Lost.
"""
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

import drive
from store import Lost

# bpftrace wants tracefs to be mounted: in a mount namespace of its own, nothing is left behind.
TRACEFS = ['unshare', '-m', 'sh', '-c', 'test -e /sys/kernel/tracing/events || mount -t tracefs none /sys/kernel/tracing; exec "$@"', 'sh']
IPA = '/usr/lib/libinproctrace.so'
LOST = re.compile(r'(\d+) drops?\b|Lost (\d+) events|LOST (\d+) records', re.I)


def judged(cost, said):
    lost = sum(int(n) for m in LOST.findall(said) for n in m if n)
    return Lost(cost) if lost else cost


class Bench:
    """What all sections share."""

    def __init__(self, build, work, args):
        self.dyn = os.path.abspath(os.path.join(build, 'dyntrace'))
        self.build, self.work, self.args = build, work, args
        self.seconds = args.seconds
        self.quick = args.quick
        src = os.path.join(drive.HERE, 'target.c')
        self.plain = self.compile('target', src)
        self.frames = self.compile('target-frames', src, '-fno-omit-frame-pointer', '-mno-omit-leaf-frame-pointer')
        self.noframes = self.compile('target-noframes', src, '-fomit-frame-pointer')
        self.pg = self.compile('target-pg', src, '-pg', '-mfentry')
        self.fixed = self.compile('target-fixed', src, '-no-pie')
        self.shared = {}
        self.found = {} # rates that were sustained
        self.bases = {} # of a round: what whole programs take untraced
        self.static = self.compile('target-lttng', src, '-DLTTNG', '-I' + drive.HERE, '-llttng-ust', '-ldl')

    def compile(self, name, src, *flags):
        out = os.path.join(self.work, name)
        cflags = [f for f in flags if not f.startswith('-l')]
        libs = [f for f in flags if f.startswith('-l')]
        r = subprocess.run(['gcc', '-O2', '-g', *cflags, '-o', out, src, '-pthread', *libs], stderr=subprocess.DEVNULL, check=False)
        return None if r.returncode else out

    def hush(self):
        """No shared target runs."""
        for t in self.shared.values():
            drive.quiet_kill(t.pid, signal.SIGSTOP)

    def share(self, target, kind, column):
        """A target that several measures use, one after the other; only the last one asked for runs."""
        key = (target, kind, column)
        self.hush()
        t = self.shared.get(key)
        if not t or t.proc.poll() is not None:
            t = self.shared[key] = drive.Target([target, *kind.split()], column)
            time.sleep(0.3)
        else:
            drive.quiet_kill(t.pid, signal.SIGCONT)
            time.sleep(0.15) # the figure in which it slept
        return t

    def end_round(self):
        """Each round has processes of its own: where code and stack come to lie is a matter of luck."""
        for t in self.shared.values():
            t.end()
        self.shared, self.bases = {}, {}

    def has(self, who):
        need = {'bpftrace': 'bpftrace', 'uftrace': 'uftrace', 'LTTng-UST': 'lttng-sessiond', 'gdb': 'gdbserver', 'ltrace': 'ltrace'}
        word = who.split()[0].rstrip(',')
        if word == 'bpftrace' and os.geteuid():
            return False
        return word not in need or shutil.which(need[word]) is not None


def attached(b, target, kind, argv, settle, column=drive.CPU, env=None):
    """ns per call more while the tracer @argv runs (PID in it is the target's), against the same process before or after, whichever
    was the quieter.  It goes on for the next tracer of the same row and round."""
    t = b.share(target, kind, column)
    before = t.sample(b.seconds)
    p = drive.Tracer([a.replace('PID', str(t.pid)) for a in argv], env=env)
    try:
        time.sleep(settle)
        t.sample(b.seconds / 2) # first hits, and the first use of buffers
        alive = p.runs()
        traced = t.sample(b.seconds) if alive else None
    finally:
        said = p.end()
    cost = traced - min(before, t.sample(b.seconds)) if alive else None
    if not alive:
        raise RuntimeError(f'{argv[0]} ended: {said.strip()[-200:]}')
    return judged(cost, said)


def dyntrace(b, d, kind='plain', target=None, *opts):
    argv = [b.dyn, '-q', *opts, '-n', d, '-p', 'PID', '-o', '/dev/null']
    return lambda: attached(b, target or b.plain, kind, argv, 0.5)


def bpftrace(b, d, kind='plain', target=None):
    """It says that it attaches before it does; a burst of rows shares one process."""
    argv = TRACEFS + ['bpftrace', '-o', '/dev/null', '-e', d.replace('TARGET', target or b.plain), '-p', 'PID']
    env = dict(os.environ, BPFTRACE_PERF_RB_PAGES='4096')
    return lambda: attached(b, target or b.plain, kind, argv, 2.0, env=env)


def ltrace(b, func, kind='plain'):
    """It stops the thread at each hit, so that the clock counts, not the processor's time."""
    argv = ['ltrace', '-c', '-x', func, '-o', '/dev/null', '-p', 'PID']
    return lambda: attached(b, b.plain, kind, argv, 2.0, drive.WALL)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def wait_for_text(path, text, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with open(path, 'rb') as f:
            if text in f.read():
                return
        time.sleep(0.1)
    raise RuntimeError(f'{os.path.basename(path)} does not say "{text.decode()}"')


def later_values(t, least, seconds):
    """At least so many of the figures that are to come, but for the first."""
    first, end = len(t.values) + 1, time.monotonic() + seconds
    while len(t.values) < first + least and time.monotonic() < end:
        time.sleep(0.1)
    if len(t.values) <= first:
        raise RuntimeError('the target does not go on')
    return t.values[first:]


def gdb_fast(b, func, kind):
    """Fast tracepoints: the in-process agent is preloaded; gdb and gdbserver stay with the process."""
    def measure():
        if not b.fixed or not os.path.exists(IPA):
            return None
        t = drive.Target([b.fixed, *kind.split()], env=dict(os.environ, LD_PRELOAD=IPA))
        tools = []
        try:
            time.sleep(0.3)
            base = t.sample(b.seconds)
            port = free_port()
            tools.append(drive.Tracer(['gdbserver', '--once', '--attach', f':{port}', str(t.pid)]))
            time.sleep(1)
            script, says = os.path.join(b.work, 'gdb.script'), os.path.join(b.work, 'gdb.out')
            with open(script, 'w', encoding='ascii') as f:
                f.write(f'set confirm off\nset sysroot /\ntarget remote :{port}\ntvariable $n = 0\nftrace *{func}\nactions\n'
                        'teval $n = $n + 1\nend\ntstart\necho it is traced\\n\ncontinue\n')
            with open(says, 'wb') as out:
                tools.append(drive.Tracer(['gdb', '-q', '-nx', '-batch', '-x', script, b.fixed], out=out))
            wait_for_text(says, b'it is traced', 60) # gdb reads symbols while the process is stopped
            cost = statistics.median(later_values(t, 3, 40)) - base
            if not all(x.runs() for x in tools) or cost < 5: # a jump to code that saves all registers takes more
                raise RuntimeError(f'gdb or gdbserver ended, or does not trace ({cost:.1f} ns)')
            return cost
        finally:
            t.end()
            for x in reversed(tools):
                x.end(5)
    return measure


def uftrace(b, kind, *opts):
    """It has to start the program: against the program as it is, just before."""
    def measure():
        t = drive.Target([b.plain, *kind.split()[:2 if kind.startswith('burst') else 1]])
        base = t.sample(b.seconds)
        t.end()
        with tempfile.TemporaryDirectory(dir=b.work) as data:
            argv = ['uftrace', 'record', '--no-pager', '-b', '16M', '-d', os.path.join(data, 'data'), *opts, b.pg, *kind.split()]
            r = subprocess.run(['taskset', '-c', '0,1', *argv], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
                               timeout=300)
        values = [float(l.split()[0]) for l in r.stdout.splitlines() if re.match(r'[\d.]+ [\d.]+$', l)]
        return judged(statistics.median(values[2:]) - base, r.stderr) if len(values) > 3 else None
    return measure


class Lttng:
    """A session daemon of its own, as a user of its own where we are root: nothing of the machine's is touched."""

    def __init__(self, work):
        self.home = tempfile.mkdtemp(dir=work)
        self.prefix = ['env', f'LTTNG_HOME={self.home}', f'HOME={self.home}']
        if not os.geteuid():
            os.chmod(work, 0o755)
            os.chown(self.home, 65534, 65534)
            self.prefix = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', *self.prefix]
        self.daemon = drive.Tracer([*self.prefix, 'lttng-sessiond', '--no-kernel'], cpus='1')
        time.sleep(1.5)

    def run(self, *words):
        return subprocess.run([*self.prefix, 'lttng', '-n', *words], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              check=False, timeout=300)

    def begin(self):
        self.run('create', 'b', '-o', self.home + '/trace')
        self.run('enable-channel', '-u', '-s', 'b', '--num-subbuf=16', '--subbuf-size=4M', 'c')
        self.run('enable-event', '-u', '-s', 'b', '-c', 'c', 'bench:work')
        return self.run('start', 'b').returncode == 0

    def finish(self):
        """Events lost."""
        self.run('stop', 'b')
        m = re.search(r'Discarded events: (\d+)', self.run('list', 'b').stdout)
        self.run('destroy', 'b')
        shutil.rmtree(self.home + '/trace', ignore_errors=True)
        return int(m.group(1)) if m else -1

    def consumer_pid(self):
        return next((p for p in drive.family(self.daemon.pid) if 'consumerd' in drive.comm(p)), self.daemon.pid)

    def end(self):
        self.daemon.end(20)
        shutil.rmtree(self.home, ignore_errors=True)


def lttng(b, kind):
    def measure():
        if not b.static:
            return None
        l = Lttng(b.work)
        t = drive.Target([*l.prefix, b.static, *kind.split()])
        try:
            time.sleep(1)
            base = t.sample(b.seconds)
            if not l.begin():
                return None
            t.sample(b.seconds)
            cost = t.sample(b.seconds) - base
            lost = l.finish()
            return Lost(cost) if lost else cost
        finally:
            t.end()
            l.end()
    return measure
