# SPDX-License-Identifier: MIT
"""What the tests of the kernel's side share: tracefs of our own, perf, a target that waits to be told to begin."""
import os
import re
import select
import shutil
import subprocess
import tempfile
import time

import lib

TRIGGERS = os.path.join(lib.BUILD, 'tests', 'trigger')
CANNOT = re.compile(r'CAP_BPF|has no BPF|does not describe its types|locked down')


def need_kernel():
    """Raises Skip where this machine lets nobody trace the kernel."""
    r = lib.dyntrace('-qn', 'BEGIN { exit(0); } syscall::getpid:entry', check=False)
    if r.returncode and CANNOT.search(r.stderr):
        raise lib.Skip(r.stderr.strip().splitlines()[-1])


def need_probe(*probes):
    for p in probes:
        if 'No probe matches' in lib.dyntrace('-ln', p, check=False).stderr:
            raise lib.Skip(f'this kernel has no {p}')


def in_private(args):
    """A command line that runs @args where tracefs is mounted, and nobody else sees it."""
    return ['unshare', '-m', 'sh', '-c', 'mount -t tracefs none /sys/kernel/tracing 2>/dev/null; exec "$@"', 'sh',
            *[str(a) for a in args]]


def perf(*args, check=True, timeout=120):
    r = subprocess.run(in_private(['perf', *args]), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       errors='replace', timeout=timeout * lib.SLOW, check=False)
    if check:
        assert r.returncode == 0, f'perf {" ".join(str(a) for a in args)}: status {r.returncode}\n{r.stderr[-2000:]}'
    return r


class Perf:
    """perf record and the like in the background; ends with Ctrl-C."""

    def __init__(self, *args):
        lib.need('perf', 'unshare')
        self.errs = tempfile.TemporaryFile('w+')
        self.dir = tempfile.TemporaryDirectory()
        self.ctl, self.ack = self.dir.name + '/ctl', self.dir.name + '/ack'
        if '-D' in args:
            os.mkfifo(self.ctl)
            os.mkfifo(self.ack)
            at = args.index('-D')
            args = [*args[:at], f'--control=fifo:{self.ctl},{self.ack}', *args[at:]]
        self.proc = subprocess.Popen(in_private(['perf', *args]), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                     stderr=self.errs)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
        self.errs.close()
        self.dir.cleanup()

    def enable(self):
        """Begun with -D -1: from when this returns its events are recorded."""
        fds = [os.open(f, os.O_RDWR) for f in (self.ctl, self.ack)]
        os.write(fds[0], b'enable\n')
        readable, _, _ = select.select([fds[1]], [], [], 30 * lib.SLOW)
        assert readable, 'perf did not begin'
        for f in fds:
            os.close(f)

    def stop(self):
        """What it said."""
        self.proc.send_signal(2)
        self.proc.wait(60 * lib.SLOW)
        self.errs.seek(0)
        return self.errs.read()


class Waiting:
    """A program of ours that begins when it is told to: a script of sh or python3, or a trigger.  Its first line of
    input, or the end of it, is for it."""

    def __init__(self, *args, **more):
        more = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL, **more}
        self.proc = subprocess.Popen([str(a) for a in args], stdin=subprocess.PIPE, **more)
        self.pid = self.proc.pid

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.stdin.close()
        self.proc.wait()

    def settled(self):
        """It sleeps, where it waits for us."""
        lib.wait_for(lambda: self.state() == 'S', 'the target to wait')

    def state(self):
        with open(f'/proc/{self.pid}/stat', encoding='utf-8', errors='replace') as f:
            return f.read().rsplit(')', 1)[1].split()[0]

    def go(self, timeout=60):
        self.proc.stdin.write(b'go\n')
        self.proc.stdin.flush()
        self.proc.wait(timeout * lib.SLOW)


class Counting(lib.Tracing):
    """dyntrace until Ctrl-C; lines "key ... number" that the script prints at its end, as a dict."""

    def __init__(self, script, *args):
        self.begun = tempfile.NamedTemporaryFile('r')
        super().__init__('-q', '-o', self.begun.name, '-n', 'BEGIN { printf("begun\\n"); } ' + script, *args)

    def __exit__(self, *exc):
        super().__exit__(*exc)
        self.begun.close()

    def wait(self):
        """All probes are there."""
        def ready():
            if self.proc.poll() is not None:
                raise AssertionError(f'dyntrace ended early: {self.proc.communicate()[1][-2000:]}')
            with open(self.begun.name, encoding='utf-8') as f:
                return 'begun' in f.read()
        lib.wait_for(ready, 'dyntrace to begin')

    def counts(self):
        status, _, err = self.stop()
        assert status == 0, f'status {status}: {err}'
        assert 'drop' not in err and 'missed' not in err, err
        with open(self.begun.name, encoding='utf-8') as f:
            lines = [l.split() for l in f if l.strip() and l.strip() != 'begun']
        return {' '.join(l[:-1]): int(l[-1]) for l in lines}


class Tracefs:
    """An instance of tracefs, of our own: nobody else's buffers or events change."""

    def __init__(self):
        lib.need('unshare', 'nsenter')
        self.keeper = subprocess.Popen(['unshare', '-m', 'sh', '-c', 'mount -t tracefs none /sys/kernel/tracing; '
                                        'echo; read x'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.keeper.stdout.readline()
        root = f'/proc/{self.keeper.pid}/root/sys/kernel/tracing'
        self.events = root + '/events'
        self.dir = f'{root}/instances/dyntrace-test-{os.getpid()}'
        if not os.path.isdir(root + '/instances'):
            self.end()
            raise lib.Skip('this kernel has no tracefs')
        os.mkdir(self.dir)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.write('tracing_on', '0')
        self.write('events/enable', '0')
        for _ in range(50):
            try:
                os.rmdir(self.dir)
                break
            except OSError:
                time.sleep(0.1)
        self.end()

    def end(self):
        self.keeper.stdin.close()
        self.keeper.wait()

    def write(self, name, text):
        with open(f'{self.dir}/{name}', 'w', encoding='ascii') as f:
            f.write(text)

    def has(self, event):
        return os.path.isdir(f'{self.dir}/events/{event.replace(":", "/")}')

    def lost(self):
        n = 0
        for cpu in os.listdir(self.dir + '/per_cpu'):
            with open(f'{self.dir}/per_cpu/{cpu}/stats', encoding='ascii') as f:
                n += sum(int(l.split(':')[1]) for l in f if l.startswith(('overrun', 'dropped', 'commit overrun')))
        return n

    def lines(self):
        with open(self.dir + '/trace', encoding='utf-8', errors='replace') as f:
            return [l for l in f if not l.startswith('#')]


def have_perf():
    lib.need('perf', 'unshare')
    if not shutil.which('perf') or perf('--version', check=False).returncode:
        raise lib.Skip('perf does not run here')


def tests(those):
    """Runs them, by name; where this machine lets nobody trace the kernel each is a skip that says so."""
    tap = lib.Tap()
    why = []
    try:
        need_kernel()
    except lib.Skip as e:
        why.append(str(e))

    def body(fn):
        if why:
            raise lib.Skip(why[0])
        fn()
    for name, fn in those.items():
        tap.run(name, body, fn)
    tap.done()
