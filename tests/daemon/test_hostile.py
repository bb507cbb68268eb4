#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Clients that lie: malformed, truncated, oversized, replayed, slow, vanishing.  Each is refused or dropped; nothing leaks,
and an honest client, which counts all the while, does not notice."""
import array
import contextlib
import errno
import fcntl
import mmap
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
import traceback

from machine import ANN, BOB, ROOT, Cat, Daemon, Skip, WRITES, armed, has, main, popen, wait_for
import machine

HELLO, START, ARM, TAIL, FOLDED, GEN, SPEC, ERROR, LOOKUP, PROC_OF, STOP = range(1, 12)
WELCOME, REFUSED, MATCHED, ARMED = 12, 13, 14, 15
LOOK, FILE, POINTS = 24, 25, 26
RUNNING, RUN = 28, 29
MAGIC, VERSION = 0x64656361727464, 5


def message(kind, body=b''):
    return struct.pack('<IHH', len(body), kind, 0) + body


def words(kind, *v):
    return message(kind, struct.pack(f'<{len(v)}Q', *v))


def hello(version=VERSION):
    return words(HELLO, MAGIC, version)


class Raw:
    def __init__(self, d):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(d.sock)
        self.sock.settimeout(30)
        self.fds = []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()
        for fd in self.fds:
            os.close(fd)

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def exactly(self, cnt):
        data = b''
        while len(data) < cnt:
            got, anc, _, _ = self.sock.recvmsg(cnt - len(data), socket.CMSG_SPACE(16))
            for _, _, raw in anc:
                self.fds += array.array('i', raw[:len(raw) - len(raw) % 4])
            if not got:
                raise EOFError
            data += got
        return data

    def recv(self):
        """(type, content), or (None, b'') where it was dropped."""
        try:
            cnt, kind, _ = struct.unpack('<IHH', self.exactly(8))
            return kind, self.exactly(cnt)
        except (EOFError, ConnectionResetError):
            return None, b''

    def until(self, *kinds):
        while True:
            kind, body = self.recv()
            if kind in kinds or kind is None:
                return kind, body

    def refused(self):
        kind, body = self.until(REFUSED)
        assert kind in (REFUSED, None), kind
        if kind:
            assert self.recv()[0] is None
        return body[8:].decode('utf-8', 'replace')

    def begun(self, start):
        self.send(hello())
        assert self.recv()[0] == WELCOME
        self.send(start)
        assert self.until(MATCHED)[0] == MATCHED

    def armed(self, start):
        self.begun(start)
        self.send(message(ARM))
        assert self.until(ARMED)[0] == ARMED


class Honest:
    """Counts the writes of a process of its own while others misbehave."""

    def __init__(self, d):
        self.d = d

    def __enter__(self):
        self.cat = Cat(ROOT)
        before = self.d.log().count('places armed')
        self.p = popen(self.d, ANN, '-q', '-n', WRITES + ' { @ = count(); }', '-p', str(self.cat.pid))
        armed(self.d, before)
        self.cnt = 0
        self.work()
        return self

    def work(self):
        for _ in range(10):
            self.cat.say()
            self.cnt += 1

    def __exit__(self, kind, *exc):
        self.work()
        self.p.send_signal(signal.SIGINT)
        out, err = self.p.communicate(timeout=30)
        clean = self.cat.is_clean()
        self.cat.__exit__()
        if kind is None:
            assert out.split() == [str(self.cnt)], (out, err, self.cnt)
            assert clean
            wait_for(lambda: not self.d.workers(), 'end of the workers')
            assert not self.d.notes()


def fd_cnt(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


def capture(d, *args):
    """What an honest client sends as START."""
    path = f'{d.dir}/proxy'
    listen = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listen.bind(path)
    listen.listen(1)
    os.chmod(path, 0o666)
    kept = []

    def serve():
        c, _ = listen.accept()
        c.recv(1 << 16)
        c.sendall(words(WELCOME, VERSION, 3))
        data = b''
        while len(data) < 8 or len(data) < 8 + struct.unpack('<I', data[:4])[0]:
            data += c.recv(1 << 16)
        kept.append(data)
        c.close()
    t = threading.Thread(target=serve)
    t.start()
    p = popen(d, ROOT, '-x', 'daemon=always', *args)
    t.join(30)
    p.communicate(timeout=30)
    listen.close()
    os.unlink(path)
    return kept[0]


def start_for(d, cat, script=WRITES + ' { @[copyinstr(arg1)] = count(); self->a = arg2; printf("%d", arg2); }'):
    sock, d.sock = d.sock, f'{d.dir}/proxy'
    try:
        return capture(d, '-n', script + ' BEGIN { s = speculation(); } tick-1s { printa(@); }', '-p', str(cat.pid))
    finally:
        d.sock = sock


def as_ann(does):
    """A child that is of Ann's and does @does(), whose number is its status; 99: it raised something."""
    pid = os.fork()
    if pid:
        return pid
    status = 99
    try:
        os.setgroups([machine.GROUP])
        os.setresgid(ANN, ANN, ANN)
        os.setresuid(ANN, ANN, ANN)
        status = does()
    except BaseException:  # pylint: disable=broad-except
        traceback.print_exc()
    finally:
        os._exit(status)


