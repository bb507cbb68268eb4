#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The verbs that keepers serve: attach, add, rm, list-*, and that nobody's tracepoints disturb another's."""
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

import lib

TRIGGERS = os.path.join(lib.BUILD, 'tests', 'trigger')
ROUND = 200000


class Calls:
    """The trigger of that name, traced in a folder of keepers that is the test's own."""

    def __init__(self, threads=2, rounds=ROUND, out=subprocess.PIPE, name='calls'):
        self.dir = tempfile.mkdtemp(prefix='dyntrace-verbs-')
        os.chmod(self.dir, 0o700)
        self.env = lib.clean_env(XDG_RUNTIME_DIR=self.dir, TZ='UTC')
        self.exe = os.path.join(self.dir, name)
        shutil.copy(os.path.join(TRIGGERS, 'calls'), self.exe)
        self.proc = subprocess.Popen([self.exe, str(threads), str(rounds)], stdin=subprocess.PIPE, stdout=out, text=True)
        self.pid = self.proc.pid
        if out == subprocess.PIPE:
            assert self.proc.stdout.readline() == 'ready\n'
        else:
            time.sleep(0.2)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        subprocess.run([lib.DYNTRACE, 'detach', str(self.pid)], env=self.env, stdin=subprocess.DEVNULL, capture_output=True)
        self.proc.kill()
        self.proc.communicate()
        shutil.rmtree(self.dir, ignore_errors=True)

    def begin(self):
        self.proc.stdin.write('go\n')
        self.proc.stdin.flush()

    def go(self):
        self.begin()
        assert self.proc.stdout.readline() == 'done\n'

    def run(self, *args, status=0, says=None):
        r = subprocess.run([lib.DYNTRACE, *[str(a) for a in args]], env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, timeout=60 * lib.SLOW, check=False)
        text = r.stdout + r.stderr
        assert r.returncode == status, f'{args}: status {r.returncode}, not {status}: {text[-1500:]}'
        assert says is None or re.search(says, text), f'{args}: no /{says}/ in {text[-1500:]}'
        return r.stdout

    def says(self, *args):
        """What it says where it fails."""
        r = subprocess.run([lib.DYNTRACE, *[str(a) for a in args]], env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, timeout=60 * lib.SLOW, check=False)
        assert r.returncode, (args, r)
        return r.stderr

    def add(self, place, *args, **more):
        return self.run('add', f'{self.pid}:{place}', *args, **more).strip()

    def points(self):
        return {p['name']: p for p in json.loads(self.run('list-tracepoints', self.pid, '--json'))['tracepoints']}

    def path(self, name):
        return os.path.join(self.dir, name)


def counts():
    with Calls() as c:
        c.run('attach', c.pid)
        assert c.add('work', 'count') == 'tp-0'
        assert c.add('leaf', '-e', '-n', 'both', 'count') == 'both'
        assert c.add('work', 'count') == 'tp-1'
        c.go()
        p = c.points()
        assert p['tp-0']['hits'] == p['tp-1']['hits'] == 2 * ROUND, p
        assert p['both']['hits'] == p['both']['returns'] > 2 * ROUND, p
        c.run('rm', f'{c.pid}:tp-0', says=f'^{2 * ROUND} hits$')
        c.go()
        p = c.points()
        assert list(p) == ['both', 'tp-1'] and p['tp-1']['hits'] == 4 * ROUND, p
        c.run('detach', c.pid, says='both removed')
        c.run('verify', c.pid)
        c.run('list-tracepoints', c.pid, status=1, says='not attached')


def peer_of(path):
    """Who listens there."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        return struct.unpack('3i', s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]


def detached_is_anybodys():
    """When detach returns, the keeper has the process's memory no more, however long that takes: whoever has it is its owner."""
    lib.need('strace')
    with Calls() as c:
        c.add('work', 'count')
        keeper = peer_of(c.path(f'dyntrace/{c.pid}'))
        with open(f'/proc/{keeper}/maps', encoding='utf-8') as f:
            assert 'dyntrace-shm' in f.read()
        with subprocess.Popen(['strace', '-o', c.path('trace'), '-e', 'trace=munmap', '-e', 'inject=munmap:delay_enter=30000', '-p', str(keeper)],
                              stderr=subprocess.PIPE, text=True) as s:
            if 'attached' not in s.stderr.readline():
                s.kill()
                raise lib.Skip('strace may not attach')
            c.run('detach', c.pid)
            try:
                with open(f'/proc/{keeper}/maps', encoding='utf-8') as f:
                    assert 'dyntrace-shm' not in f.read()
            except (FileNotFoundError, ProcessLookupError):
                pass
            s.communicate(timeout=60 * lib.SLOW)


