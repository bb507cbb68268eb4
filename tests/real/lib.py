# SPDX-License-Identifier: MIT
"""What the tests on real programs share: TAP, running dyntrace, reading a process."""
import fcntl
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from procs import SLOW, alive, ends_with_us, take_signals, wait_for  # noqa: E402,F401 (for tests)

BUILD = os.environ.get('DYNTRACE_BUILD', 'build')
DYNTRACE = os.path.join(BUILD, 'dyntrace')
take_signals()


class Skip(Exception):
    """Raised by a test that cannot run here; says why."""


class Tap:
    """Collects results: `with tap.test(name): assert ...`."""

    def __init__(self):
        self.count = self.failed = 0
        self.only = sys.argv[1:]

    def run(self, name, fn, *args):
        if self.only and name not in self.only:
            return
        self.count += 1
        try:
            fn(*args)
        except Skip as e:
            print(f'ok {self.count} - {name} # SKIP {e}', flush=True)
            return
        except (AssertionError, subprocess.SubprocessError, OSError, ValueError, KeyError) as e:
            self.failed += 1
            print(f'not ok {self.count} - {name}')
            for line in (f'{type(e).__name__}: {e}').splitlines()[:40]:
                print('# ' + line)
            print(f"# again: DYNTRACE_BUILD={BUILD} {sys.argv[0]} '{name}'", flush=True)
            return
        print(f'ok {self.count} - {name}', flush=True)

    def done(self):
        print(f'1..{self.count}')
        sys.exit(1 if self.failed else 0)


def need(*programs):
    for p in programs:
        if not shutil.which(p):
            raise Skip(f'{p} is not installed')


def clean_env(**more):
    """The same small environment for every run of a program that is compared."""
    env = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL': 'C', 'HOME': '/nonexistent', 'LD_BIND_NOW': '1',
           'PYTHONHASHSEED': '0', 'PYTHONDONTWRITEBYTECODE': '1'}
    env.update({name: value for name, value in os.environ.items() if name.endswith('SAN_OPTIONS')})
    env.update(more)
    return env


def dyntrace(*args, timeout=120, env=None, check=True, stdin=subprocess.DEVNULL):
    """Runs dyntrace to its end; the completed process, with text output."""
    r = subprocess.run([DYNTRACE, *args], stdin=stdin, capture_output=True, text=True, errors='replace',
                       timeout=timeout * SLOW, env=env, check=False)
    if check:
        assert r.returncode == 0, f'dyntrace {" ".join(args)}: status {r.returncode}\n{r.stderr[-3000:]}'
    return r


def on_terminal(columns, *args):
    """What it writes to a terminal of that width."""
    here, there = os.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack('4H', 25, columns, 0, 0))
    with subprocess.Popen([DYNTRACE, *args], stdin=subprocess.DEVNULL, stdout=there, stderr=there, env=clean_env()) as p:
        os.close(there)
        text = b''
        try:
            while more := os.read(here, 65536):
                text += more
        except OSError: # nobody has the other end
            pass
    os.close(here)
    assert p.returncode == 0
    return text


