#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""dyntrace verify and repair, two controllers at one process, other tracers: said clearly, nothing changed."""
import os
import re
import signal
import subprocess
import tempfile
import time

import lib

LIBC = 'pid$target:libc.so*::entry,pid$target:libc.so*::return { @[probename] = count(); }'
LOOP = 'import time\nn = 0\nwhile True:\n n += len(str(list(range(100))))\n time.sleep(0.0005)\n'


class Python:
    def __enter__(self):
        self.proc = subprocess.Popen(['/usr/bin/python3', '-c', LOOP], env=lib.clean_env(), stdin=subprocess.DEVNULL)
        time.sleep(0.4)
        return self.proc.pid

    def __exit__(self, *exc):
        self.proc.kill()
        self.proc.wait()


def says(args, status, *patterns):
    r = lib.dyntrace(*[str(a) for a in args], check=False)
    text = r.stdout + r.stderr
    assert r.returncode == status, f'{args}: status {r.returncode}, not {status}: {text[-800:]}'
    for p in patterns:
        assert re.search(p, text, re.S), f'{args}: no /{p}/ in: {text[-1500:]}'
    return r.stdout


def untouched():
    with Python() as pid:
        says(['verify', pid], 0, f'process {pid}: its code is as in its files\n$')
        says(['repair', pid], 0, 'nothing was left')
        assert says(['verify', '-q', pid], 0) == ''


def traced():
    with Python() as pid, lib.Tracing('-n', LIBC, '-p', pid) as t:
        t.wait_armed(pid)
        out = says(['verify', pid], 1, r'file [0-9a-f ]+ \(dyntrace\)', f'traced by process {t.proc.pid} ".*dyntrace -n')
        assert 'and' in out and len(out.splitlines()) == 12, out
        out = says(['verify', '-v', pid], 1)
        places = int(re.search(r'differs from its files in (\d+) places, of dyntrace;', out).group(1))
        assert places > 3000 and len(out.splitlines()) == places + 1, (places, len(out.splitlines()))
        says(['repair', pid], 1, f'process {pid} is traced by dyntrace already .process {t.proc.pid} ')
        t.stop()
        says(['verify', pid], 0)


def memory_stays():
    """A thread stands in our code when tracing ends, as long as it likes: our memory is left to it, which is said, and goes when it has gone."""
    with Python() as pid:
        says(['-w', '-qn', 'pid$target:libc.so*:clock_nanosleep:entry { stop(); exit(0); }', '-p', pid], 0,
             f'process {pid}: its code is as before, but memory of ours stays mapped, .*repair {pid} takes it away')
        says(['verify', pid], 1, r'its code is as in its files; \d+ mappings of dyntrace, whose tracing has ended')
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.2)
        says(['repair', pid], 0, r'0 places restored, \d+ mappings removed')
        lib.assert_untouched(pid)


def what_is_waited_for():
    """Who waits long for the end is told why, on a terminal; nobody else is."""
    args = ['-w', '-qn', 'pid$target:libc.so*:clock_nanosleep:entry { stop(); exit(0); }', '-p']
    word = 'probes are being taken away: this waits for 1 thread to leave their code'
    with Python() as pid:
        said = lib.on_terminal(80, *args, str(pid)).decode()
        assert word in said and 'stays mapped' in said, said
    with Python() as pid:
        said = lib.dyntrace(*args, str(pid)).stderr
        assert word not in said and 'stays mapped' in said, said