def run_waits_for_what_is_detached():
    with tempfile.TemporaryDirectory(prefix='dyntrace-verbs-') as folder:
        env = lib.clean_env(XDG_RUNTIME_DIR=folder)
        with subprocess.Popen([lib.DYNTRACE, 'run', 'sh', '-c', 'echo $$; read x; exit 7'], env=env, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as p:
            pid = p.stdout.readline().strip()
            r = subprocess.run([lib.DYNTRACE, 'detach', pid], env=env, capture_output=True, text=True, timeout=60 * lib.SLOW, check=False)
            assert r.returncode == 0, r
            p.communicate('\n', timeout=60 * lib.SLOW)
            assert p.returncode == 7, p.returncode


def lists_fit_a_terminal():
    """Also one that does not say how wide it is; what is not written to one is whole."""
    with subprocess.Popen(['sleep', '100', '0' * 300], stdin=subprocess.DEVNULL) as p:
        try:
            for columns, most in (60, 60), (0, 80):
                lines = lib.on_terminal(columns, 'list-processes', '-a').split(b'\r\n')
                assert max(len(l.decode()) for l in lines) <= most, lines
                assert any(l.split()[:1] == [b'%d' % p.pid] for l in lines), lines
            assert f'{p.pid}   sleep 100 {"0" * 300}\n' in lib.dyntrace('list-processes', '-a').stdout
        finally:
            p.kill()


def names_that_are_no_text():
    """No character is cut, none rules a terminal, and JSON is JSON."""
    with tempfile.TemporaryDirectory(prefix='dyntrace-verbs-') as folder:
        exe = f'{folder}/' + '\u00e4' * 10 # the kernel keeps 15 bytes of it
        shutil.copy('/bin/sh', exe)
        odd = [b'\x80\xff', '\u0085x'.encode(), b'\x1b[31m', b'\xc3', '\u00f6'.encode() * 200]
        with subprocess.Popen([exe, '-c', 'echo; read x', *odd], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
            try:
                p.stdout.readline()
                told = next(q for q in json.loads(lib.dyntrace('list-processes', '-a', '--json').stdout) if q['pid'] == p.pid)
                assert told['name'] == '\u00e4' * 7, told
                assert told['command'].endswith(' \x80\xff \x85x \x1b[31m \u00c3 ' + '\u00f6' * 200), told
                for columns in 60, 61, len(folder) + 80:
                    line = next(l for l in lib.on_terminal(columns, 'list-processes', '-a').split(b'\r\n') if l.split()[:1] == [b'%d' % p.pid])
                    line = line.decode() # no half of one
                    assert line.isprintable() and len(line) == columns, (columns, line)
                assert ' ??  x  [31m ? \u00f6' in line, line
                narrow = lib.on_terminal(24, 'list-processes', '-a').decode().split('\r\n')
                assert len(narrow) > 1 and all(len(l) <= 24 for l in narrow), narrow
            finally:
                p.kill()


def nobody_is_disturbed():
    """Others come and go in the same functions and beside them; each hit is counted once."""
    with Calls(threads=3, rounds=40000000) as c:
        c.add('work', '-e', '-n', 'kept', 'count')
        c.begin()
        i = 0
        while not select.select([c.proc.stdout], [], [], 0)[0]:
            i += 1
            c.add('work', '-e', '-n', 'other', 'count')
            c.add('leaf', '-n', 'near', 'none')
            if i % 5 == 0:
                c.add('branchy', '-n', 'typed', 'd', f'@n{i} = sum(arg0);')
                c.run('rm', f'{c.pid}:typed')
            c.run('rm', f'{c.pid}:other')
            c.run('rm', f'{c.pid}:near')
        assert i > 1, i
        assert c.proc.stdout.readline() == 'done\n'
        p = c.points()['kept']
        assert p['hits'] == p['returns'] == 120000000, (i, p)
        c.run('detach', c.pid)
        c.run('verify', c.pid)


def logs():
    with Calls(threads=1, rounds=3) as c:
        log = c.path('a.log')
        c.add('work', '-e', '-n', 'w', 'log', log)
        c.add('branchy', 'log', 'b.log')  # beside whoever asks, which is this test
        c.go()
        time.sleep(0.4)
        with open(log, encoding='utf-8') as f:
            lines = f.read().splitlines()
        want = r'\d\d:\d\d:\d\d\.\d{9} \d+ w work'
        assert len(lines) == 6, lines
        assert all(re.match(want + (r' returns = -?\d+$' if i % 2 else r'\(a=\d, b=\d\)$'), s) for i, s in enumerate(lines)), lines
        with open('b.log', encoding='utf-8') as f:
            assert len(f.read().splitlines()) == 3
        os.unlink('b.log')
        c.add('work', '-n', 'traced', 'ctf', c.path('trace'))
        c.go()
        p = c.points()
        assert (p['w']['hits'], p['w']['returns'], p['tp-0']['hits'], p['traced']['hits']) == (6, 6, 6, 3), p
        text = c.run('list-tracepoints', c.pid)
        assert '  6 entered, 6 returned\n' in text and '  6 hits\n' in text and '  3 hits\n' in text, text


def tail_calls():
    """A function that leaves by a jump to another has no result there; its other returns have theirs."""
    with Calls(threads=1, rounds=4) as c:
        log = c.path('t.log')
        c.add('branchy', '-e', 'log', log)
        c.go()
        time.sleep(0.4)
        with open(log, encoding='utf-8') as f:
            lines = [re.sub(r'^.*branchy', '', s) for s in f.read().splitlines()]
        assert len(lines) == 8 and lines[0] == '(a=0)' and lines[1] == ' returns = 0', lines
        assert all(re.fullmatch(r' returns( = \d+| by a tail call)', s) for s in lines[1::2]), lines


def own_output():
    """Without a file, lines go where the program's own go, and nothing of either is lost."""
    out = tempfile.NamedTemporaryFile()
    with open(out.name, 'w', encoding='utf-8') as f, Calls(threads=1, rounds=5, out=f) as c:
        c.add('work', 'log')
        for i in range(3):
            c.begin()
            time.sleep(0.4)
        with open(out.name, encoding='utf-8') as g:
            lines = g.read().splitlines()
        assert lines.count('done') == 3 and sum(' tp-0 work(a=' in s for s in lines) == 15 and len(lines) == 19, lines


def full_pipe():
    """A reader that does not read: lines are counted as lost, and the program goes on."""
    with Calls(threads=1, rounds=20000) as c:
        c.add('work', 'log')
        c.begin()
        time.sleep(1.5)
        p = c.points()['tp-0']
        assert p['lines_lost'] > 1000, p


def distributions():
    with Calls(threads=1, rounds=1000) as c:
        c.add('work', 'hist')
        c.add('work', '-e', '-n', 'time', 'hist')
        c.go()
        p = c.points()
        assert sum(b['count'] for b in p['tp-0']['buckets']) == 1000, p
        assert p['tp-0']['buckets'][-1] == {'from': 512, 'count': 488}, p
        assert sum(b['count'] for b in p['time']['buckets']) == 1000, p
        c.run('rm', f'{c.pid}:time', says='nanoseconds')


def clauses():
    with Calls(threads=1, rounds=100) as c:
        out = c.path('out')
        c.add('work', '-n', 'p', 'd', '-o', out, '/arg0 < 3/ { printf("%d %s\\n", arg0, probefunc); }')
        c.add('leaf', '-n', 's', 'd', '@["leaf"] = sum(arg0); this->x = arg1; @b = max(this->x)')
        c.go()
        time.sleep(0.4)
        with open(out, encoding='utf-8') as f:
            assert f.read() == '0 work\n1 work\n2 work\n'
        c.run('list-tracepoints', c.pid, says=r'leaf +8700')
        c.add('leaf', 'd', 'trace(nosuch)', status=1, says='nosuch')
        c.add('leaf', 'd', 'exit(1)', status=1, says='rm removes one')
        c.add('leaf', 'd', 'raise(9)', status=1, says='destructive')
        c.add('leaf', 'd', '@["leaf", 1] = sum(1)', status=1, says='shares its names with the other clauses')
        c.add('leaf', 'd', '@b = count()', status=1, says='call this one @other')
        c.go()
        c.run('rm', f'{c.pid}:s', says='17400')


def later_aggregations():
    """What each of them does, though the image that had the first is gone."""
    with Calls(threads=1, rounds=10) as c:
        c.add('work', 'count')
        for i in range(4):
            c.add('work', '-n', f'd{i}', 'd', f'@t{i} = sum(3); @m{i} = max({i + 7}); @l{i} = min({i + 7}); @q{i} = quantize(1 << {i})')
        c.go()
        text = c.run('list-tracepoints', c.pid)
        hits = c.points()['tp-0']['hits']
        for i in range(4):
            part = text.split(f'\nd{i} ')[1].split('\nd')[0]
            numbers = [int(n) for n in re.findall(r'^ +(\d+)$', part, re.M)]
            assert numbers == [3 * hits, i + 7, i + 7], (i, hits, part)
            assert re.search(rf'^ +{1 << i} \|@+ {hits} *$', part, re.M), (i, hits, part)


def places():
    with Calls(threads=1, rounds=10) as c:
        sym = json.loads(c.run('list-symbols', c.pid, 'work', '--json'))[0]
        addr = int(sym['address'], 16)
        c.add(hex(addr), '-n', 'hex', 'count')
        c.add(str(addr), '-n', 'dec', 'count')
        c.add('0' + oct(addr)[2:], '-n', 'oct', 'count')
        c.add('a.out:work', '-n', 'mod', 'count')
        c.add('work@a.out', '-n', 'at', 'count')
        c.add('work+0', '-n', 'zero', 'count')
        c.go()
        assert [p['hits'] for p in c.points().values()] == [10] * 6, c.points()
        c.add('work+1x', 'count', status=1)
        c.add('nosuch', 'count', status=1, says='no function')
        c.add('0x10', 'count', status=1, says='no code')
        c.add('work', '-n', 'hex', 'count', status=1, says='already')
        c.add('work', 'nosuch', status=1, says='log, count')
        c.run('rm', f'{c.pid}:nosuch', status=1, says='no tracepoint')
        c.run('list-symbols', c.pid, 'nosuch*', status=1, says='no function')


def symbols_by_descriptions():
    with Calls() as c:
        def listed(text):
            return sorted((s['module'], s['name']) for s in json.loads(c.run('list-symbols', c.pid, text, '--json')))
        plain = listed('mem*cpy')
        assert ('libc.so.6', 'memccpy') in plain
        for text in 'libc:mem*cpy', 'libc.so.6:mem*cpy', 'pid$target:libc.so.6:mem*cpy:entry', f'pid{c.pid}:libc:mem*cpy:', 'libc:mem*cpy:return':
            assert listed(text) == [s for s in plain if s[0] == 'libc.so.6'], (text, listed(text))
        assert listed('pid$target::mem*cpy:entry') == plain
        work = listed('work')
        assert len(work) == 1 and listed('a.out:work') == work and work[0] in listed('a.out:') and work[0] in listed('a.out::')
        assert {m for m, _ in listed('libc:')} == {'libc.so.6'}
        assert listed('work:entry') == listed('work:return') == listed('a.out:work:0') == listed(f'pid{c.pid}:a.out:work:1f') == work
        c.run('list-symbols', c.pid, 'libc:work', status=1, says='no function that libc:work matches')


def symbols_that_are_none():
    """Functions of a program without symbols: what descriptions call them, where they are."""
    with subprocess.Popen(['sleep', '1000']) as p:
        try:
            lib.wait_for(lambda: os.readlink(f'/proc/{p.pid}/exe').endswith('/sleep'), 'sleep')
            funcs = json.loads(lib.dyntrace('list-symbols', str(p.pid), 'sleep:sub_*', '--json').stdout)
            probes = lib.dyntrace('-ln', 'pid$target:sleep:sub_*:entry', '-p', str(p.pid)).stdout.split('\n')[1:-1]
            assert [f['name'] for f in funcs] == [l.split()[3] for l in probes] != []
            assert len({int(f['address'], 16) - int(f['name'][4:], 16) for f in funcs}) == 1
            r = lib.dyntrace('-n', 'pid$target:sleep:nosuch:entry', '-p', str(p.pid), check=False)
            assert 'list-symbols lists them' in r.stderr, r.stderr
        finally:
            p.kill()


def names():
    with Calls(name='verbstwin') as a, Calls(name='verbstwin') as b:
        a.run('add', 'verbstwin:work', 'count', status=1, says=f'2 processes.*\n +{a.pid} .*\n +{b.pid} ')
        a.run('attach', 'verbstwin', status=1)
        a.run('attach', 'nosuchprocess', status=1, says='there is no process')
        b.proc.kill()
        b.proc.wait()
        a.run('add', 'verbstwin:work', 'count')
        listed = json.loads(a.run('list-processes', '--json'))
        assert [p['pid'] for p in listed] == [a.pid] and listed[0]['attached'], listed
        assert len(json.loads(a.run('list-processes', '-a', '--json'))) > 1


def lists_make_nothing():
    """Who only lists or asks has no folder of keepers made."""
    with Calls() as c:
        c.run('list-processes')
        c.run('list-symbols', c.pid)
        c.run('list-tracepoints', c.pid, status=1, says='not attached')
        c.run('detach', c.pid, status=1, says='not attached')
        assert not os.path.exists(os.path.join(c.dir, 'dyntrace')), os.listdir(c.dir)
        c.run('attach', c.pid)
        c.run('list-tracepoints', c.pid)


def keeper_of(c):
    """Who holds the memory of the traced process."""
    r = subprocess.run([lib.DYNTRACE, 'verify', str(c.pid)], capture_output=True, text=True, check=False)
    return int(re.search(r'traced by process (\d+)', r.stdout).group(1))


def ends_with_the_process():
    with Calls() as c:
        c.add('work', 'count')
        keeper = keeper_of(c)
        c.proc.kill()
        c.proc.wait()
        wait_gone(keeper)
        assert str(c.pid) not in os.listdir(c.path('dyntrace'))


def wait_gone(pid):
    for _ in range(100):
        try:
            with open(f'/proc/{pid}/stat', encoding='ascii') as f:
                if f.read().rsplit(')', 1)[1].split()[0] == 'Z':
                    return
        except OSError:
            return
        time.sleep(0.05)
    raise AssertionError(f'the keeper {pid} is still there')


def keeper_killed():
    with Calls(threads=1, rounds=100) as c:
        c.add('work', 'count')
        os.kill(keeper_of(c), signal.SIGKILL)
        time.sleep(0.2)
        c.go()
        c.run('list-tracepoints', c.pid, status=1, says='not attached')
        c.add('work', 'count')
        c.go()
        assert c.points()['tp-0']['hits'] == 100


def keeper_stopped():
    """Whom it does not answer is nobody else's concern."""
    with Calls() as a, Calls() as b:
        a.add('work', 'count')
        keeper, queue = keeper_of(a), []
        os.kill(keeper, signal.SIGSTOP)
        try:
            while True:
                queue.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
                queue[-1].connect(a.path(f'dyntrace/{a.pid}'))
        except BlockingIOError:
            own, b.env = b.env, a.env
            b.run('attach', b.pid)
            b.run('detach', b.pid)
            b.env = own
        finally:
            for s in queue:
                s.close()
            os.kill(keeper, signal.SIGCONT)
        assert list(a.points()) == ['tp-0']


def strangers():
    """What else may come to the socket."""
    with Calls(threads=1, rounds=100) as c:
        c.add('work', 'count')
        path = c.path(f'dyntrace/{c.pid}')
        assert os.stat(path).st_mode & 0o777 == 0o600
        for junk in (b'', b'x', b'A' * 16, b'DYK1' + b'\xff' * 12, b'DYK1' + b'\0\0\0\0\x04\0\0\0\0\0\0\0abcd'):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(path)
                s.sendall(junk)
        c.go()
        assert c.points()['tp-0']['hits'] == 100


def usage():
    with Calls() as c:
        for verb in ('attach', 'detach', 'add', 'rm', 'list-tracepoints', 'list-processes', 'list-symbols'):
            c.run(verb, '--help', says='^Usage: ')
        for verb in ('attach', 'detach', 'add', 'rm', 'list-tracepoints', 'list-symbols'):
            c.run(verb, status=2, says='^Usage: ')
        c.run('add', f'{c.pid}:work', status=2)
        c.run('detach', c.pid, status=1, says='not attached')


FAMILY = r'''
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
__attribute__((noinline, aligned(32))) int work(int n) { __asm__ volatile(""); return n + 1; }
__attribute__((noinline, aligned(32))) int other(int n) { __asm__ volatile(""); return n + 2; }
int main(int argc, char **argv)
{
	char line[64];
	int way[2], status = 1;
	if (argc > 1 && argv[1][0] == 'w') {
		work(other(1));
		return 0;
	}
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (line[0] == 'c')
			work(other(0));
		if (line[0] == 'f' && !fork()) {
			work(0);
			work(0);
			_exit(0);
		}
		if (line[0] == 'x' && !fork())
			execl(argv[0], argv[0], "w", NULL);
		if (line[0] == 'e')
			execl(argv[0], argv[0], NULL);
		if (line[0] == 'k' && !pipe(way) && !fork()) {
			close(way[1]);
			_exit(read(way[0], line, 1) || work(1) != 2 || other(1) != 3);
		}
		if (line[0] == 'l')
			close(way[1]);
		while (line[0] != 'k' && wait(&status) > 0)
			;
		puts(line[0] == 'l' && status ? "died" : "done");
		fflush(stdout);
	}
	return 0;
}
'''


class Family(Calls):
    def __init__(self):
        lib.need('cc')
        self.dir = tempfile.mkdtemp(prefix='verbs-')
        self.env = lib.clean_env(XDG_RUNTIME_DIR=self.dir, TZ='UTC')
        self.exe = f'{self.dir}/family'
        subprocess.run(['cc', '-O1', '-x', 'c', '-', '-o', self.exe], input=FAMILY, text=True, check=True)
        self.proc = subprocess.Popen([self.exe], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self.proc.pid
        assert self.proc.stdout.readline() == 'ready\n'

    def say(self, what, answer='done'):
        self.proc.stdin.write(what + '\n')
        self.proc.stdin.flush()
        assert self.proc.stdout.readline() == answer + '\n'

    def hits(self):
        return {n: p['hits'] for n, p in self.points().items() if 'hits' in p}


def children_are_followed():
    """Forked ones, programs that they run, and what the process itself becomes."""
    with Family() as c:
        c.run('attach', c.pid, '-x', 'followfork')
        c.run('attach', c.pid, '-x', 'followfork', status=1, says='attached already')
        c.run('add', f'{c.pid}:work', '-n', 'work', 'count')
        log = f'{c.dir}/log'
        c.run('add', f'{c.pid}:work', '-n', 'log', '-e', 'log', log)
        c.say('c')
        assert c.hits()['work'] == 1
        c.say('f')
        wait(lambda: c.hits()['work'] == 3)
        c.say('x')
        wait(lambda: c.hits()['work'] == 4)
        c.run('add', f'{c.pid}:other', '-n', 'other', 'count')
        c.say('x')
        wait(lambda: c.hits().get('other') == 1 and c.hits()['work'] == 5)
        c.run('rm', f'{c.pid}:other', says='1 hits?')
        c.say('f')
        wait(lambda: c.hits()['work'] == 7)
        c.say('e', 'ready')
        c.run('list-tracepoints', c.pid, says='runs another program now; its tracepoints are where')
        c.say('c')
        wait(lambda: c.hits()['work'] == 8)
        c.run('add', f'{c.pid}:other', '-n', 'again', 'count')
        c.say('c')
        c.say('x')
        wait(lambda: c.hits()['work'] == 10 and c.hits()['again'] == 2)
        places = c.points()['work']['places']
        assert len(places) == 1 and places[0]['function'] == 'work', places
        c.run('rm', f'{c.pid}:work', says='10 hits')
        c.run('detach', c.pid)
        with open(log, encoding='utf-8') as f:
            lines = f.read().splitlines()
        assert len(lines) == 20 and len({re.search(r'\b(\d+)\b', l[20:]).group(1) for l in lines}) >= 5, lines
        c.say('c')
        r = subprocess.run([lib.DYNTRACE, 'verify', '-p', str(c.pid)], capture_output=True, text=True, check=False)
        assert r.returncode == 0, r.stdout


def children_are_not_followed_unasked():
    with Family() as c:
        c.run('add', f'{c.pid}:work', '-n', 'work', 'count')
        c.say('c')
        c.say('f')
        c.say('x')
        time.sleep(0.3)
        assert c.hits()['work'] == 1
        c.say('e', 'ready')
        time.sleep(0.5)
        c.run('list-tracepoints', c.pid, says=r'(?s)runs another program now: its tracepoints are gone.*work\n  1 hits')
        c.run('add', f'{c.pid}:work', '-n', 'new', 'count')
        c.say('c')
        assert c.hits() == {'new': 1}
        c.run('detach', c.pid, says='1 hits')


def wait(what, seconds=10):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, 'it does not come about'
        time.sleep(0.05)


SHOP = r'''
#include <stdio.h>
#include "shop.h"
__attribute__((noinline)) void sell(int n) { SHOP_SALE(n, "tea"); SHOP_DONE(); }
__attribute__((noinline)) void give(int n) { SHOP_SALE(-n, "salt"); }
int main(void)
{
	char line[64];
	int n = 0;
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		sell(++n);
		give(n);
		printf("done %d %d\n", _dyntrace_shop___sale, _dyntrace_shop___done);
		fflush(stdout);
	}
	return 0;
}
'''


class Shop(Calls):
    """A program that declares probes; it says what their semaphores are."""

    def __init__(self):
        lib.need('cc')
        self.dir = tempfile.mkdtemp(prefix='dyntrace-verbs-')
        self.env = lib.clean_env(XDG_RUNTIME_DIR=self.dir, TZ='UTC')
        with open(f'{self.dir}/shop.d', 'w', encoding='ascii') as f:
            f.write('provider shop { probe sale(int n, char *what); probe done(); };\n')
        with open(f'{self.dir}/shop.c', 'w', encoding='ascii') as f:
            f.write(SHOP)
        subprocess.run([lib.DYNTRACE, '-h', '-s', 'shop.d'], cwd=self.dir, check=True)
        self.exe = f'{self.dir}/shop'
        subprocess.run(['cc', '-O1', '-o', 'shop', 'shop.c'], cwd=self.dir, check=True)
        self.proc = subprocess.Popen([self.exe], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self.proc.pid
        assert self.proc.stdout.readline() == 'ready\n'

    def semas(self):
        self.proc.stdin.write('go\n')
        self.proc.stdin.flush()
        return self.proc.stdout.readline().split()[1:]


def probes_of_the_program():
    """USDT: by provider and name, their arguments, their semaphores; beside tracepoints of the same function."""
    with Shop() as c:
        log = f'{c.dir}/log'
        assert c.semas() == ['0', '0']
        assert sorted(c.run('list-symbols', c.pid, '-u').split()) == ['shop:shop:give:sale', 'shop:shop:sell:done', 'shop:shop:sell:sale']
        for glob in 'done', 'sell:done', 'shop:sel*:done', 'shop:shop::done', 'sh*:::done':
            assert [p['function'] for p in json.loads(c.run('list-symbols', c.pid, glob, '-u', '--json'))] == ['sell'], glob
        c.run('list-symbols', c.pid, 'other:::done', '-u', status=1, says='no probe of its own')
        c.run('add', f'{c.pid}:shop:::sale', '-n', 'sales', 'count')
        assert c.semas() == ['1', '0']
        c.run('add', f'{c.pid}:sell', '-n', 'calls', '-e', 'count')
        c.run('add', f'{c.pid}:shop::sell:sale', '-n', 'log', 'log', log)
        c.run('add', f'{c.pid}:shop:::done', '-n', 'd', 'd', '-o', f'{c.dir}/d', '{ n++; printf("%d done\\n", n); }')
        c.run('add', f'{c.pid}:shop:a.out:give:sale', '-n', 'typed', 'd', '-o', f'{c.dir}/typed', '{ printf("%d %s\\n", args[0], copyinstr(arg1)); }')
        assert c.semas() == ['1', '1']
        hits = {n: p['hits'] for n, p in c.points().items() if 'hits' in p}
        assert hits['sales'] == 4, hits
        c.run('rm', f'{c.pid}:sales', says='4 hits')
        assert c.semas() == ['1', '1']
        c.run('rm', f'{c.pid}:d')
        assert c.semas() == ['1', '0']
        c.run('rm', f'{c.pid}:log')
        assert c.semas() == ['1', '0']
        c.run('rm', f'{c.pid}:typed')
        assert c.semas() == ['0', '0']
        with open(log, encoding='utf-8') as f:
            lines = f.read().splitlines()
        assert len(lines) == 3 and '3' in lines[0] and 'sale' in lines[0], lines
        with open(f'{c.dir}/typed', encoding='utf-8') as f:
            assert f.read().splitlines()[:2] == ['-3 salt', '-4 salt']
        c.run('add', f'{c.pid}:shop:::sold', 'count', status=1, says='has other probes')
        c.run('add', f'{c.pid}:shap:::sale', 'count', status=1, says='declares no probes of shap')
        c.run('add', f'{c.pid}:shop:::sale', '-e', 'count', status=1, says='-e is for')
        c.run('add', f'{c.pid}:shop:::sale', '-n', 'again', 'count')
        assert c.semas() == ['1', '0']
        c.run('detach', c.pid)
        assert c.semas() == ['0', '0']
        r = subprocess.run([lib.DYNTRACE, 'verify', '-p', str(c.pid)], capture_output=True, text=True, check=False)
        assert r.returncode == 0, r.stdout


GO = '''package main

import "fmt"

//go:noinline
func answer(n int) int { return n + 1 }

func main() { fmt.Println(answer(41)) }
'''


def functions_of_go():
    """Go's own table names them in a program without symbols, too."""
    lib.need('go')
    with tempfile.TemporaryDirectory() as folder:
        with open(f'{folder}/g.go', 'w', encoding='ascii') as f:
            f.write(GO)
        for flags in '', '-s -w':
            subprocess.run(['go', 'build', '-ldflags', flags, '-o', f'{folder}/g', f'{folder}/g.go'], check=True, capture_output=True,
                           env=lib.clean_env(CGO_ENABLED='0', GOCACHE=f'{folder}/cache', HOME=folder))
            r = subprocess.run([lib.DYNTRACE, 'list-functions', f'{folder}/g', 'main.*'], capture_output=True, text=True, check=False)
            assert r.returncode == 0 and {'main.answer', 'main.main'} <= set(r.stdout.split()), (flags, r)


def children_have_what_went():
    """A child that was forked while a place stood otherwise, or stood yet: when all is detached it has none of it, and runs on."""
    for follow in [], ['-x', 'followfork']:
        for change in lambda c: c.run('rm', f'{c.pid}:first'), lambda c: c.add('work', '-e', '-n', 'second', 'count'):
            with Family() as c:
                c.run('attach', c.pid, *follow)
                c.add('work', '-n', 'first', 'count')
                c.add('other', '-n', 'stays', 'count')
                c.say('k')
                with open(f'/proc/{c.pid}/task/{c.pid}/children', encoding='ascii') as f:
                    kid = int(f.read())
                change(c)
                c.run('detach', c.pid)
                lib.assert_untouched(c.pid)
                lib.assert_untouched(kid)
                c.say('l')


if __name__ == '__main__':
    tap = lib.Tap()
    for test in (counts, detached_is_anybodys, run_waits_for_what_is_detached, names_that_are_no_text, lists_make_nothing, nobody_is_disturbed, logs, tail_calls, own_output, lists_fit_a_terminal, full_pipe, distributions, clauses, later_aggregations, places, symbols_by_descriptions, symbols_that_are_none, names,
                 ends_with_the_process, keeper_killed, keeper_stopped, strangers, usage, children_are_followed, children_are_not_followed_unasked, children_have_what_went, probes_of_the_program, functions_of_go):
        tap.run(test.__name__.replace('_', ' '), test)
    tap.done()
