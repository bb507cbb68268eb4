# SPDX-License-Identifier: MIT
"""A machine for the daemon: three users (ann is in group dyntrace, bob is not, root) in a mount namespace of its own, where
/etc/passwd and /etc/group have them; the programs copied to where all can run them.

A test is a function without arguments; main(tests) runs them and speaks TAP.
"""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from procs import SLOW, alive, ends_with_us, take_signals, wait_for  # noqa: E402

BUILD = os.environ['DYNTRACE_BUILD']
ANN, BOB, ROOT = 40001, 40002, 0
GROUP = 40100
NAMES = {ANN: 'ann', BOB: 'bob', ROOT: 'root'}
PLACE = None  # a folder that everybody may enter


class Skip(Exception):
    pass


def in_namespace():
    if os.environ.get('DYNTRACED_TEST_NS'):
        return
    if os.getuid() or not shutil.which('unshare'):
        print('1..0 # SKIP root and unshare(1) are needed')
        sys.exit(0)
    os.execvpe('unshare', ['unshare', '-m', '--propagation', 'private', sys.executable] + sys.argv,
               dict(os.environ, DYNTRACED_TEST_NS='1'))


def make_users():
    for name, lines in ('passwd', [f'ann:x:{ANN}:{ANN}::/:/bin/sh', f'bob:x:{BOB}:{BOB}::/:/bin/sh']), \
            ('group', [f'ann:x:{ANN}:', f'bob:x:{BOB}:', f'dyntrace:x:{GROUP}:ann']):
        with open(f'/etc/{name}', encoding='utf-8') as f:
            text = f.read().rstrip('\n')
        path = f'{PLACE}/{name}'
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text + '\n' + '\n'.join(lines) + '\n')
        subprocess.run(['mount', '--bind', path, f'/etc/{name}'], check=True)


def begin():
    global PLACE
    in_namespace()
    PLACE = tempfile.mkdtemp(prefix='dyntraced-test-')
    os.chmod(PLACE, 0o755)
    make_users()
    for name in ['dyntrace', 'dyntraced', 'libdyntrace-agent.so']:
        shutil.copy(f'{BUILD}/{name}', PLACE)
    os.environ.pop('DTRACE_OPT_DAEMON', None)


def children(pid, name=None):
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        with open(f'/proc/{pid}/task/{pid}/children', encoding='utf-8') as f:
            found = [int(p) for p in f.read().split()]
    def comm(p):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f'/proc/{p}/comm', encoding='utf-8') as f:
                return f.read().strip()
        return ''
    return [p for p in found if alive(p) and (not name or comm(p) == name)]


class Daemon:
    def __init__(self, conf='', args=(), env=None, run_dir=None):
        self.dir = run_dir or tempfile.mkdtemp(prefix='run-', dir=PLACE)
        os.chmod(self.dir, 0o755)
        self.sock = f'{self.dir}/dyntraced.sock'
        self.conf = f'{self.dir}/conf'
        with open(self.conf, 'w', encoding='utf-8') as f:
            f.write(conf)
        self.log_path = f'{self.dir}/log'
        self.args, self.env = list(args), env or {}

    def __enter__(self):
        self.start()
        return self

    def start(self):
        before = self.log().count('ready') if os.path.exists(self.log_path) else 0
        with open(self.log_path, 'a', encoding='utf-8') as log:
            self.proc = subprocess.Popen([f'{PLACE}/dyntraced', '--run-dir', self.dir, '-f', self.conf] + self.args,
                                         stderr=log, env=dict(os.environ, **self.env), preexec_fn=ends_with_us)
        self.pid = self.proc.pid
        try:
            wait_for(lambda: self.log().count('ready') > before, 'daemon')
        except BaseException:
            self.stop()
            raise

    def log(self):
        with open(self.log_path, encoding='utf-8') as f:
            return f.read()

    def workers(self):
        return children(self.pid, 'dyntraced-work')

    def notes(self):
        return os.listdir(f'{self.dir}/targets')

    def stop(self):
        if self.proc.poll() is None:
            self.proc.terminate()
            try:
                self.proc.wait(30 * SLOW)
            finally:
                self.proc.kill()
        return self.proc.returncode

    def __exit__(self, *exc):
        self.stop()


