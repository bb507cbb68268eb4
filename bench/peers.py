# SPDX-License-Identifier: MIT
"""How each tracer is driven, and which programs are traced."""
import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import drive

# bpftrace wants tracefs to be mounted: in a mount namespace of its own, nothing is left behind.
TRACEFS = ['unshare', '-m', 'sh', '-c', 'test -e /sys/kernel/tracing/events || mount -t tracefs none /sys/kernel/tracing; exec "$@"', 'sh']
BUFFER_BYTES = 32 << 20 # of records, for each tracer
IPA = '/usr/lib/libinproctrace.so'
CPU, WALL, BYTE = 0, 1, 2 # of each function in each turn of pairs.c


def turns(*flags):
    return ['pairs.c', 'micro/limits.S'], [f'-DLIMIT_RING_BYTES={BUFFER_BYTES}', *flags]


LTTNG = ['-DLTTNG', '-I' + drive.HERE, '-llttng-ust', '-ldl']
PROGRAMS = { # name: (sources, flags)
    'target': (['target.c'], []),
    'target-lttng': (['target.c'], LTTNG),
    'loader': (['loader.c'], ['-g0', '-ldl']),
    'reads': (['reads.c'], []),
    'pairs': turns(),
    'pairs-frames': turns('-fno-omit-frame-pointer', '-mno-omit-leaf-frame-pointer'),
    'pairs-noframes': turns('-fomit-frame-pointer'),
    'pairs-profiled': turns('-pg', '-mfentry'),
    'pairs-fixed': turns('-no-pie'),
    'pairs-lttng': turns(*LTTNG),
}
LOST = re.compile(r'(\d+) drops?\b|Lost (\d+) events|LOST (\d+) records', re.I)


class Bench:
    """What all sections share."""

    def __init__(self, build, work, args):
        self.dyn = os.path.abspath(os.path.join(build, 'dyntrace'))
        self.build, self.work, self.args = build, work, args
        self.seconds = args.seconds
        self.quick = args.quick
        self.found = {} # rates that were sustained

    @functools.cache
    def compiled(self, name):
        """(path of the program, '') or ('', why there is none).  It is compiled when it is asked for the first time."""
        srcs, flags = PROGRAMS[name]
        out = os.path.join(self.work, name)
        cflags = [f for f in flags if not f.startswith('-l')]
        libs = [f for f in flags if f.startswith('-l')]
        r = subprocess.run(['gcc', '-O2', '-g', *cflags, '-o', out, *[os.path.join(drive.HERE, s) for s in srcs], '-pthread', *libs],
                           capture_output=True, text=True, check=False)
        if not r.returncode:
            return out, ''
        why = re.search(r'error: (.*)', r.stderr)
        return '', f'{name} does not compile' + (f': {why[1]}' if why else '')

    def program(self, name):
        """Its path."""
        path, why = self.compiled(name)
        if why:
            raise RuntimeError(why)
        return path

    @property
    def plain(self):
        return self.program('target')

    def has(self, who):
        need = {'bpftrace': 'bpftrace', 'uftrace': 'uftrace', 'LTTng-UST': 'lttng-sessiond', 'gdb': 'gdbserver', 'ltrace': 'ltrace'}
        word = who.split()[0].rstrip(',')
        if word == 'bpftrace' and os.geteuid():
            return False
        return word not in need or shutil.which(need[word]) is not None


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


def lost_of(said):
    return sum(int(n) for m in LOST.findall(said) for n in m if n)


class Side:
    """A tracer of one function among those that pairs.c calls.  @who: in the tables.  @function: its own; @base: the same, nobody's.
    @argv: what attaches it; PID and TARGET in it are the process's.  @program: which form of pairs.c it needs."""
    patches = True     # its probe is seen in the code
    column = CPU
    by = ['taskset', '-c', '0'] # what starts the process
    env = None         # of the process
    last = 0           # the signal that ends the process before the tracer; 0: it ends after that

    def __init__(self, who, function, base, argv=(), env=None, program='pairs'):
        self.who, self.function, self.base, self.argv, self.own_env, self.program = who, function, base, argv, env, program
        self.tools = []

    def missing(self, b):
        """Why it cannot be measured, or ''."""
        return b.compiled(self.program)[1] if b.has(self.who) else 'not installed, or not root'

    def prepare(self, b):
        """Before the process starts."""

    def begin(self, b, pid, exe):
        self.tools.append(drive.Tracer([a.replace('PID', str(pid)).replace('TARGET', exe) for a in self.argv], env=self.own_env))

    def runs(self):
        return all(t.runs() for t in self.tools)

    def end(self):
        """What it said at its end."""
        said = ''.join(t.end() for t in reversed(self.tools))
        self.tools = []
        return said