def taken_away_once():
    """What stayed is taken away by several at once, while the next session comes: its memory, at the same addresses, is left alone."""
    count = 'pid$target:libc.so*:clock_nanosleep:entry { @ = count(); } tick-1s { exit(0); }'
    for i in range(5):
        with Python() as pid:
            says(['-w', '-qn', 'pid$target:libc.so*:clock_nanosleep:entry { stop(); exit(0); }', '-p', pid], 0, 'stays mapped')
            def begin(*args):
                return subprocess.Popen([lib.DYNTRACE, *args], env=lib.clean_env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            repairs = [begin('repair', str(pid)) for _ in range(3)]
            time.sleep(0.2)
            later = begin('-qn', count, '-p', str(pid))
            time.sleep(0.2 * i)
            os.kill(pid, signal.SIGCONT)
            for p in repairs + [later]:
                p.wait(30 * lib.SLOW)
            assert lib.alive(pid)
            lib.assert_untouched(pid)


def killed():
    with Python() as pid:
        with lib.Tracing('-n', LIBC, '-p', pid) as t:
            t.wait_armed(pid)
            t.proc.send_signal(signal.SIGKILL)
            lib.wait_for(lambda: not lib.alive(t.proc.pid), 'its end')
            says(['verify', pid], 1, f'left by process {t.proc.pid}, a dyntrace that was killed, whose parent')
            t.stop()
        says(['verify', pid], 1, 'left by a dyntrace that was killed')
        says(['repair', pid], 0, r'\d+ places restored, \d+ mappings removed')
        says(['verify', pid], 0)
        lib.assert_untouched(pid)
        assert lib.alive(pid)


LEFT = """import mmap, os, sys
fd = os.memfd_create('dyntrace-shm')
os.write(fd, sys.stdin.buffer.read())
m = mmap.mmap(fd, 0)
os.close(fd)
print('ready', flush=True)
os.read(int(sys.argv[1]), 1)
"""
ARMED = 4096 # struct wire_shm.armed, behind the first page


def why_it_is_left():
    """A copy of a session's memory is mapped where there is no session: one that was killed, or one that went in good order."""
    with Python() as pid:
        with lib.Tracing('-n', LIBC, '-p', pid) as t:
            t.wait_armed(pid)
            start = next(m[0] for m in lib.ours_mapped(pid) if 'dyntrace-shm' in m[4])
            with open(f'/proc/{pid}/mem', 'rb', buffering=0) as mem:
                mem.seek(start)
                head = mem.read(1 << 16)
            t.stop()
    assert head[ARMED:ARMED + 4] == b'\1\0\0\0', head[ARMED:ARMED + 4]
    for armed, says_why in (b'\1', 'left by a dyntrace that was killed'), (b'\0', 'whose tracing has ended: threads may still return there'):
        end, ours = os.pipe()
        p = subprocess.Popen(['/usr/bin/python3', '-c', LEFT, str(end)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[end])
        p.stdin.write(head[:ARMED] + armed + head[ARMED + 1:])
        p.stdin.close()
        assert p.stdout.readline() == b'ready\n'
        says(['verify', p.pid], 1, says_why)
        for fd in (end, ours):
            os.close(fd)
        p.kill()
        p.wait()


PROOF = """import ctypes, os, sys
fd = os.memfd_create('dyntrace-proof')
os.ftruncate(fd, 4096)
libc = ctypes.CDLL(None)
libc.mmap.restype, libc.mmap.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mmap(None, 4096, 0, 1, fd, 0)
os.close(fd)
print('ready', flush=True)
sys.stdin.read()
"""


def killed_before_it_began():
    """All that was there was the proof of whom it spoke with."""
    with subprocess.Popen(['/usr/bin/python3', '-c', PROOF], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        assert p.stdout.readline() == b'ready\n'
        says(['verify', p.pid], 1, '1 mapping of dyntrace')
        says(['repair', p.pid], 0, '1 mapping removed')
        says(['verify', p.pid], 0)
        p.stdin.close()
        assert p.wait(30 * lib.SLOW) == 0


def the_proof_is_in_use():
    """By who finds out at this time whom it speaks with: it is the one that takes it away."""
    held = PROOF.replace("'dyntrace-proof'", "f'dyntrace-proof-{os.getpid()}'").replace(
        'libc.mmap(None, 4096, 0, 1, fd, 0)', """libc.mmap(None, 4096, 0, 2, fd, 0)
child = os.fork()
if not child:
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    for l in open('/proc/self/maps').read().splitlines():
        if 'dyntrace-proof' in l:
            libc.munmap(int(l.split('-')[0], 16), 4096)
    libc.mmap(None, 4096, 0, 1, fd, 0)
else:
    print(child, flush=True)""")
    with subprocess.Popen(['/usr/bin/python3', '-c', held], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        said = b''.join(p.stdout.readline() for _ in range(3)) # of two processes, in any order
        child = int(re.search(rb'\d+', said)[0])
        says(['repair', child], 0)
        says(['verify', child], 1, '1 mapping of dyntrace')
        p.kill()
        p.wait()
        says(['repair', child], 0, '1 mapping removed')
        os.kill(child, signal.SIGKILL)


PAGE = """import ctypes, sys
libc = ctypes.CDLL(None)
libc.mmap.restype, libc.mmap.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
at = int(sys.argv[1], 16)
if at: # MAP_PRIVATE, ANONYMOUS, NORESERVE, FIXED_NOREPLACE
    assert libc.mmap(at, 4096, 3, 0x104022, -1, 0) == at
    ctypes.memset(at, 0x5a, 4096)
sys.stdout.write('ready\\n')
sys.stdout.flush()
for line in sys.stdin:
    print(ctypes.string_at(at, 4096) == bytes([0x5a]) * 4096 if at else '', flush=True)
"""


class Fixed:
    """Where nothing makes addresses random; with a page of its own at @at."""

    def __init__(self, at=0):
        self.proc = subprocess.Popen(['setarch', '-R', '/usr/bin/python3', '-c', PAGE, f'{at:016x}'], env=lib.clean_env(),
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self.proc.pid
        assert self.proc.stdout.readline() == 'ready\n'

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.proc.kill()
        self.proc.communicate()

    def says(self):
        self.proc.stdin.write('\n')
        self.proc.stdin.flush()
        return self.proc.stdout.readline().strip()

    def wipe_pages(self):
        """Pages that a forked child finds empty."""
        with open(f'/proc/{self.pid}/smaps', encoding='utf-8', errors='replace') as f:
            for line in f:
                if line.startswith('VmFlags:') and ' wf' in line:
                    yield start
                elif '-' in line.split()[0]:
                    start = int(line.split('-')[0], 16)

    def memory(self):
        return next(m[0] for m in lib.ours_mapped(self.pid) if 'dyntrace-shm' in m[4])


def killed_with_two():
    """Two that have the memory at the same address: the wipe page of one is where the other has a page of its own."""
    lib.need('setarch')
    read = 'pid$target:libc.so*:read:entry { @ = count(); }'
    with Fixed(1 << 20) as first, lib.Tracing('-n', read, '-p', first.pid) as t:
        t.wait_armed(first.pid)
        wipe, = first.wipe_pages()
    both = ' '.join('pid%d:libc.so*:read:entry { @ = count(); }' for _ in range(2))
    with Fixed(1 << 20) as one, Fixed(wipe) as other:
        with lib.Tracing('-n', both % (one.pid, other.pid), '-p', one.pid, '-p', other.pid) as t:
            t.wait_armed(one.pid)
            t.wait_armed(other.pid)
            wipes = list(one.wipe_pages()), list(other.wipe_pages())
            if one.memory() != other.memory() or wipes[0] != [wipe] or wipe in wipes[1]:
                raise lib.Skip(f'their addresses: {one.memory():x} {other.memory():x} {wipe:x} {wipes}')
            t.stop(signal.SIGKILL)
        for who in (one, other):
            says(['repair', who.pid], 0, r'\d+ mappings removed')
            assert who.says() == 'True', 'its own page is gone'
            lib.assert_untouched(who.pid)
            assert not list(who.wipe_pages()), 'the wipe page stayed'


def second_controller():
    """Attempts to trace what is traced neither succeed nor disturb the first, whose arming they may meet."""
    seen = ' pid$target:libc.so*:*nanosleep:entry /!seen/ { seen = 1; printf("seen\\n"); }'
    with Python() as pid:
        for i in range(6):
            with lib.Tracing('-q', '-n', LIBC + seen, '-p', pid) as t:
                lib.wait_for(lambda: lib.ours_mapped(pid), 'the first one')
                for _ in range(8):
                    r = lib.dyntrace('-n', 'pid$target:libc.so*:read:entry { exit(0); } tick-1ms { exit(0); }', '-p', str(pid), check=False)
                    if r.returncode:
                        assert re.search(rf'traced by (dyntrace already .process|process) {t.proc.pid}\b', r.stderr), r.stderr
                        break
                    time.sleep(0.005 * i)
                t.wait_begun('seen\n')
                status, out, err = t.stop()
                assert status == 0 and 'entry' in out, (status, out[-300:], err[-500:])
            lib.assert_untouched(pid)


def two_at_once():
    """Started at the same time: one wins, or one after the other; the code ends as it was."""
    with Python() as pid:
        for _ in range(5):
            both = [subprocess.Popen([lib.DYNTRACE, '-q', '-n', LIBC + ' tick-300ms { exit(0); }', '-p', str(pid)],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)]
            ends = [(p.communicate(timeout=60 * lib.SLOW)[1], p.returncode) for p in both]
            assert any(status == 0 for _, status in ends), ends
            assert all(status == 0 or 'traced by' in err for err, status in ends), ends
            assert lib.alive(pid)
            says(['verify', pid], 0)


def other_tracers():
    lib.need('gdb')
    with Python() as pid:
        gdb = subprocess.Popen(['gdb', '-batch', '-nx', '-p', str(pid), '-ex', 'shell sleep 4'], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lib.wait_for(lambda: lib.tracer_of(pid), 'gdb to attach')
        says(['repair', pid], 1, rf'traced by process {gdb.pid} already \(gdb\)')
        says(['-n', LIBC, '-p', pid], 1, rf'traced by process {gdb.pid} already \(gdb\)')
        says(['verify', pid], 0)
        gdb.wait(30 * lib.SLOW)


def breakpoint_of_a_debugger():
    lib.need('gdb')
    with Python() as pid, tempfile.NamedTemporaryFile('w', suffix='.gdb') as f:
        gdb = subprocess.Popen(['gdb', '-batch', '-nx', '-p', str(pid), '-ex', 'set breakpoint always-inserted on', '-ex', 'break abort',
                                '-ex', 'shell sleep 4'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lib.wait_for(lambda: lib.changed_text(pid), 'the breakpoint')
        says(['verify', pid], 1, r'abort[^:]*: cc, file [0-9a-f]{2} \(breakpoint')
        gdb.wait(30 * lib.SLOW)
        says(['verify', pid], 0)


def usage():
    says(['verify'], 2, 'needs the number')
    says(['verify', '4194303'], 2, 'no process')
    says(['repair', '4194303'], 1, 'no process')
    says(['verify', 'no such name'], 2, 'there is no process')
    says(['verify', '0x'], 2, 'invalid pid')
    says(['verify', '2'], 2, 'kernel')


def main():
    tap = lib.Tap()
    for name, fn in (('untouched', untouched), ('traced', traced), ('memory stays', memory_stays), ('what is waited for', what_is_waited_for),
                     ('taken away once', taken_away_once), ('killed controller', killed), ('killed controller of two', killed_with_two),
                     ('why it is left', why_it_is_left), ('killed before it began', killed_before_it_began), ('the proof is in use', the_proof_is_in_use),
                     ('second controller', second_controller), ('two at once', two_at_once), ('other tracers', other_tracers),
                     ('breakpoint of a debugger', breakpoint_of_a_debugger), ('usage', usage)):
        tap.run(name, fn)
    tap.done()


if __name__ == '__main__':
    main()
