#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Programs that offer themselves (LD_PRELOAD, -ldyntrace-agent): traced while strace or gdb has them, through fork, exec, changes
of user, closed descriptors, the daemon's end; and without a daemon, or where they may not, as if nothing were there."""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from machine import ANN, BOB, ROOT, Daemon, Skip, WRITES, alive, as_user, dyntrace, has, main, popen, wait_for
import machine

COUNT = WRITES + ' { @ = count(); }'
EVERYBODYS_PYTHON = shutil.which('python3', path='/usr/bin:/bin:/usr/local/bin') or sys.executable
AGENT = 'dyntrace-agent'  # what its thread is called


def lib():
    return f'{machine.PLACE}/libdyntrace-agent.so'


def env_for(d, **more):
    return dict(os.environ, LD_PRELOAD=lib(), DYNTRACED_SOCKET=d.sock if d else '/nonexistent/dyntraced.sock', LC_ALL='C', **more)


def threads(pid):
    """Their names."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for tid in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{tid}/comm', encoding='utf-8') as f:
                found.append(f.read().strip())
    return found


def agent_tid(pid):
    for tid in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{tid}/comm', encoding='utf-8') as f:
            if f.read().strip() == AGENT:
                return int(tid)
    return 0


RECVMSG = 47 # x86-64


def waits_for_word(pid):
    with open(f'/proc/{pid}/task/{agent_tid(pid) or pid}/syscall', encoding='utf-8') as f:
        return f.read().startswith(f'{RECVMSG} ')


def offers(d):
    return [int(p) for p in os.listdir(f'{d.dir}/offers')]


class Program:
    """One that answers lines, and offers itself to @d."""

    def __init__(self, d, argv=('/bin/cat',), uid=ROOT, wait=True, **env):
        self.proc = subprocess.Popen(list(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd='/', env=env_for(d, **env), **as_user(uid))
        self.pid, self.daemon = self.proc.pid, d
        if wait:
            wait_for(lambda: self.pid in offers(d), 'offer')

    def __enter__(self):
        return self

    def say(self, text='hello'):
        self.proc.stdin.write(text.encode() + b'\n')
        self.proc.stdin.flush()
        return self.proc.stdout.readline().decode().strip()

    def end(self):
        self.proc.stdin.close()
        self.proc.stdin = None
        return self.proc.wait(20)

    def verify(self):
        p = subprocess.run([f'{machine.PLACE}/dyntrace', 'verify', '-p', str(self.pid)], capture_output=True, text=True, check=False)
        return p.returncode == 0, p.stdout

    def __exit__(self, *exc):
        with contextlib.suppress(BrokenPipeError):
            self.proc.kill()
            self.proc.communicate()


PYTHON = (os.path.realpath(sys.executable), '-c', '''
import sys
for line in iter(sys.stdin.buffer.readline, b''):
    try:
        got = eval(line.decode())
    except SyntaxError:
        exec(line.decode()); got = None
    sys.stdout.buffer.write(str(got).encode() + b'\\n'); sys.stdout.buffer.flush()
''')


@contextlib.contextmanager
def traced_by(*argv, pid):
    if not shutil.which(argv[0]):
        raise Skip(f'no {argv[0]}')
    t = subprocess.Popen(list(argv) + ['-p', str(pid)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def is_there():
        with open(f'/proc/{pid}/status', encoding='utf-8') as f:
            return f'TracerPid:\t{t.pid}\n' in f.read()
    try:
        wait_for(is_there, argv[0])
        yield t
    finally:
        t.kill()
        t.communicate()


def strace(pid):
    return traced_by('strace', '-f', '-q', '-e', 'trace=none', pid=pid)


def trace(d, p, script=COUNT, uid=ROOT, says=3, args=(), said='hello'):
    before = d.log().count('places armed')
    q = popen(d, uid, '-q', *args, '-n', script, '-p', str(p.pid))
    try:
        wait_for(lambda: d.log().count('places armed') > before or q.poll() is not None, 'armed probes')
        for _ in range(says if q.poll() is None else 0):
            p.say(said)
        q.send_signal(signal.SIGINT)
        out, err = q.communicate(timeout=30)
    finally:
        q.kill()
    return q.returncode, out.strip(), err


def clean(p):
    try:
        wait_for(lambda: p.verify()[0], 'clean process')
    except AssertionError as e:
        raise AssertionError(f'{e}: {p.verify()[1]}{p.daemon.log() if p.daemon else ""}') from None


def strace_has_it():
    with Daemon() as d, Program(d) as p, strace(p.pid):
        rc, out, err = trace(d, p)
        assert (rc, out) == (0, '3'), (rc, out, err)
        has('traced by the agent in it, which reaches fewer places: .*strace', err)
        clean(p)
        assert p.say('on') == 'on' and p.end() == 0


def a_member_traces_another_user():
    with Daemon() as d, Program(d, uid=BOB) as p, strace(p.pid):
        assert trace(d, p, uid=ANN)[:2] == (0, '3')
        clean(p)


def as_asked():
    with Daemon() as d, Program(d) as p:
        assert trace(d, p, args=('-x', 'inject=agent'))[:2] == (0, '3')
        clean(p)
        with strace(p.pid):
            rc, _, err = trace(d, p, args=('-x', 'inject=ptrace'))
            assert rc == 1
            has('traced by process', err)
    with Daemon() as d, machine.Cat(ROOT) as cat:
        rc, _, err = dyntrace(d, ROOT, '-x', 'inject=agent', '-n', COUNT, '-p', str(cat.pid))
        assert rc == 1
        has('has not offered itself', err)


def gdb_holds_it():
    with Daemon() as d, Program(d) as p:
        with traced_by('gdb', '-q', '-nx', pid=p.pid):
            wait_for(lambda: all_stopped(p.pid), 'stop')
            rc, _, err = trace(d, p, says=0)
            assert rc == 1
            has('does not answer|is traced by process', err)
        assert p.say('free') == 'free'
        assert trace(d, p, args=('-x', 'inject=agent'))[:2] == (0, '3')
        clean(p)


def all_stopped(pid):
    for tid in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{tid}/stat', encoding='utf-8') as f:
            if f.read().rsplit(')', 1)[1].split()[0] != 't':
                return False
    return True


def descriptors_are_its_own():
    with Daemon() as d, Program(d, PYTHON) as p:
        before = p.say('sorted(__import__("os").listdir("/proc/self/fd"))')
        assert before == "['0', '1', '2', '3']", before
        p.say('__import__("os").closerange(3, 1000)')
        rc, out, _ = trace(d, p, says=4, args=('-x', 'inject=agent'), said='len(__import__("os").listdir("/proc/self/fd"))')
        assert (rc, out) == (0, '4')
        assert p.say('__import__("os").open("/dev/null", 0)') == '3'
        clean(p)
        assert p.end() == 0


def the_user_changes():
    with Daemon() as d, Program(d, PYTHON) as p:
        assert p.say(f'__import__("os").setgroups([]), __import__("os").setgid({BOB}), __import__("os").setuid({BOB})') == '(None, None, None)'
        with open(f'/proc/{p.pid}/task/{agent_tid(p.pid)}/status', encoding='utf-8') as f:
            text = f.read()
        has(f'Uid:\t{BOB}\t{BOB}\t{BOB}\t{BOB}\n', text)
        has('CapPrm:\t0+\n', text)
        with strace(p.pid):
            assert trace(d, p, uid=ANN, said='1')[:2] == (0, '3')
            clean(p)
        assert p.end() == 0


def it_execs():
    with Daemon() as d, Program(d, PYTHON) as p:
        p.proc.stdin.write(b'__import__("os").execv("/bin/cat", ["cat"])\n')
        p.proc.stdin.flush()
        wait_for(lambda: os.readlink(f'/proc/{p.pid}/exe').endswith('cat'), 'exec')
        assert p.say('I am') == 'I am'
        wait_for(lambda: p.pid in offers(d) and threads(p.pid).count(AGENT) == 1, 'offer')
        with strace(p.pid):
            assert trace(d, p)[:2] == (0, '3')
        assert p.end() == 0


def it_forks():
    with Daemon() as d, Program(d, PYTHON) as p:
        child = int(p.say('__import__("os").fork() or __import__("time").sleep(600)'))
        assert threads(child) and AGENT not in threads(child)
        assert child not in offers(d) and AGENT in threads(p.pid)
        os.kill(child, signal.SIGKILL)
    with Daemon() as d, Program(d, PYTHON, DYNTRACE_OFFER='forks') as p:
        child = int(p.say('__import__("os").fork() or __import__("time").sleep(600)'))
        wait_for(lambda: child in offers(d), 'offer of the child')
        rc, _, err = dyntrace(d, ROOT, '-q', '-x', 'inject=agent', '-n', COUNT + 'tick-200ms { exit(0); }', '-p', str(child))
        assert rc == 0, err
        os.kill(child, signal.SIGKILL)
        wait_for(lambda: child not in offers(d), 'end of its offer')
    with Daemon() as d, Program(d, PYTHON) as p:
        p.say('import subprocess')
        assert p.say('subprocess.run(["true"]).returncode, subprocess.run("exit 3", shell=True, close_fds=False).returncode') == '(0, 3)'


def it_forks_while_it_is_traced():
    """The child has the jumps, and nobody may stop it; it goes on, silent, and ends as it should."""
    child = '(lambda t: t or (__import__("time").sleep(3), [__import__("os").write(2, b"") for i in range(100)], __import__("os")._exit(7)))(__import__("os").fork())'
    with Daemon() as d, Program(d, PYTHON) as p, strace(p.pid):
        before = d.log().count('places armed')
        q = popen(d, ROOT, '-q', '-n', COUNT, '-p', str(p.pid))
        wait_for(lambda: d.log().count('places armed') > before, 'armed probes')
        pid = int(p.say(child))
        q.send_signal(signal.SIGINT)
        out, err = q.communicate(timeout=60)
        assert (q.returncode, out.strip()) == (0, '1'), (out, err)
        assert p.say(f'__import__("os").waitpid({pid}, 0)[1] >> 8') == '7'
        clean(p)
        assert p.end() == 0


def nginx_with_workers():
    if not shutil.which('nginx'):
        raise Skip('no nginx')
    folder = tempfile.mkdtemp(dir=machine.PLACE)
    os.chmod(folder, 0o755)
    sock = f'{folder}/http'
    with open(f'{folder}/index.html', 'w', encoding='utf-8') as f:
        f.write('it works')
    with open(f'{folder}/conf', 'w', encoding='utf-8') as f:
        f.write(f'daemon off; worker_processes 2; pid {folder}/pid; error_log stderr; user bob bob; events {{}}\n'
                f'http {{ access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; '
                f'scgi_temp_path {folder}; server {{ listen unix:{sock}; root {folder}; }} }}\n')

    def get():
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(sock)
            except (FileNotFoundError, ConnectionRefusedError):
                return ''
            s.send(b'GET / HTTP/1.0\r\n\r\n')
            text = b''
            while (more := s.recv(4096)):
                text += more
            return text.decode()
    with Daemon() as d, Program(d, ('nginx', '-p', folder, '-c', f'{folder}/conf'), DYNTRACE_OFFER='forks') as p:
        wait_for(lambda: 'it works' in get(), 'answer')
        workers = machine.children(p.pid)
        wait_for(lambda: workers and all(w in offers(d) for w in workers), 'offers of the workers')
        before = d.log().count('places armed')
        q = popen(d, ROOT, '-q', '-x', 'inject=agent', '-n', 'pid$target:nginx:ngx_http_*:entry { @ = count(); }', '-p', str(workers[0]))
        wait_for(lambda: d.log().count('places armed') > before, 'armed probes')
        for _ in range(20):
            assert 'it works' in get()
        q.send_signal(signal.SIGINT)
        assert q.communicate(timeout=30)[0].strip() and q.returncode == 0
        os.kill(p.pid, signal.SIGHUP)
        wait_for(lambda: not any(alive(w) for w in workers), 'end of the workers')
        wait_for(lambda: 'it works' in get(), 'answer')
        p.proc.send_signal(signal.SIGQUIT)
        assert p.proc.wait(20) == 0


def postgres_with_a_session():
    tools = [shutil.which(t) for t in ('initdb', 'postgres', 'psql')]
    if not all(tools):
        raise Skip('no initdb, postgres, psql')
    initdb, postgres, psql = tools
    folder = tempfile.mkdtemp(dir=machine.PLACE)
    os.chown(folder, BOB, BOB)
    try:
        made = subprocess.run([initdb, '-D', f'{folder}/db', '-N', '-A', 'trust'], capture_output=True, check=False, cwd='/', timeout=100, **as_user(BOB))
    except subprocess.TimeoutExpired:
        raise Skip('initdb takes too long') from None
    if made.returncode:
        raise Skip(f'initdb: {made.stderr.decode()[-200:]}')

    def ask(sql):
        p = subprocess.run([psql, '-h', folder, '-U', 'bob', '-At', '-c', sql, 'postgres'], capture_output=True, text=True, check=False, cwd='/', **as_user(BOB))
        return p.stdout.strip()
    with Daemon() as d, Program(d, (postgres, '-D', f'{folder}/db', '-k', folder, '-h', '', '-F'), uid=BOB) as p:
        wait_for(lambda: ask('select 6 * 7') == '42', 'postgres')
        before = d.log().count('places armed')
        q = popen(d, ROOT, '-q', '-x', 'inject=agent', '-n', 'pid$target:libc.so.6:accept*:entry,pid$target:libc.so.6:malloc:entry { @ = count(); }', '-p', str(p.pid))
        wait_for(lambda: d.log().count('places armed') > before or q.poll() is not None, 'armed probes')
        for _ in range(3):
            assert ask('select sum(x) from generate_series(1, 100000) x') == '5000050000'
        q.send_signal(signal.SIGINT)
        out, err = q.communicate(timeout=60)
        assert q.returncode == 0 and int(out) >= 3, (out, err)
        assert ask('select 6 * 7') == '42'
        p.proc.send_signal(signal.SIGINT)
        assert p.proc.wait(30) == 0


def a_linked_program():
    prog = os.environ['DYNTRACE_BUILD'] + '/tests/trigger/offered'
    with Daemon() as d, Program(d, (prog, 'lines')) as p, strace(p.pid):
        assert trace(d, p, 'pid$target:offered:answer:entry { @ = sum(arg1); }')[:2] == (0, str(3 * 6))
        clean(p)
        assert p.end() == 0
    with Daemon() as d:
        done = subprocess.run([prog, 'last'], env=env_for(d), timeout=20, check=False)
        assert done.returncode == 0


def a_filter_that_kills():
    prog = os.environ['DYNTRACE_BUILD'] + '/tests/trigger/offered'
    with Daemon() as d, Program(d, (prog, 'filter')) as p:
        wait_for(lambda: waits_for_word(p.pid), 'agent that waits')  # it has done all that the filter forbids
        assert p.say('a') == 'a'
        with strace(p.pid):
            rc, _, err = trace(d, p)
            assert rc == 1
            has('seccomp', dyntrace(d, ROOT, '-x', 'inject=agent', '-n', COUNT, '-p', str(p.pid))[2] + err)
        assert p.say('b') == 'b'
        assert p.end() == 0


def nobody_is_there():
    with Program(None, wait=False) as p:
        assert p.say() == 'hello' and threads(p.pid) == ['cat']
    with Daemon() as d:
        for how in ('no',):
            with Program(d, wait=False, DYNTRACE_OFFER=how) as p:
                assert p.say() == 'hello' and threads(p.pid) == ['cat']


def a_socket_of_others():
    """Who listens could make the program do anything; only root may."""
    folder = tempfile.mkdtemp(dir=machine.PLACE)
    os.chmod(folder, 0o777)
    code = f'import socket,sys; s=socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.bind("{folder}/offers.sock"); s.listen(); print("up", flush=True); s.settimeout(5); c, _ = s.accept(); print(c.recv(100), flush=True); sys.stdin.read()'
    other = subprocess.Popen([EVERYBODYS_PYTHON, '-c', code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **as_user(BOB))
    try:
        other.stdout.readline()
        os.chmod(f'{folder}/offers.sock', 0o777)
        p = subprocess.Popen(['/bin/cat'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(env_for(None), DYNTRACED_SOCKET=f'{folder}/dyntraced.sock'))
        p.stdin.write(b'x\n')
        p.stdin.flush()
        assert p.stdout.readline() == b'x\n' and threads(p.pid) == ['cat']
        assert other.stdout.readline() == b"b''\n"
        p.stdin.close()
        assert p.wait(10) == 0
    finally:
        other.kill()
        other.communicate()


def set_uid_programs():
    prog = f'{machine.PLACE}/secure'
    shutil.copy(os.environ['DYNTRACE_BUILD'] + '/tests/trigger/offered', prog)
    os.chmod(prog, 0o4755)
    os.makedirs('/usr/lib/dyntrace-test', exist_ok=True)
    try:
        # A set-uid program finds the library only where the system's are, or by its own run path.
        with Daemon() as d:
            p = subprocess.Popen([prog, 'lines'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd='/', env=env_for(d), **as_user(BOB))
            out, err = p.communicate(b'x\n', timeout=20)
            if p.returncode == 127:
                raise Skip(err.decode())
            assert out == b'x\n' and p.returncode == 0
            assert not offers(d)
    finally:
        os.rmdir('/usr/lib/dyntrace-test')


def the_daemon_is_killed():
    with Daemon() as d, Program(d) as p, strace(p.pid):
        q = popen(d, ROOT, '-q', '-n', COUNT, '-p', str(p.pid))
        wait_for(lambda: 'places armed' in d.log(), 'armed probes')
        p.say()
        workers = d.workers()
        os.kill(d.pid, signal.SIGKILL)
        d.proc.wait()
        q.communicate(timeout=30)
        assert p.say('still') == 'still'
        wait_for(lambda: not any(alive(w) for w in workers), 'end of the worker')
        d.start()
        wait_for(lambda: p.pid in offers(d), 'new offer', 30)
        clean(p)
        assert trace(d, p)[:2] == (0, '3')
        clean(p)
        assert p.end() == 0


def the_worker_is_killed():
    with Daemon() as d, Program(d) as p, strace(p.pid):
        for _ in range(5):
            before = d.log().count('places armed')
            q = popen(d, ROOT, '-q', '-n', COUNT, '-p', str(p.pid))
            wait_for(lambda: d.log().count('places armed') > before, 'armed probes')
            p.say()
            os.kill(d.workers()[0], signal.SIGKILL)
            q.communicate(timeout=30)
            assert p.say('still') == 'still'
            clean(p)
        for ms in range(0, 200, 10):
            q = popen(d, ROOT, '-q', '-n', COUNT, '-p', str(p.pid))
            time.sleep(ms / 1000)
            for w in d.workers():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(w, signal.SIGKILL)
            q.kill()
            q.communicate(timeout=30)
            assert p.say('still') == 'still'
        clean(p)
        assert trace(d, p)[:2] == (0, '3')


def the_program_vanishes():
    with Daemon() as d:
        for ms in range(0, 150, 15):
            with Program(d) as p, strace(p.pid):
                q = popen(d, ROOT, '-q', '-n', COUNT, '-p', str(p.pid))
                time.sleep(ms / 1000)
                p.proc.kill()
                p.proc.wait()
                q.communicate(timeout=30)
        wait_for(lambda: not offers(d) and not d.workers(), 'end of all')


LIST = 'list-processes'


TIGHT = r'''
#include <stdio.h>
__asm__(".text\n.globl tight\n.type tight,@function\ntight:\n push %rbx\n push %rcx\n xor %eax,%eax\n pop %rcx\n pop %rbx\n ret\n"
	".size tight,.-tight\n.globl behind\n.type behind,@function\nbehind:\n mov $1,%eax\n ret\n.size behind,.-behind\n");
int tight(void), behind(void);
int main(void)
{
	char line[64];
	while (fgets(line, sizeof(line), stdin)) {
		tight();
		behind();
		fputs(line, stdout);
		fflush(stdout);
	}
	return 0;
}
'''


def tight():
    exe = f'{machine.PLACE}/tight'
    if not os.path.exists(exe):
        if not shutil.which('cc'):
            raise Skip('no cc')
        subprocess.run(['cc', '-O1', '-x', 'c', '-', '-o', exe], input=TIGHT, text=True, check=True)
        os.chmod(exe, 0o755)
    return exe


def verb(d, uid, *args, status=0):
    keep = f'{machine.PLACE}/keep-{uid}'
    os.makedirs(keep, mode=0o700, exist_ok=True)
    os.chown(keep, uid, uid)
    env = dict(os.environ, DYNTRACED_SOCKET=d.sock, XDG_RUNTIME_DIR=keep, LC_ALL='C')
    r = subprocess.run([f'{machine.PLACE}/dyntrace', *[str(a) for a in args]], env=env, cwd='/', stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=60, check=False, **as_user(uid))
    assert status is None or r.returncode == status, f'{args}: {r.returncode}: {r.stdout}{r.stderr}{d.log()[-600:]}'
    return r.stdout + r.stderr


def hits(d, uid, p):
    out = verb(d, uid, 'list-tracepoints', p.pid, '--json')
    return {t['name']: t['hits'] for t in json.loads(out)['tracepoints']}


def tracepoints_while_strace_has_it():
    """For root as for members: by the agent, where ptrace is refused."""
    for uid in ANN, ROOT:
        with Daemon() as d, Program(d, uid=BOB) as p, strace(p.pid):
            has('by the agent in it', verb(d, uid, 'add', f'{p.pid}:write@libc.so.6', '-n', 'one', 'count'))
            p.say()
            verb(d, uid, 'add', f'{p.pid}:write@libc.so.6', '-e', '-n', 'two', 'count')
            p.say()
            seen = hits(d, uid, p)
            assert seen['one'] == 2, seen
            verb(d, uid, 'detach', p.pid)
            clean(p)


def a_refused_one_costs_no_other():
    """What cannot be placed beside another one is refused, and that is all; nor does one that goes take another along."""
    tried = 0
    with Daemon() as d:
        for _ in range(8): # where a jump may lead is chance
            with Program(d, argv=(tight(),), uid=BOB) as p, strace(p.pid):
                add = lambda name, place: verb(d, ANN, 'add', f'{p.pid}:{place}', '-n', name, 'count', status=None)
                if 'cannot be traced' in add('first', 'tight'):
                    continue
                p.say()
                n = 1
                for name, off in ('a', 6), ('b', 2), ('c', 1), ('d', 5), ('e', 4):
                    add(name, f'tight+{off}')
                    p.say()
                    n += 1
                    assert hits(d, ANN, p)['first'] == n, (name, hits(d, ANN, p))
                tried += 1
                for name in list(hits(d, ANN, p)):
                    if name != 'first':
                        verb(d, ANN, 'rm', f'{p.pid}:{name}')
                        p.say()
                        n += 1
                        assert hits(d, ANN, p).items() >= {'first': n}.items(), hits(d, ANN, p)
                assert hits(d, ANN, p) == {'first': n}
                has(f'{n} hits', verb(d, ANN, 'rm', f'{p.pid}:first'))
                clean(p)
    if not tried:
        raise Skip('the place could not be traced at all')


def it_is_listed():
    with Daemon() as d, Program(d) as p:
        has(f'^ *{p.pid} /bin/cat\n$', dyntrace(d, ROOT, LIST, '-o', status=0)[1])
        has(rf'\n *{p.pid} \+ /bin/cat\n', '\n' + dyntrace(d, ROOT, LIST, '-a', status=0)[1])
        has(f'"pid":{p.pid},.*"offered":true', dyntrace(d, ROOT, LIST, '-o', '--json', status=0)[1])
        p.end()
        wait_for(lambda: p.pid not in offers(d), 'end of the offer')
        assert dyntrace(d, ROOT, LIST, '-o', status=0)[1] == ''


HELLO = struct.pack('<QII', 0x726566666f746479, 1, 1)


def connect(d):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(f'{d.dir}/offers.sock')
    return s


def hostile_greetings():
    with Daemon() as d, Program(d) as p:
        socks = []
        for text in (b'', b'x', HELLO[:-1], HELLO + b'x', bytes(16), HELLO[:8] + b'\xff' * 8, b'\xff' * 60000, HELLO):
            for _ in range(20):
                s = connect(d)
                socks.append(s)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    s.send(text)
        fds = [os.open('/dev/null', 0) for _ in range(3)]
        for _ in range(50):
            s = connect(d)
            with contextlib.suppress(BrokenPipeError):
                socket.send_fds(s, [HELLO], fds)
                socket.send_fds(s, [b'x' * 100], fds)
            socks.append(s)
        time.sleep(0.3)
        assert alive(d.pid)
        for s in socks:
            s.close()
        wait_for(lambda: offers(d) == [p.pid], 'end of the others')
        n = len(os.listdir(f'/proc/{d.pid}/fd'))
        assert n < 20, n
        assert trace(d, p, args=('-x', 'inject=agent'))[:2] == (0, '3')


FLOOD = '''
import contextlib, socket, sys
print('up', flush=True)
while True:
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.setblocking(False)
    with contextlib.suppress(OSError):
        s.connect(sys.argv[1])
    s.close()
'''


def a_flood_of_connections():
    """Programs that connect and go, over and over: clients are served all the same, and the daemon ends when it is told to."""
    with Daemon() as d, machine.Cat(ROOT) as cat:
        flood = [subprocess.Popen([EVERYBODYS_PYTHON, '-c', FLOOD, f'{d.dir}/offers.sock'], stdout=subprocess.PIPE, cwd='/', **as_user(BOB))
                 for _ in range(4)]
        try:
            for f in flood:
                f.stdout.readline()
            begun = time.monotonic()
            for _ in range(3):
                rc, _, err = dyntrace(d, ANN, '-q', '-n', 'BEGIN { exit(0); } ' + COUNT, '-p', str(cat.pid))
                assert rc == 0, err
            assert time.monotonic() - begun < 60
            with Program(d) as p:
                assert p.say('on') == 'on'
            assert all(f.poll() is None for f in flood)
            d.proc.terminate()
            assert d.proc.wait(20) == 0
        finally:
            for f in flood:
                f.kill()
                f.communicate()


def those_who_say_nothing():
    """Connections without a greeting are dropped after a while; a program's stays."""
    with Daemon() as d, Program(d) as p:
        socks = [connect(d) for _ in range(5)]
        for s in socks:
            s.settimeout(20)
            assert s.recv(100) == b''
            s.close()
        assert offers(d) == [p.pid]