def status_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def asks(d, request, *answers):
    """The first of @answers to a client's request, and what it says."""
    with Raw(d) as r:
        r.send(hello())
        r.recv()
        r.send(request)
        return r.until(*answers)


def strange_greetings():
    with Daemon() as d, Honest(d):
        before = fd_cnt(d.pid)
        for data in (b'', b'x', b'GET / HTTP/1.0\r\n\r\n', b'\0' * 8, b'\xff' * 8, b'\xff' * 4096, message(HELLO, b'x'), words(HELLO, 1, 1),
                     hello(1), hello(0), message(99), message(WELCOME, b'\0' * 8), struct.pack('<IHH', 1 << 31, START, 0),
                     struct.pack('<IHH', 16, HELLO, 7) + b'\0' * 16, message(ARM), message(STOP), words(LOOKUP, 0, 0)):
            with Raw(d) as r:
                r.send(data)
                r.sock.shutdown(socket.SHUT_WR)
                r.refused()
        wait_for(lambda: fd_cnt(d.pid) == before, 'descriptors of clients that went')


def wrong_version_is_said():
    with Daemon() as d, Raw(d) as r:
        r.send(hello(77))
        has(f'version {VERSION} of the protocol', r.refused())


def out_of_order_and_replayed():
    with Daemon() as d, Cat(BOB) as cat, Honest(d):
        start = start_for(d, cat)
        for again in (hello(), start, message(ARM), words(PROC_OF, 1)):
            with Raw(d) as r:
                r.begun(start)
                r.send(again)
                if again == message(ARM):
                    assert r.until(ARMED)[0] == ARMED
                    r.send(again)
                has('wrong time', r.refused())
        for again in (hello(), start, message(ARM)):
            with Raw(d) as r:
                r.armed(start)
                r.send(again)
                has('wrong time', r.refused())
        with Raw(d) as r:
            r.armed(start)
            r.send(message(STOP))
            r.send(message(STOP))
            has('wrong time', r.refused())
        wait_for(cat.is_clean, 'clean process')