def dyntrace(b, d, function='work', base='work_base', opts=(), program='pairs'):
    return Side('dyntrace', function, base, [b.dyn, '-q', *opts, '-n', d, '-p', 'PID', '-o', '/dev/null'], program=program)


def bpftrace(d, function='nop5', base='nop5_base', note='', program='pairs'):
    env = dict(os.environ, BPFTRACE_PERF_RB_PAGES=str(BUFFER_BYTES >> 12))
    return Side('bpftrace' + note, function, base, TRACEFS + ['bpftrace', '-o', '/dev/null', '-e', d, '-p', 'PID'], env, program)


class Ltrace(Side):
    """It stops the thread at each hit, so that the clock counts, not the processor's time."""
    column = WALL

    def __init__(self, function, base):
        super().__init__('ltrace -x', function, base, ['ltrace', '-c', '-x', function, '-o', '/dev/null', '-p', 'PID'])


class Uftrace(Side):
    """It has to start the program, which is compiled for it."""
    patches = False
    last = signal.SIGTERM

    def __init__(self, function, base):
        super().__init__('uftrace, recompiled', function, base, program='pairs-profiled')
        self.data = None

    def prepare(self, b):
        self.data = tempfile.mkdtemp(dir=b.work)
        self.by = ['taskset', '-c', '1', 'uftrace', 'record', '--no-pager', '-b', f'{BUFFER_BYTES >> 21}M', '-d', self.data + '/data']

    def begin(self, b, pid, exe):
        pass

    def end(self):
        if self.data:
            shutil.rmtree(self.data, ignore_errors=True)
        return ''


class GdbFast(Side):
    """Fast tracepoints: the in-process agent is preloaded; gdb and gdbserver stay with the process.
    Jump pads lie low in memory, so the program does, too."""
    last = signal.SIGKILL

    def __init__(self, function, base):
        super().__init__('gdb fast tracepoint', function, base, program='pairs-fixed')
        self.env = dict(os.environ, LD_PRELOAD=IPA)

    def missing(self, b):
        return super().missing(b) or ('' if os.path.exists(IPA) else 'gdb has no in-process agent')

    def begin(self, b, pid, exe):
        port = free_port()
        self.tools.append(drive.Tracer(['gdbserver', '--once', '--attach', f':{port}', str(pid)]))
        time.sleep(1)
        script, says = os.path.join(b.work, 'gdb.script'), os.path.join(b.work, 'gdb.out')
        with open(script, 'w', encoding='ascii') as f:
            f.write(f'set confirm off\nset sysroot /\ntarget remote :{port}\ntvariable $n = 0\nftrace *{self.function}\nactions\n'
                    'teval $n = $n + 1\nend\ntstart\necho it is traced\\n\ncontinue\n')
        with open(says, 'wb') as out:
            self.tools.append(drive.Tracer(['gdb', '-q', '-nx', '-batch', '-x', script, exe], out=out))
        wait_for_text(says, b'it is traced', 60) # gdb reads symbols while the process is stopped


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
        """Whether events are recorded."""
        self.run('create', 'b', '-o', self.home + '/trace')
        self.run('enable-channel', '-u', '-s', 'b', f'--num-subbuf={BUFFER_BYTES >> 22}', '--subbuf-size=4M', 'c')
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


class LttngSide(Side):
    """A tracepoint that is compiled in."""
    patches = False

    def __init__(self, function, base):
        super().__init__('LTTng-UST, static tracepoint', function, base, program='pairs-lttng')
        self.session = None

    def prepare(self, b):
        self.session = Lttng(b.work)
        self.by = [*Side.by, *self.session.prefix]

    def begin(self, b, pid, exe):
        time.sleep(1) # the process registers
        if not self.session.begin():
            raise RuntimeError('lttng does not start')

    def end(self):
        if not self.session:
            return ''
        lost = self.session.finish()
        self.session.end()
        self.session = None
        return f'LOST {abs(lost)} records' if lost else ''