def as_user(uid):
    if not uid:
        return {}
    return {'user': uid, 'group': uid, 'extra_groups': [GROUP] if uid == ANN else []}


def popen(daemon, uid, *args, **kw):
    env = dict(os.environ, DYNTRACED_SOCKET=daemon.sock if daemon else '/nonexistent', LC_ALL='C')
    return subprocess.Popen([f'{PLACE}/dyntrace'] + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=env, cwd='/', **as_user(uid), **kw)


def dyntrace(daemon, uid, *args, timeout=60, status=None, **kw):
    p = popen(daemon, uid, *args, **kw)
    try:
        out, err = p.communicate(timeout=timeout * SLOW)
    except subprocess.TimeoutExpired:
        p.kill()
        raise AssertionError(f'dyntrace {args} did not end: {p.communicate()}') from None
    if status is not None:
        assert p.returncode == status, f'status {p.returncode}, not {status}: {out}{err}'
    return p.returncode, out, err


class Cat:
    """A process of @uid that writes a line whenever it is told: its write() is what is traced."""

    def __init__(self, uid, exe='/bin/cat'):
        self.proc = subprocess.Popen([exe], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd='/', **as_user(uid))
        self.pid = self.proc.pid
        self.say()

    def __enter__(self):
        return self

    def say(self, text=b'hello\n'):
        self.proc.stdin.write(text)
        self.proc.stdin.flush()
        assert self.proc.stdout.readline() == text
        wait_for(self.reads, 'cat that has left its write()')

    def reads(self):
        """Whether it waits for its next line: the line before can be read before write() has returned."""
        with open(f'/proc/{self.pid}/syscall', encoding='utf-8') as f:
            return f.read().startswith('0 ')

    def is_clean(self):
        p = subprocess.run([f'{PLACE}/dyntrace', 'verify', '-p', str(self.pid)], capture_output=True, text=True, check=False)
        return p.returncode == 0

    def __exit__(self, *exc):
        self.proc.kill()
        self.proc.communicate()


WRITES = 'pid$target:libc.so.6:write:entry'


def armed(daemon, before=0):
    wait_for(lambda: daemon.log().count('places armed') > before, 'armed probes')


def trace_cat(daemon, uid, cat, script, says=3, args=(), end=signal.SIGINT):
    """Runs @script on @cat, which writes @says lines while it is armed; the output."""
    before = daemon.log().count('places armed')
    p = popen(daemon, uid, '-q', *args, '-n', script, '-p', str(cat.pid))
    try:
        wait_for(lambda: daemon.log().count('places armed') > before or p.poll() is not None, 'armed probes')
        for _ in range(says):
            cat.say()
        if end:
            p.send_signal(end)
        out, err = p.communicate(timeout=30 * SLOW)
    finally:
        p.kill()
    return p.returncode, out, err


def end():
    for name in 'passwd', 'group':
        subprocess.run(['umount', f'/etc/{name}'], check=False)
    shutil.rmtree(PLACE, ignore_errors=True)


def main(tests, begin=begin, end=end):
    take_signals()
    begin()
    print(f'1..{len(tests)}')
    try:
        bad = run_all(tests)
    finally:
        end()
    sys.exit(bad)


def run_all(tests):
    bad = False
    for i, test in enumerate(tests, 1):
        name = test.__name__.replace('_', ' ')
        try:
            test()
            print(f'ok {i} - {name}', flush=True)
        except Skip as e:
            print(f'ok {i} - {name} # SKIP {e}', flush=True)
        except Exception:  # pylint: disable=broad-except
            bad = True
            print(f'not ok {i} - {name}')
            print('\n'.join('# ' + line for line in traceback.format_exc().rstrip().split('\n')), flush=True)
    return bad


def has(pattern, text):
    assert re.search(pattern, text, re.S), f'no /{pattern}/ in: {text}'