def an_answer(c, op, args=(), data=b'', seq=7):
    c.send(struct.pack('<IIQ7Q', op, seq, (1 << 63) - 1, *args, *[0] * (7 - len(args))) + data)
    return struct.unpack('<IIqq', c.recv(100))


def a_word_across_words():
    """What cannot be stored leaves the page as it was."""
    folder = tempfile.mkdtemp(dir=machine.PLACE)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.bind(f'{folder}/offers.sock')
        s.listen()
        s.settimeout(20)
        p = subprocess.Popen(['/bin/cat'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(env_for(None), DYNTRACED_SOCKET=f'{folder}/dyntraced.sock'))
        try:
            s.accept()[0].close()  # is there a daemon?
            c = s.accept()[0]
            assert len(c.recv(100)) == 16

            def code():
                with open(f'/proc/{p.pid}/maps', encoding='utf-8') as f:
                    return [line.split()[:2] for line in f if line.rstrip().endswith('/cat')]

            def writable_code():
                return [v for v in code() if 'wx' in v[1]]
            addr = next(int(v[0].split('-')[0], 16) for v in code() if 'x' in v[1])
            with open(f'/proc/{p.pid}/mem', 'rb') as f:
                f.seek(addr)
                word = struct.unpack('<Q', f.read(8))[0]
            for at, was, error in ((addr + 1, 0, -22), (addr, word + 1, -11), (addr, word, 0)):
                _, _, value, got = an_answer(c, 2, (1,), struct.pack('<QQQQ', at, was, was, 5))
                assert (value, got) == (not error, error), (value, got, error)
                assert not writable_code(), code()
            c.close()
        finally:
            p.kill()
            p.communicate()


LIAR = '''
import array, os, random, socket, struct, sys
mode, path = sys.argv[1:]
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(path)
s.send(struct.pack('<QII', 0x726566666f746479, 1, os.getpid()))
print('up', flush=True)
random.seed(mode)
while True:
    msg, anc, flags, addr = s.recvmsg(10000, 10000)
    if not msg: break
    op, seq, until, *args = struct.unpack('<IIQ7Q', msg[:72])
    if mode == 'silent': continue
    if mode == 'gone': sys.exit()
    if mode == 'noise':
        for _ in range(50):
            try: s.send(os.urandom(random.randrange(1, 5000)), socket.MSG_DONTWAIT)
            except BlockingIOError: break
    value = {'zero': 0, 'minus': -random.randrange(1, 5000), 'any': random.getrandbits(63), 'noise': 5}[mode]
    s.send(struct.pack('<IIqq', seq, 0, value, 0))
'''


def hostile_answers():
    """A process of bob's that says it has done what it was asked for; and one that offers itself in the place of another."""
    with Daemon() as d:
        for mode in ('zero', 'minus', 'any', 'noise', 'gone', 'silent'):
            liar = subprocess.Popen([EVERYBODYS_PYTHON, '-c', LIAR, mode, f'{d.dir}/offers.sock'], stdout=subprocess.PIPE, cwd='/', **as_user(BOB))
            try:
                liar.stdout.readline()
                rc, _, err = dyntrace(d, ANN, '-q', '-x', 'inject=agent', '-n', COUNT, '-p', str(liar.pid))
                assert rc == 1, (mode, err)
                has('offered itself|does not answer|cannot|ended', err)
                assert alive(d.pid)
            finally:
                liar.kill()
                liar.communicate()
        wait_for(lambda: not d.workers() and not offers(d), 'end of the workers')


FIRST = '''
import os, socket, struct, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
s.send(struct.pack('<QII', 0x726566666f746479, 1, os.getpid()))
if not os.fork():
    import array, mmap
    print('up', flush=True)
    s.settimeout(8)
    while True:
        msg, fds, flags, addr = socket.recv_fds(s, 10000, 4)
        if not msg: break
        op, seq, until, *args = struct.unpack('<IIQ7Q', msg[:72])
        value = fds[0] if fds else 0
        if args[0] == 9 and not op:
            m = mmap.mmap(args[5], 4096)
            value = 0x10000
        s.send(struct.pack('<IIqq', seq, 0, value, 0))
time.sleep(1)
os.execv('/bin/cat', ['cat'])
'''


def an_offer_for_another():
    """The connection is made by a process that becomes another program, and answered by another process."""
    with Daemon() as d:
        p = subprocess.Popen([EVERYBODYS_PYTHON, '-c', FIRST, f'{d.dir}/offers.sock'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd='/', **as_user(BOB))
        try:
            p.stdout.readline()
            time.sleep(1.5)
            rc, _, err = dyntrace(d, ANN, '-q', '-x', 'inject=agent', '-n', COUNT, '-p', str(p.pid))
            assert rc == 1
            has('is another|ended|does not answer', err)
        finally:
            p.kill()
            p.communicate()


PROGRAMS = [
    ['bash', '-c', 'for i in 1 2 3; do echo $i | cat; done; (exit 5); echo $? $(echo sub) ${BASHPID:+pid}; wait; trap "echo bye" EXIT'],
    ['python3', '-c', 'import threading, subprocess, os\nt=[threading.Thread(target=print, args=(i,)) for i in range(3)]\n'
     '[x.start() or x.join() for x in t]\nprint(subprocess.check_output("echo hi; ls -d /", shell=True), sorted(os.listdir("/proc/self/fd")))'],
    ['sh', '-c', 'cd $(mktemp -d) && git init -q . && echo a >a && git add a && git -c user.name=n -c user.email=e commit -qm m && git log --format=%s%an && git status --short'],
    ['sh', '-c', 'ls -l /proc/self/fd | wc -l; ulimit -n; id -u; env | grep -c PATH'],
    ['find', '/usr/share/doc', '-maxdepth', '1', '-name', 'a*'],
    ['sh', '-c', 'tar cf - -C /usr/share/doc bash 2>/dev/null | gzip -n | sha256sum'],
]


def programs_do_what_they_do():
    with Daemon() as d:
        for argv in PROGRAMS:
            if not shutil.which(argv[0]):
                continue
            bare = subprocess.run(argv, capture_output=True, timeout=60, check=False, env=dict(os.environ, LC_ALL='C'))
            with_it = subprocess.run(argv, capture_output=True, timeout=60, check=False, env=env_for(d))
            assert (bare.returncode, bare.stdout, bare.stderr) == (with_it.returncode, with_it.stdout, with_it.stderr), (argv, with_it)
        wait_for(lambda: not offers(d), 'end of all offers')


def redis_with_load():
    if not shutil.which('redis-server') or not shutil.which('redis-benchmark'):
        raise Skip('no redis')
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = str(s.getsockname()[1])
    with Daemon() as d:
        argv = ('redis-server', '--port', port, '--save', '', '--appendonly', 'no', '--dir', machine.PLACE)
        with Program(d, argv) as p, strace(p.pid):
            wait_for(lambda: subprocess.run(['redis-cli', '-p', port, 'ping'], capture_output=True, check=False).stdout == b'PONG\n', 'redis')
            load = subprocess.Popen(['redis-benchmark', '-p', port, '-l', '-n', '20000', '-c', '4', '-t', 'set,get,lpush', '-q'],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                for what in ('::entry', '::return', ':dict*:', '::entry,pid$target:libc.so.6::entry'):
                    rc, out, err = dyntrace(d, ROOT, '-q', '-n', f'pid$target:redis*{what} {{ @ = count(); }} tick-500ms {{ exit(0); }}', '-p', str(p.pid))
                    assert rc == 0 and int(out) > 1000, (out, err)
                    clean(p)
            finally:
                load.kill()
                load.wait()
            subprocess.run(['redis-cli', '-p', port, 'set', 'k', 'v'], check=True, capture_output=True)
            assert subprocess.run(['redis-cli', '-p', port, 'get', 'k'], capture_output=True, check=True).stdout == b'v\n'
            p.proc.terminate()
            assert p.proc.wait(20) == 0


def stayed(p, said):
    """Jumps between functions that had to stay where a trace ended, as it says."""
    m = re.search(rf'process {p.pid}: (\d+) jumps? had to stay between its functions.*dyntrace repair {p.pid} at once', said)
    return int(m.group(1)) if m else 0


def own_again(p):
    """What has to stay the daemon takes away by itself."""
    wait_for(lambda: 'its code is as in its files' in p.verify()[1], 'its own code')


BUSY = r'''
#include <pthread.h>
#define F(n) __attribute__((noipa, aligned(16))) int tiny##n(int i) { return i + n; }
F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8)
static int chain(int i) { return tiny1(tiny2(tiny3(tiny4(tiny5(tiny6(tiny7(tiny8(i)))))))); }
static void *compute(void *arg) { for (int i = 0;; i = chain(i)) ; return arg; }
int main(void) { pthread_t t; return pthread_create(&t, 0, compute, 0) || pthread_join(t, 0); }
'''


def jumps_that_stay():
    """A thread that always computes is never seen elsewhere; nor may it be stopped, while another tracer has it."""
    prog = f'{machine.PLACE}/busy'
    if not shutil.which('gcc'):
        raise Skip('no gcc')
    subprocess.run(['gcc', '-O1', '-pthread', '-x', 'c', '-', '-o', prog], input=BUSY, text=True, check=True)
    with Daemon() as d, Program(d, (prog,)) as p:
        with strace(p.pid):
            rc, out, err = dyntrace(d, ROOT, '-q', '-n', 'pid$target:busy:tiny*:entry { @ = count(); } tick-300ms { exit(0); }', '-p', str(p.pid), timeout=100)
            assert rc == 0 and int(out) > 0, (out, err)
            left = stayed(p, err)
            assert left, err
            ok, text = p.verify()
            assert not ok and f'differs from its files in {left} place' in text and 'whose tracing has ended' in text, text
            assert 'killed' not in text, text
            rc, _, err = dyntrace(d, ROOT, 'repair', str(p.pid))
            assert rc == 1, err
        own_again(p)


def threads_at_work():
    """Code is changed under eight threads that compute, and check what they get."""
    prog, source = f'{machine.PLACE}/crowd', os.path.join(os.path.dirname(__file__), '..', 'stress', 'crowd.c')
    if not shutil.which('gcc'):
        raise Skip('no gcc')
    subprocess.run(['gcc', '-O1', '-pthread', '-o', prog, source], check=True)
    with Daemon() as d, Program(d, (prog, '100')) as p:
        for what in ('crowd::', 'libc.so.6:mem*:', 'libc.so.6::entry', 'crowd::,pid$target:libc.so.6:*alloc*:'):
            rc, _, err = dyntrace(d, ROOT, '-q', '-x', 'inject=agent', '-n', f'pid$target:{what} {{ @ = count(); }} tick-500ms {{ exit(0); }}', '-p', str(p.pid), timeout=100)
            assert rc == 0, err
            assert stayed(p, err) or 'its code is as in its files' in p.verify()[1], (err, p.verify()[1])
            own_again(p)
        p.proc.terminate()
        assert p.proc.wait(60) == 0


TESTS = [strace_has_it, a_member_traces_another_user, as_asked, gdb_holds_it, descriptors_are_its_own, the_user_changes, it_execs,
          it_forks, it_forks_while_it_is_traced, nginx_with_workers, postgres_with_a_session, a_linked_program, a_filter_that_kills, nobody_is_there, a_socket_of_others, set_uid_programs, the_daemon_is_killed, the_worker_is_killed,
          the_program_vanishes, tracepoints_while_strace_has_it, a_refused_one_costs_no_other, it_is_listed, hostile_greetings, a_flood_of_connections,
          those_who_say_nothing, a_word_across_words, hostile_answers, an_offer_for_another, programs_do_what_they_do,
          redis_with_load, threads_at_work, jumps_that_stay]
if __name__ == '__main__':
    main([t for t in TESTS if len(sys.argv) == 1 or t.__name__ in sys.argv[1:]])
