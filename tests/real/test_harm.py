#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Bad input gets one clear message and status 1 (2 for usage), and the target is never harmed, whatever
happens to it or to dyntrace while probes are armed."""
import os
import random
import re
import signal
import subprocess
import tempfile
import time

import lib

COUNT_ALL = 'pid$target:::entry,pid$target:::return { @[probename] = count(); }'
LOOP = 'import time\nn = 0\nwhile True:\n n += len(str(list(range(100))))\n time.sleep(0.0001)\n'


class Python:
    """A python3 that works until it is told to end; `with Python(code) as pid`."""

    def __init__(self, code=LOOP):
        self.code = code

    def __enter__(self):
        self.proc = subprocess.Popen(['/usr/bin/python3', '-c', self.code], env=lib.clean_env(), stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        time.sleep(0.4)
        return self.proc.pid

    def __exit__(self, *exc):
        self.proc.kill()
        self.proc.communicate()


def refuses(args, status, *patterns):
    r = lib.dyntrace(*args, check=False, timeout=60)
    assert r.returncode == status, f'status {r.returncode}, not {status}: {r.stderr[-800:]}'
    for p in patterns:
        assert re.search(p, r.stderr, re.I | re.S), f'no /{p}/ in: {r.stderr[-1500:]}'
    assert 'Assertion' not in r.stderr and 'Sanitizer' not in r.stderr, r.stderr[-800:]


def no_such_pid():
    refuses(['-n', 'pid$target::malloc:entry{}', '-p', '4194303'], 1, '4194303', 'no process')


def zombie():
    proc = subprocess.Popen(['true'])
    time.sleep(0.3)
    try:
        refuses(['-n', 'pid$target::malloc:entry{}', '-p', str(proc.pid)], 1, str(proc.pid))
    finally:
        proc.wait()


def kernel_thread():
    refuses(['-n', 'pid$target::malloc:entry{}', '-p', '2'], 1, 'kernel')


def traced_already():
    with Python() as pid:
        strace = subprocess.Popen(['gdb', '-batch', '-nx', '-p', str(pid), '-ex', 'shell sleep 6'],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        try:
            lib.wait_for(lambda: re.search(r'TracerPid:\s*[1-9]', open(f'/proc/{pid}/status', encoding='ascii').read()),
                         'gdb to attach')
            refuses(['-n', 'pid$target::malloc:entry{}', '-p', str(pid)], 1, 'traced', str(strace.pid))
        finally:
            strace.wait(30 * lib.SLOW)
        assert lib.alive(pid)


def not_permitted():
    lib.need('setpriv')
    with Python() as pid:
        r = subprocess.run(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all',
                            os.path.abspath(lib.DYNTRACE), '-n', 'pid$target::malloc:entry{}', '-p', str(pid)],
                           capture_output=True, text=True, timeout=60 * lib.SLOW, check=False)
        if 'failed to execute' in r.stderr or r.returncode == 126:
            raise lib.Skip('nobody cannot reach the build folder')
        assert r.returncode == 1, r.stderr
        assert re.search('not permitted|permission', r.stderr, re.I), r.stderr
        lib.assert_untouched(pid)


def no_function():
    with Python() as pid:
        refuses(['-n', 'pid$target::mallok:entry{}', '-p', str(pid)], 1, 'does not match any probes', 'malloc')
        lib.assert_untouched(pid)


def no_module():
    with Python() as pid:
        refuses(['-n', 'pid$target:libnothere*:malloc:entry{}', '-p', str(pid)], 1, 'does not match any probes')


def syntax():
    refuses(['-n', 'BEGIN { printf("%d\\n", 1 + ; }'], 1, r'1 \|', r'\^')
    with tempfile.NamedTemporaryFile('w', suffix='.d') as f:
        f.write('BEGIN\n{\n\tx = 1;\n\ttrace(x +* 2);\n}\n')
        f.flush()
        refuses(['-s', f.name], 1, os.path.basename(f.name), 'line 4', r'\^')


def types():
    refuses(['-n', 'BEGIN { x = "string"; trace(x * 2); }'], 1, r'1 \|', r'\^')


def usage():
    refuses(['-p'], 2)
    refuses(['--no-such-flag'], 2)
    refuses([], 2)


def odd_offset():
    with Python() as pid:
        refuses(['-n', 'pid$target:libc.so.6:malloc:ffffff {}', '-p', str(pid)], 1, 'offset')
        lib.assert_untouched(pid)


def bad_command():
    refuses(['-n', 'BEGIN{}', '-c', '/nonexistent/program'], 1, '/nonexistent/program', 'no such file')


def thirty_two_bits():
    with tempfile.TemporaryDirectory() as work:
        # A 32-bit program without any libc: an endless pause(2) by int 0x80.
        r = subprocess.run(['gcc', '-m32', '-nostdlib', '-static', '-x', 'assembler', '-', '-o', f'{work}/p32'],
                           input='.globl _start\n_start: mov $29,%eax\nint $0x80\njmp _start\n', text=True,
                           capture_output=True, check=False)
        if r.returncode:
            raise lib.Skip('no 32-bit linker')
        try:
            proc = subprocess.Popen([f'{work}/p32'])
        except OSError as e:
            raise lib.Skip(f'no 32-bit programs run here: {e}')
        try:
            time.sleep(0.2)
            if proc.poll() is not None:
                raise lib.Skip('no 32-bit programs run here')
            refuses(['-n', 'pid$target:::entry{}', '-p', str(proc.pid)], 1, '32-bit')
        finally:
            proc.kill()
            proc.wait()


def killed_controller(sig):
    """SIGKILL (or another end) of dyntrace with everything armed: the target goes on correctly."""
    code = ('import hashlib, sys\nd = b"x" * 1000\nwant = hashlib.md5(d).hexdigest()\n'
            'while True:\n assert hashlib.md5(d).hexdigest() == want\n print("ok", flush=True)\n')
    with Python(code) as pid:
        drain = subprocess.Popen(['cat'], stdin=open(f'/proc/{pid}/fd/1', 'rb'), stdout=subprocess.DEVNULL)
        try:
            with lib.Tracing('-n', COUNT_ALL, '-p', pid) as t:
                t.wait_armed(pid)
                time.sleep(0.3)
                if sig == signal.SIGKILL:
                    t.proc.kill()
                    t.proc.communicate()
                else:
                    t.stop(sig)
            before = cpu(pid)
            time.sleep(1)
            assert lib.alive(pid)
            assert cpu(pid) > before, 'the target does not run'
            if sig != signal.SIGKILL:
                lib.assert_untouched(pid)
            # The next one works, and cleans up.
            lib.dyntrace('-n', COUNT_ALL + ' tick-300ms { exit(0); }', '-p', str(pid))
            assert lib.alive(pid)
            lib.assert_untouched(pid)
        finally:
            drain.kill()
            drain.wait()


def killed_while_attaching():
    """SIGKILL of dyntrace at any moment of its coming: threads that it borrowed find back."""
    code = ('import hashlib, threading, time\nd = b"x" * 1000\nwant = hashlib.md5(d).hexdigest()\n'
            'def run():\n while True:\n  assert hashlib.md5(d).hexdigest() == want\n  time.sleep(0.0001)\n'
            'for i in range(3): threading.Thread(target=run, daemon=True).start()\nrun()\n')
    with Python(code) as pid:
        for i in range(40):
            t = subprocess.Popen([lib.DYNTRACE, '-q', '-n', 'pid$target:libc.so*:read:entry { @ = count(); }', '-p', str(pid)],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.004 + i * 0.003)
            t.kill()
            t.wait()
            time.sleep(0.02)
            assert lib.alive(pid), f'the target died with kill {i}'
        before = cpu(pid)
        time.sleep(0.5)
        assert cpu(pid) > before, 'the target does not run'
        lib.dyntrace('-n', 'pid$target:libc.so*:read:entry { @ = count(); } tick-300ms { exit(0); }', '-p', str(pid))
        lib.assert_untouched(pid)


def interrupted_as_it_comes():
    """SIGINT at any moment from exec on (Popen has returned, so that is over) ends it, and all is as before."""
    read = 'pid$target:libc.so*:read:entry { @ = count(); }'
    kinds = [['-qn', read, '-p', '{pid}'], ['-qn', 'pid$target:libc.so*::entry { @ = count(); }', '-p', '{pid}'], ['-qn', read, '-c', 'sleep 100'],
             ['-qn', 'BEGIN { }']]
    if not os.geteuid():
        kinds += [['-qn', 'syscall::read:entry { @ = count(); }'], ['-qn', read + 'syscall::read:entry { @r = count(); }', '-p', '{pid}'], ['syscalls']]
    seed = random.randrange(1 << 32)
    rnd = random.Random(seed)
    kinds[2][-1] = command = f'sleep 100.{seed}'
    with Python() as pid:
        for i in range(len(kinds) * 20):
            args = [a.format(pid=pid) if a == '{pid}' else a for a in kinds[i % len(kinds)]]
            t = subprocess.Popen([lib.DYNTRACE, *args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
            time.sleep(rnd.random() * 0.08)
            t.send_signal(signal.SIGINT)
            try:
                t.wait(60 * lib.SLOW)
            except subprocess.TimeoutExpired:
                t.kill()
                t.wait()
                raise AssertionError(f'{args}: a SIGINT was lost (seed {seed}, round {i})') from None
        lib.assert_untouched(pid)
    assert subprocess.run(['pgrep', '-f', f'^{command}$'], capture_output=True, text=True, check=False).stdout == '', 'a command was left'


def cpu(pid):
    with open(f'/proc/{pid}/stat', encoding='utf-8') as f:
        p = f.read().rsplit(')', 1)[1].split()
    return int(p[11]) + int(p[12])


def told(code, *args):
    """A python3 that runs @code once it is told to, while dyntrace @args traces it: (its status, its output, dyntrace's
    status, output and messages)."""
    proc = subprocess.Popen(['/usr/bin/python3', '-c', 'import os, sys\nsys.stdin.readline()\n' + code], env=lib.clean_env(),
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    time.sleep(0.3)
    try:
        with lib.Tracing(*args, '-p', proc.pid) as t:
            if '-Z' in args: # nothing to place yet
                lib.wait_for(lambda: lib.is_on(proc.pid) and lib.tracer_of(proc.pid) == 0, 'dyntrace to begin')
            else:
                t.wait_armed(proc.pid)
            out, _ = proc.communicate('go\n', timeout=60 * lib.SLOW)
            t.out, t.err = t.proc.communicate(timeout=60 * lib.SLOW)
            return proc.returncode, out, t.proc.returncode, t.out, t.err
    finally:
        if proc.poll() is None:
            proc.kill()
            proc.wait()


def exits_while_armed():
    status, out, own, text, err = told('print(sum(range(10)))', '-n', COUNT_ALL)
    assert status == 0 and out == '45\n', (status, out)
    assert own in (0, 1) and re.search(r'entry\s+\d+', text), (own, text[-300:], err[-500:])


def execs_while_armed():
    status, out, _, _, err = told('os.execv("/bin/sh", ["sh", "-c", "sleep 1; echo through"])', '-n', COUNT_ALL)
    assert status == 0 and out == 'through\n', (status, out)
    assert re.search('another program', err, re.I), err[-500:]


def forks_while_armed():
    code = ('import os, sys\nfor i in range(200):\n p = os.fork()\n if p == 0:\n  x = sorted(str(j) for j in range(500))\n'
            '  os._exit(7 if len(x) == 500 else 1)\n assert os.waitpid(p, 0)[1] == 7 << 8, i\n'
            'import subprocess\nfor i in range(20): assert subprocess.run(["true"]).returncode == 0\nprint("done")\n')
    r = lib.dyntrace('-n', COUNT_ALL, '-c', '/usr/bin/python3 ' + script(code), check=False)
    assert r.returncode == 0 and 'done' in r.stdout, (r.returncode, r.stdout[-300:], r.stderr[-800:])


def script(code):
    f = tempfile.NamedTemporaryFile('w', suffix='.py', delete=False)
    f.write(code)
    f.close()
    return f.name


def signals_and_threads():
    """Eight threads that start, end and take signals while everything is armed and disarmed again and again."""
    code = ('import threading, signal, hashlib, time\nhits = [0]\n'
            'def h(*a): hits[0] += 1\n'
            'signal.signal(signal.SIGALRM, h); signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)\n'
            'def w():\n  for i in range(50): assert hashlib.sha1(str(i).encode()).hexdigest()\n'
            'end = time.time() + 20\n'
            'while time.time() < end:\n ts = [threading.Thread(target=w) for _ in range(8)]\n'
            ' [t.start() for t in ts]; [t.join() for t in ts]\n'
            'signal.setitimer(signal.ITIMER_REAL, 0)\nassert hits[0] > 100\nprint("fine")\n')
    proc = subprocess.Popen(['/usr/bin/python3', script(code)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=lib.clean_env())
    time.sleep(0.5)
    for _ in range(8):
        r = lib.dyntrace('-n', COUNT_ALL + ' tick-500ms { exit(0); }', '-p', str(proc.pid), check=False)
        if proc.poll() is not None:
            break
        assert r.returncode == 0, r.stderr[-800:]
        lib.assert_untouched(proc.pid)
    out, err = proc.communicate(timeout=60 * lib.SLOW)
    assert proc.returncode == 0 and out == 'fine\n', (proc.returncode, out, err[-500:])


def late_library():
    """A library that is loaded while probes on it are asked for is armed as it loads."""
    code = 'import sqlite3\nc = sqlite3.connect(":memory:")\nprint(c.execute("select 1+1").fetchall())'
    _, out, _, text, err = told(code, '-q', '-Z', '-n', 'pid$target:libsqlite3*:sqlite3_*:entry { @[probefunc] = count(); }')
    assert out == '[(2,)]\n', out
    assert re.search(r'sqlite3_prepare_v\d\s+\d+', text) and re.search(r'sqlite3_initialize\s+\d+', text), \
        (text[-600:], err[-600:])


def main():
    tap = lib.Tap()
    for name, fn in (('no such process', no_such_pid), ('zombie', zombie), ('kernel thread', kernel_thread),
                     ('traced by gdb already', traced_already), ('not permitted', not_permitted),
                     ('no such function: near names', no_function), ('no such module', no_module),
                     ('syntax error with caret', syntax), ('type error with caret', types), ('usage', usage),
                     ('offset outside the function', odd_offset), ('command that is not there', bad_command),
                     ('32-bit target', thirty_two_bits), ('target exits while armed', exits_while_armed),
                     ('target execs while armed', execs_while_armed), ('target forks while armed', forks_while_armed),
                     ('threads and signals', signals_and_threads), ('library that comes later', late_library)):
        tap.run(name, fn)
    tap.run('dyntrace is killed while it attaches', killed_while_attaching)
    tap.run('dyntrace is interrupted as it comes', interrupted_as_it_comes)
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        tap.run(f'dyntrace ends by {sig.name} while armed', killed_controller, sig)
    tap.done()


if __name__ == '__main__':
    main()