class Tracing:
    """dyntrace in the background: `with Tracing('-n', ..., '-p', pid) as t: ...; t.stop()`."""

    def __init__(self, *args, env=None):
        self.args = [str(a) for a in args]
        self.proc = subprocess.Popen([DYNTRACE, *self.args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True, errors='replace', env=env)
        self.out = self.err = ''

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.communicate()

    def stop(self, sig=signal.SIGINT, timeout=60):
        """Ends it as Ctrl-C does; (status, stdout, stderr)."""
        if self.proc.poll() is None:
            self.proc.send_signal(sig)
        try:
            self.out, self.err = self.proc.communicate(timeout=timeout * SLOW)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'dyntrace does not end:\n{stacks(self.proc.pid)}') from None
        return self.proc.returncode, self.out, self.err

    def wait_begun(self, text='begun\n', timeout=60):
        """Until its BEGIN has said @text: all is armed for good then, where it may begin anew for the sake of refused places."""
        said, end = '', time.monotonic() + timeout * SLOW
        while not said.endswith(text):
            ready, _, _ = select.select([self.proc.stdout], [], [], max(0, end - time.monotonic()))
            more = os.read(self.proc.stdout.fileno(), 1) if ready else b''
            if not more:
                raise AssertionError(f'dyntrace has not begun: {said!r} {self.stop()}')
            said += more.decode()

    def wait_armed(self, pid, timeout=60):
        """Until probes are placed in the target and what they find there is on: not in what is armed, refused places and made anew."""
        end = time.monotonic() + timeout * SLOW
        while time.monotonic() < end:
            if self.proc.poll() is not None:
                self.out, self.err = self.proc.communicate()
                raise AssertionError(f'dyntrace ended early ({self.proc.returncode}): {self.err[-2000:]}')
            # The loader gets our own hook first; the rest is placed in one stop, which is over when nobody traces the target.
            if any('ld-linux' not in c[0] for c in changed_text(pid)) and tracer_of(pid) == 0 and is_on(pid):
                return
            time.sleep(0.05)
        raise AssertionError('nothing was armed')


def tracer_of(pid):
    with open(f'/proc/{pid}/status', encoding='ascii', errors='replace') as f:
        return next(int(l.split()[1]) for l in f if l.startswith('TracerPid'))


def stacks(pid):
    """Where a process is, for the report of a hang."""
    out = subprocess.run(['gdb', '-p', str(pid), '-batch', '-ex', 'thread apply all bt'], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, errors='replace').stdout
    return '\n'.join(out.splitlines()[-40:])


def maps(pid):
    with open(f'/proc/{pid}/maps', encoding='utf-8', errors='replace') as f:
        for line in f:
            parts = line.split(None, 5)
            start, end = (int(x, 16) for x in parts[0].split('-'))
            yield start, end, parts[1], int(parts[2], 16), parts[5].strip() if len(parts) > 5 else ''


def ours_mapped(pid):
    """Mappings that tracing left or made."""
    return [m for m in maps(pid) if 'dyntrace' in m[4]]


MAGIC = b'yntrace1' # struct wire_shm.magic
ARMED = 4096 # struct wire_shm.armed, behind the first page


def shm_of(pid):
    """Where memory that is shared with a dyntrace begins in @pid, whoever made it: that of the kernel has no name of its own."""
    with open(f'/proc/{pid}/mem', 'rb', buffering=0) as mem:
        for start, _, prot, _, _ in maps(pid):
            if prot[0] == 'r' and prot[3] == 's':
                try:
                    mem.seek(start)
                    if mem.read(len(MAGIC)) == MAGIC:
                        yield start
                except OSError: # gone meanwhile, or nothing that can be read so
                    continue


def is_on(pid):
    """The probes of a session at @pid do something: a dyntrace sets that last, when nothing is made anew any more."""
    with open(f'/proc/{pid}/mem', 'rb', buffering=0) as mem:
        for start in shm_of(pid):
            try:
                mem.seek(start + ARMED)
                if mem.read(4) == b'\1\0\0\0':
                    return True
            except OSError:
                continue
    return False


def changed_text(pid):
    """Places where executable file mappings of @pid differ from their files: [(path, offset, bytes)]."""
    found = []
    with open(f'/proc/{pid}/mem', 'rb', buffering=0) as mem:
        for start, end, prot, off, path in maps(pid):
            if 'x' not in prot or not path.startswith('/') or 'dyntrace' in path or path.startswith('/memfd:'):
                continue
            try:
                with open(f'/proc/{pid}/root{path}', 'rb') as f:
                    f.seek(off)
                    want = f.read(end - start)
            except OSError:
                continue
            mem.seek(start)
            have = mem.read(len(want))
            if have != want:
                at = next(i for i in range(len(want)) if have[i] != want[i])
                found.append((path, off + at, have[at:at + 16].hex()))
    return found


def assert_untouched(pid):
    """The target's text is as in its files, and nothing of ours is mapped."""
    changed = changed_text(pid)
    assert not changed, f'text differs from its file: {changed[:3]}'
    left = ours_mapped(pid)
    assert not left, f'still mapped: {left[:3]}'