def truncated_and_vanishing():
    with Daemon() as d, Cat(BOB) as cat, Honest(d):
        start = start_for(d, cat)
        whole = hello() + start + message(ARM) + words(GEN, 0, 1) + message(STOP)
        for cut in list(range(0, 40, 7)) + list(range(40, len(whole), max(1, len(whole) // 25))) + [len(whole)]:
            with Raw(d) as r:
                r.send(whole[:cut])
                if cut % 2:
                    time.sleep(0.02)
        for cut in (10, 30, len(whole) // 2):
            with Raw(d) as r:
                r.send(whole[:cut])
                r.sock.shutdown(socket.SHUT_WR)
                r.refused()
        wait_for(cat.is_clean, 'clean process')


def a_changed_request():
    rnd = random.Random(4711)
    with Daemon('clients-of-a-user = 64\n') as d, Cat(BOB) as cat, Honest(d):
        start = bytearray(start_for(d, cat))
        answers = set()
        for i in range(150):
            bad = bytearray(start)
            for _ in range(rnd.choice([1, 1, 2, 8])):
                at = rnd.randrange(8, len(bad))
                bad[at] = rnd.choice([0, 1, 0x7f, 0x80, 0xff, rnd.randrange(256)])
            if i % 10 == 9:
                at = rnd.randrange(8, len(bad))
                bad = bad[:at]
                bad[:4] = struct.pack('<I', len(bad) - 8)
            with Raw(d) as r:
                r.send(hello())
                r.recv()
                r.send(bytes(bad))
                kind, _ = r.until(MATCHED, REFUSED)
                answers.add(kind)
                if kind == MATCHED:
                    r.send(message(ARM))
                    r.until(ARMED, REFUSED)
        assert answers <= {MATCHED, REFUSED}, answers
        assert 'died' not in d.log(), d.log()[-2000:]
        wait_for(cat.is_clean, 'clean process')


def lies_about_the_memory():
    with Daemon('clients-of-a-user = 64\n') as d, Cat(BOB) as cat, Honest(d) as honest:
        start = start_for(d, cat)
        tail = lambda slot, pos: message(TAIL, struct.pack('<IIQ', 1, slot, pos))  # noqa: E731
        for bad in (tail(1 << 31, 0), tail(512, 0), words(FOLDED, 1 << 40, 0), words(GEN, 7, 1), words(GEN, 0, 1 << 33), words(GEN, 0, 0xffffffff),
                    words(SPEC, 0, 99, 0), words(SPEC, 9, 1, 0), words(SPEC, 1, 0, 0), message(TAIL, struct.pack('<I', 65)),
                    message(TAIL, struct.pack('<I', 1)), message(GEN, b'')):
            with Raw(d) as r:
                r.armed(start)
                r.send(bad)
                assert r.refused()
        with Raw(d) as r:
            r.armed(start)
            for v in (0, 1, 7, 8, 1 << 20, (1 << 64) - 1, (1 << 63)):
                for slot in (0, 1, 2, 511):
                    r.send(tail(slot, v))
                r.send(words(FOLDED, 1, v & 0xffffffff) + words(GEN, 0, v & 0x7fffffff) + words(SPEC, 0, 1, v) + words(SPEC, 1, 1, v))
                r.send(words(LOOKUP, v, v) + words(PROC_OF, v) + words(ERROR, v, v, v, v, v))
                cat.say()
                honest.work()
            r.send(message(STOP))
            assert r.until(23 - 1)[0] == 22
        assert 'died' not in d.log(), d.log()[-2000:]
        wait_for(cat.is_clean, 'clean process')


def slow_ones_are_dropped():
    with Daemon() as d, Honest(d) as honest, Raw(d) as r, Raw(d) as trickle:
        r.send(hello()[:5])
        begin = time.monotonic()
        trickle.send(struct.pack('<IHH', 90 << 20, START, 0)[:3])
        while time.monotonic() - begin < 9:
            trickle.send(b'\0')
            time.sleep(1)
            honest.work()
        has('too slowly', r.refused())
        assert time.monotonic() - begin < 25
        trickle.refused()


def those_who_do_not_read_are_dropped():
    with Daemon() as d, Cat(BOB) as cat, Honest(d) as honest, Raw(d) as r:
        r.armed(start_for(d, cat))
        r.sock.settimeout(0.5)
        end = time.monotonic() + 30
        try:
            while time.monotonic() < end:
                r.sock.sendall(words(LOOKUP, 1, 0x1234) * 200)
                honest.work()
        except (TimeoutError, BrokenPipeError, ConnectionResetError):
            pass
        wait_for(lambda: len(d.workers()) == 1, 'end of the worker', 20)
        wait_for(cat.is_clean, 'clean process')


def a_few_hundred_at_once():
    with Daemon('clients = 40\nclients-of-a-user = 30\n') as d, Honest(d) as honest:
        before = fd_cnt(d.pid)
        raws = [Raw(d) for _ in range(120)]
        for r in raws[::2]:
            r.send(hello())
        honest.work()
        has('as many clients', ''.join(r.refused() for r in raws[100:]))
        for r in raws:
            r.__exit__()
        wait_for(lambda: len(d.workers()) == 1, 'end of the workers')
        wait_for(lambda: fd_cnt(d.pid) == before, 'descriptors of clients that went')


def descriptors_that_it_sends_are_closed():
    with Daemon() as d, Honest(d), Raw(d) as r:
        r.send(hello())
        assert r.recv()[0] == WELCOME
        worker = max(d.workers())
        before = fd_cnt(worker)
        fd = os.open('/dev/null', os.O_RDONLY)
        for _ in range(4):
            try:
                r.sock.sendmsg([b'\0'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [fd] * 100))])
            except OSError:
                break
        os.close(fd)
        time.sleep(0.3)
        with_more = fd_cnt(worker) if os.path.exists(f'/proc/{worker}/fd') else before
        assert with_more == before, (with_more, before)


def the_memory_is_only_for_reading():
    with Daemon() as d, Cat(BOB) as cat:
        start = start_for(d, cat)

        def tries():
            bad = 0
            with Raw(d) as r:
                r.armed(start)
                bad |= len(r.fds) != 2
                bad |= 4 * (fcntl.fcntl(r.fds[0], fcntl.F_GET_SEALS) != fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
                for fd in r.fds:
                    mmap.mmap(fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ).close()
                    for attempt in (lambda: mmap.mmap(fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE),
                                    lambda: os.open(f'/proc/self/fd/{fd}', os.O_RDWR), lambda: os.write(fd, b'x'),
                                    lambda: os.ftruncate(fd, 0), lambda: os.fchmod(fd, 0o777),
                                    lambda: os.open(f'/proc/self/fd/{fd}', os.O_RDONLY)):
                        try:
                            attempt()
                            bad |= 2
                        except OSError:
                            pass
            return bad
        status = status_of(as_ann(tries))
        assert status == 0, status
        wait_for(cat.is_clean, 'clean process')


def the_kernels_memory_is_of_no_use():
    """That of a script of both worlds can be written to: it harms who does, and nobody else; the process has nothing of it."""
    with Daemon() as d, Cat(BOB) as cat, Honest(d) as honest:
        start = start_for(d, cat, WRITES + ' { self->n = arg2; @[execname] = count(); n++; } syscall::write:entry /self->n/ { printf("%d", n); '
                                  '@[execname] = count(); }')

        def writes():
            with Raw(d) as r:
                r.begun(start)
                r.send(message(ARM))
                if r.until(ARMED, REFUSED)[0] != ARMED:
                    return 7
                with mmap.mmap(r.fds[0], os.fstat(r.fds[0]).st_size or 1 << 20, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE) as m:
                    rnd = random.Random(7)
                    end = time.monotonic() + 3
                    while time.monotonic() < end:
                        at = rnd.randrange(len(m) - 4096)
                        m[at:at + 4096] = rnd.randbytes(4096)
            return 0
        pid = as_ann(writes)
        for _ in range(40):
            cat.say()
            honest.work()
            time.sleep(0.05)
        status = status_of(pid)
        wait_for(lambda: len(d.workers()) == 1, 'end of the worker')
        cat.say()
        assert cat.is_clean()
        if status == 7:
            raise Skip('the kernel is not traced here')
        assert status == 0, status


def a_running_process_is_not_new():
    """Who says that it is would have us wait for its first instruction."""
    both = WRITES + ' { self->n = arg2; } syscall::write:entry /self->n/ { @ = count(); }'
    with Daemon() as d, Cat(BOB) as cat, Honest(d):
        for script in (WRITES + ' { @ = count(); }', both):
            start = start_for(d, cat, script)
            honest = struct.pack('<III', 1, cat.pid, 0)
            assert start.count(honest) == 1
            lie = start.replace(honest, struct.pack('<III', 1, cat.pid, 1))

            def lies():
                kind, text = asks(d, lie, REFUSED)
                text = text.decode('utf-8', 'replace') if kind == REFUSED else ''
                return 0 if 'has begun already' in text else 7 if 'kernel' in text else 1
            status = status_of(as_ann(lies))
            assert status in ((0, 7) if script == both else (0,)), status
            cat.say()
            wait_for(cat.is_clean, 'clean process')


def who_is_not_its_child_is_not_stopped():
    """A program of another user that stands at its first instruction; the client says that it has started it, and goes away."""
    if not shutil.which('gcc'):
        raise Skip('gcc is needed')
    with Daemon() as d, Cat(BOB) as cat:
        exe = f'{d.dir}/stands'
        subprocess.run(['gcc', '-nostdlib', '-static', '-x', 'assembler', '-', '-o', exe], input='.globl _start\n_start: jmp _start\n', text=True,
                       check=True)
        os.chmod(exe, 0o755)
        start = start_for(d, cat)
        with subprocess.Popen([exe], **machine.as_user(BOB)) as p:
            lie = start.replace(struct.pack('<III', 1, cat.pid, 0), struct.pack('<III', 1, p.pid, 1))
            assert lie != start
            status = status_of(as_ann(lambda: 0 if asks(d, lie, MATCHED, REFUSED)[0] else 1))
            wait_for(lambda: not d.workers(), 'end of the worker')
            with open(f'/proc/{p.pid}/stat', encoding='ascii') as f:
                state = f.read().rsplit(')', 1)[1].split()[0]
            p.kill()
        assert status == 0 and state == 'R', (status, state)
        has(f'trace process {p.pid}: permitted', d.log())


def looks():
    """Files of processes: only those that there are, of those that one may trace, and for reading."""
    with Daemon() as d, Cat(BOB) as cat:
        for bad in (words(LOOK, cat.pid, 5, 0, 0), words(LOOK, 0, 0, 0, 0), words(LOOK, 1 << 40, 0, 0, 0), words(LOOK, 2**64 - 1, 1, 0, 0),
                    message(LOOK, b'x'), message(LOOK)):
            with Raw(d) as r:
                r.send(hello())
                r.send(bad)
                assert r.until(REFUSED)[0] in (REFUSED, None)
        with Raw(d) as r:
            r.send(words(LOOK, cat.pid, 0, 0, 0))
            has('wrong time', r.refused())
        with Raw(d) as r:
            r.send(hello())
            for what, start in ((0, 0), (1, 0), (2, 0), (3, 0), (4, 4096)):
                r.send(words(LOOK, cat.pid, what, start, start + 4096))
                kind, body = r.until(FILE)
                assert kind == FILE and (struct.unpack('<Q', body)[0] == 0) == (what < 4), (what, body)
            assert len(r.fds) == 4
            for fd in r.fds:
                try:
                    os.write(fd, b'x')
                    raise AssertionError('it can be written to')
                except OSError:
                    pass
    # Who runs a file: of those that one may trace.
    exe = os.stat('/bin/cat')
    with Daemon() as d, Cat(BOB) as cat:
        for bad in message(RUNNING, b'x'), message(RUNNING), message(RUN, b'\0' * 4):
            with Raw(d) as r:
                r.send(hello() + bad)
                assert r.until(REFUSED)[0] in (REFUSED, None)
        with Raw(d) as r:
            r.send(words(RUNNING, exe.st_dev, exe.st_ino))
            has('wrong time', r.refused())
        with Raw(d) as r:
            r.send(hello() + words(RUNNING, exe.st_dev, exe.st_ino))
            kind, body = r.until(RUN)
            assert kind == RUN and cat.pid in struct.unpack(f'<{len(body) // 4}I', body)[1:]
    with Daemon('processes = own\n') as d, Cat(BOB) as cat:
        with Raw(d) as r:
            r.send(hello())
            r.send(words(LOOK, cat.pid, 1, 0, 0))
            assert struct.unpack('<Q', r.until(FILE)[1])[0] == 0, 'root may'


def programs_are_lent_and_nothing_else():
    here = os.getpid()
    with open('/etc/passwd', 'rb') as f, Daemon() as d, mmap.mmap(f.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ):
        with open('/proc/self/maps', encoding='utf-8') as m:
            maps = [line.split() for line in m]
        with Raw(d) as r:
            r.send(hello())
            for name, code in (('/passwd', 8), ('python', 0)):
                start, end = [int(a, 16) for a in next(v[0] for v in maps if len(v) > 5 and name in v[5]).split('-')]
                r.send(words(LOOK, here, 4, start, end))
                assert struct.unpack('<Q', r.until(FILE)[1])[0] == code, name


def each_is_noted_once():
    with Daemon() as d, Cat(BOB) as a, Cat(BOB) as b, Raw(d) as r:
        r.send(hello())
        for _ in range(100):
            for cat in (a, b):
                r.send(words(LOOK, cat.pid, 0, 0, 0))
                r.until(FILE)
            for fd in r.fds:
                os.close(fd)
            r.fds = []
        for cat in (a, b):
            assert d.log().count(f'look at process {cat.pid}: permitted') == 1


def tracepoints_at_the_wrong_time():
    with Daemon() as d, Cat(BOB) as cat, Honest(d):
        start = start_for(d, cat)
        points = message(POINTS, struct.pack('<III', 2, 0, 0))
        with Raw(d) as r:
            r.begun(start)
            r.send(points)
            has('wrong time', r.refused())
        for data in (points, message(POINTS), message(POINTS, b'\xff' * 64)):
            with Raw(d) as r:
                r.armed(start)
                r.send(data)
                r.refused()
        wait_for(cat.is_clean, 'clean process')


class Refusing:
    """A daemon whose every answer is a refusal with error @code. .waited: of each connection, whether the client waited for its end."""

    def __init__(self, code):
        self.sock = os.path.join(machine.PLACE, f'refusing-{code}')
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.sock)
        self.listener.listen()
        self.waited = []
        self.answer = message(REFUSED, struct.pack('<iI', -code, 7) + b'go away')
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                s, _ = self.listener.accept()
                with s:
                    s.recv(4096)
                    s.sendall(self.answer)
                    while s.recv(4096):
                        pass
                    self.waited.append(self.is_there(s))

    @staticmethod
    def is_there(s):
        """Who has only said that nothing more comes can still be written to."""
        try:
            s.sendall(b'x')
        except OSError:
            return False
        return True

    def close(self):
        self.listener.close()
        os.unlink(self.sock)


def refusals_end_it():
    """Whatever error a daemon gives as its reason, those of waiting included: it is said, and that is the end, which is waited for."""
    for code in errno.EAGAIN, errno.EINTR, errno.ETIMEDOUT, errno.EPERM:
        d = Refusing(code)
        p = popen(d, ROOT, '-x', 'daemon=always', '-qn', 'BEGIN { }')
        try:
            _, err = p.communicate(timeout=30 * machine.SLOW)
        finally:
            p.kill()
            p.communicate()
            d.close()
        assert p.returncode == 1 and 'go away' in err, (code, p.returncode, err)
        assert d.waited and all(d.waited), (code, d.waited)


if __name__ == '__main__':
    main([strange_greetings, wrong_version_is_said, out_of_order_and_replayed, truncated_and_vanishing, a_changed_request,
          lies_about_the_memory, slow_ones_are_dropped, those_who_do_not_read_are_dropped, a_few_hundred_at_once,
          descriptors_that_it_sends_are_closed, looks, programs_are_lent_and_nothing_else, each_is_noted_once,
          tracepoints_at_the_wrong_time, the_memory_is_only_for_reading, the_kernels_memory_is_of_no_use,
          a_running_process_is_not_new, who_is_not_its_child_is_not_stopped, refusals_end_it])
