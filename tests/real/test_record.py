#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""record to whatever end: signals of all kinds, processes that crash, end or run another program; what was written is whole."""
import collections
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import lib

CODE = r'''
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
__attribute__((noinline)) int stride(int n, const char *what) { __asm__ volatile("" : : "r"(what)); return n + 1; }
int main(int argc, char **argv)
{
	char line[64];
	int n = argc - 1;
	(void)argv;
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		int rounds = atoi(line);
		for (int i = 0; i < rounds; i++)
			n = stride(n, "some text");
		if (strstr(line, "segv"))
			*(volatile int *)8 = stride(n, "last");
		if (strstr(line, "abort"))
			stride(n, "last"), abort();
		if (strstr(line, "exit"))
			stride(n, "last"), _exit(3);
		if (strstr(line, "exec"))
			stride(n, "last"), execl("/bin/cat", "cat", NULL);
		if (strstr(line, "kill"))
			stride(n, "last"), raise(SIGKILL);
		puts("done");
		fflush(stdout);
	}
	return 0;
}
'''
NESTED = r'''
#include <setjmp.h>
#include <stdlib.h>
static jmp_buf back;
__attribute__((noinline)) int leaf(int n) { __asm__ volatile(""); return n + 1; }
__attribute__((noinline)) int jumps(int n) { leaf(n); longjmp(back, 1); return n; }
__attribute__((noinline)) int middle(int n) { for (int i = 0; i < 3; i++) n = leaf(n); return n + 1; }
__attribute__((noinline)) int whole(int n) { for (int i = 0; i < n; i++) if (!setjmp(back)) { middle(i); if (i == 1) jumps(i); } return leaf(n) + 1; }
int main(int argc, char **argv) { return argc > 1 && whole(atoi(argv[1])) < 0; }
'''
FOLDER = None


class Program:
    def __init__(self):
        self.proc = subprocess.Popen([f'{FOLDER}/steps'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self.proc.pid
        assert self.proc.stdout.readline() == 'ready\n'

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.proc.kill()
        self.proc.communicate()

    def say(self, text):
        self.proc.stdin.write(f'{text}\n')
        self.proc.stdin.flush()

    def go(self, rounds):
        self.say(rounds)
        assert self.proc.stdout.readline() == 'done\n'


class Recording(lib.Tracing):
    def __init__(self, *procs, args=(), probe='stride:entry'):
        self.trace = tempfile.mkdtemp(prefix='trace-', dir=FOLDER) + '/t'
        super().__init__('record', '-p', ','.join(str(p.pid) for p in procs), '-o', self.trace, *args, probe)
        lib.wait_for(lambda: os.path.exists(f'{self.trace}/dyntrace/ready') or self.proc.poll() is not None, 'recording')

    def wait(self):
        try:
            self.out, self.err = self.proc.communicate(timeout=60 * lib.SLOW)
        except subprocess.TimeoutExpired:
            raise AssertionError('record does not end') from None
        return self.proc.returncode

    def events(self, gaps=False):
        """As dump and babeltrace2 both count them, the last one as dump has it."""
        text = lib.dyntrace('dump', self.trace).stdout.splitlines()
        babel = subprocess.run(['babeltrace2', self.trace], capture_output=True, text=True, check=False)
        # A gap, which is true, is told.
        said = [s for s in babel.stderr.splitlines() if s and not (gaps and re.search('Tracer (may have )?discarded', s))]
        assert babel.returncode == 0 and not said, said
        assert len(babel.stdout.splitlines()) == len(text), (len(babel.stdout.splitlines()), len(text))
        return text


def signals():
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        with Program() as p, Recording(p) as r:
            p.go(1000)
            status, _, err = r.stop(sig)
            assert status == 0 and '1000 events, 0 lost' in err, (sig, status, err)
            assert len(r.events()) == 1000, sig
            p.go(10)
            lib.assert_untouched(p.pid)


def signals_while_it_begins():
    with Program() as p:
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            for ms in range(0, 60, 6):
                trace = f'{FOLDER}/early-{sig}-{ms}'
                r = subprocess.Popen([lib.DYNTRACE, 'record', '-p', str(p.pid), '-o', trace, 'stride'], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                time.sleep(ms / 1000)
                r.send_signal(sig)
                r.communicate(timeout=60)
                if os.path.exists(f'{trace}/metadata'):
                    babel = subprocess.run(['babeltrace2', trace], capture_output=True, text=True, check=False)
                    assert babel.returncode == 0 and not babel.stderr or not any(n.startswith('cpu') for n in os.listdir(trace)), (ms, babel.stderr)
                lib.wait_for(lambda: not lib.changed_text(p.pid) or subprocess.run([lib.DYNTRACE, 'repair', str(p.pid)], capture_output=True, check=False), 'code')
        p.go(10)
        lib.dyntrace('repair', str(p.pid), check=False)
        lib.assert_untouched(p.pid)


def killed():
    """What was read until then is there, and is whole; the program goes on."""
    for args in ((), ('--ring', '1M')):
        with Program() as p, Recording(p, args=args) as r:
            p.go(2000)
            time.sleep(0.6)
            r.proc.kill()
            r.wait()
            assert len(r.events()) == 2000, args
            p.go(1000)
            lib.dyntrace('repair', str(p.pid))
            lib.assert_untouched(p.pid)


def summary(err):
    """Events and lost ones, as the last line says them."""
    m = re.search(r': (\d+) events, (\d+) lost\n$', err)
    assert m, err
    return int(m.group(1)), int(m.group(2))


def full_disk():
    """What the disk does not take is lost, and counted: in what is said, and in the trace."""
    for args in ((), ('-g',)):
        with Program() as p, Recording(p, args=['-b', '64m', *args]) as r:
            resource.prlimit(r.proc.pid, resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
            r.proc.send_signal(signal.SIGSTOP)
            p.go(200000)
            r.proc.send_signal(signal.SIGCONT)
            assert r.wait() == 1 and 'cannot write to the trace' in r.err, r.err
            kept, lost = summary(r.err)
            assert kept and kept + lost == 200000, r.err
            d = lib.dyntrace('dump', r.trace)
            assert d.stdout.count('stride:entry') == kept and f' {lost} events were lost' in d.stderr, (kept, lost, d.stderr)
            lib.assert_untouched(p.pid)


def no_room_at_all():
    """Where not one event has a place nothing says that some can be read, and no trace is left."""
    for args in ((), ('-g',)):
        with Program() as p, Recording(p, args=['-b', '64m', *args]) as r:
            resource.prlimit(r.proc.pid, resource.RLIMIT_FSIZE, (16384, 16384))
            r.proc.send_signal(signal.SIGSTOP)
            p.go(1000)
            r.proc.send_signal(signal.SIGCONT)
            assert r.wait() == 1 and 'cannot write to the trace' in r.err and 'can be read' not in r.err, r.err
            assert 'no event was written until now' in r.err and f'{r.trace}: no events, 1000 lost: no trace is left' in r.err, r.err
            assert not os.path.exists(r.trace)
            lib.assert_untouched(p.pid)


def says_what_loses_less():
    """Behind what was lost, with an option that can be pasted; where nothing was lost, nothing of it."""
    with Program() as p:
        with Recording(p, args=['-b', '16k']) as r:
            r.proc.send_signal(signal.SIGSTOP)
            p.go(10000)
            r.proc.send_signal(signal.SIGCONT)
            r.proc.send_signal(signal.SIGINT)
            assert r.wait() == 0 and summary(r.err)[1] > 0, r.err
            assert 'a buffer was full: -x bufsize=64k loses less' in r.err and '-x budget=5%' in r.err, r.err
        with Recording(p, args=['-x', 'bufsize=64k', '-x', 'budget=5%']) as r:
            p.go(10)
            assert r.stop(signal.SIGINT)[0] == 0 and 'bufsize' not in r.err, r.err
        p.go(10)
        lib.assert_untouched(p.pid)


def live_says_what_loses_less():
    """Of each kind of room: records, aggregations, variables."""
    for action, size, said in (('trace(arg0)', 'bufsize=4k', '-x bufsize=16k loses less, and so do fewer probes, a predicate'),
                               ('@[arg0] = count()', 'aggsize=8k', '-x aggsize=32k loses less'),
                               ('x[arg0] = 1', 'dynvarsize=16k', '-x dynvarsize=64k loses less')):
        with Program() as p, lib.Tracing('-q', '-x', size, '-n', f'pid$target::stride:entry {{ {action}; }}', '-p', str(p.pid)) as t:
            t.wait_armed(p.pid)
            t.proc.send_signal(signal.SIGSTOP)
            p.go(10000)
            t.proc.send_signal(signal.SIGCONT)
            err = t.stop(signal.SIGINT)[2]
            assert said in err, (said, err)


def asked_twice():
    """Who cannot wait gets a trace that is whole, and is told what it has not."""
    with Program() as p, Recording(p, args=['-b', '64m']) as r:
        p.go(100)
        lib.wait_for(lambda: lib.dyntrace('dump', r.trace, check=False).stdout.count('stride:entry') == 100, 'events in the trace')
        r.proc.send_signal(signal.SIGSTOP)
        p.go(100000)
        r.proc.send_signal(signal.SIGINT)
        r.proc.send_signal(signal.SIGTERM)
        r.proc.send_signal(signal.SIGCONT)
        assert r.wait() == 0 and 'interrupted again' in r.err, r.err
        assert summary(r.err) == (100, 100000), r.err
        assert len(r.events(gaps=True)) == 100
        assert sum(os.path.getsize(f'{r.trace}/{f}') for f in os.listdir(r.trace) if f.startswith('cpu')) < 16384
        p.go(10)
        lib.assert_untouched(p.pid)


def nobody_reads_what_it_says():
    with Program() as p, Recording(p) as r:
        r.proc.stderr.close()
        r.proc.stdout.close()
        p.go(500)
        r.proc.send_signal(signal.SIGINT)
        r.proc.wait(60)
        r.proc.stderr = r.proc.stdout = None
        assert len(r.events()) == 500
        lib.assert_untouched(p.pid)


def crashes():
    """The last event before the end, in a full recording and in a flight recorder."""
    small = ('--ring', '256k', '-b', '64k')
    for args in ((), ('--ring', '64M'), small):
        for how in ('segv', 'abort', 'kill', 'exit'):
            with Program() as p, Recording(p, args=args) as r:
                p.go(100)
                p.say(f'20000 {how}')
                assert r.wait() == 0, (how, r.err)
                events = r.events(gaps=args == small)
                assert 'what="last"' in events[-1], (args, how, events[-1])
                assert 'n=20100 ' in events[-1], (args, how, events[-1])
                if args != small:
                    assert len(events) == 20101 or 'lost' in r.err, (args, how, len(events), r.err)


def one_of_several_ends():
    with Program() as p, Program() as q, Recording(p, q, args=['-g']) as r:
        p.go(10)
        p.say('5 segv')
        p.proc.wait()
        time.sleep(0.3)
        q.go(20)
        q.say('0 exit')
        assert r.wait() == 0, r.err
        events = [s for s in lib.dyntrace('dump', r.trace).stdout.splitlines() if 'stride:entry' in s]
        assert sum(f' {p.pid}/' in s for s in events) == 16 and sum(f' {q.pid}/' in s for s in events) == 21, len(events)


def another_program():
    with Program() as p, Program() as q, Recording(p, q) as r:
        p.say('7 exec')
        time.sleep(0.5)
        q.go(5)
        status, _, err = r.stop()
        assert len(r.events()) == 13, err
        p.proc.stdin.write('cat says\n')
        p.proc.stdin.flush()
        assert p.proc.stdout.readline() == 'cat says\n'


def ring_is_small():
    with Program() as p, Recording(p, args=['--ring', '1M', '-b', '4m']) as r:
        for _ in range(10):
            p.go(30000)
            time.sleep(0.15)
        p.say('0 segv')
        assert r.wait() == 0
        files = [f for f in os.listdir(r.trace) if f.startswith('cpu')]
        assert sum(os.path.getsize(f'{r.trace}/{f}') for f in files) <= 1.6e6, files
        events = r.events(gaps=True)
        assert 2000 < len(events) < 300000 and 'what="last"' in events[-1], len(events)


def followed():
    """dump --follow sees events as they come, and ends when the recording does, whatever ends it."""
    for end in (signal.SIGINT, signal.SIGKILL):
        with Program() as p, Recording(p) as r, lib.Tracing('dump', '--follow', r.trace) as d:
            p.go(10)
            for _ in range(10):
                assert 'stride:entry' in d.proc.stdout.readline()
            p.go(5)
            time.sleep(0.5)
            r.proc.send_signal(end)
            r.wait()
            out, err = d.proc.communicate(timeout=30)
            assert d.proc.returncode == 0 and len(out.splitlines()) == 5, (end, out, err)


def live():
    """record --follow prints it itself, and all of it."""
    for end in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with Program() as p, Recording(p, args=['--follow', '-g']) as r:
            p.go(3)
            lines = [r.proc.stdout.readline() for _ in range(3)]
            assert 'stride:entry n=0 ' in lines[0] and 'stride+0x0' in lines[1], lines
            p.go(5)
            time.sleep(0.5)
            r.proc.send_signal(end)
            text = ''.join(lines) + r.proc.stdout.read()
            r.wait()
            assert text.count('stride:entry') == 8, text
            assert text == lib.dyntrace('dump', r.trace).stdout or end == signal.SIGKILL
    r = lib.dyntrace('record', '-c', f'{FOLDER}/steps', '--follow', '-o', f'{FOLDER}/live', 'stride:entry', check=False, stdin=None)
    assert r.returncode == 0, r


def replaced():
    """The file has another build now: names and lines are those of the one that ran."""
    with Program() as p:
        shutil.copy(f'{FOLDER}/steps', f'{FOLDER}/kept')
        with Recording(p, args=['-g']) as r:
            p.go(3)
            assert r.stop()[0] == 0
        before = lib.dyntrace('dump', r.trace).stdout
        assert 'stride+0x0' in before and '<stdin>:' in before, before
        os.unlink(f'{FOLDER}/steps')
        subprocess.run(['cc', '-g', '-O1', '-x', 'c', '-', '-o', f'{FOLDER}/steps'], input='int pad[999];\nint other(void) { return 1; }\n' + CODE.replace('stride(', 'strode('),
                       text=True, check=True)
    try:
        assert lib.dyntrace('dump', r.trace).stdout == before
        os.unlink(f'{FOLDER}/steps')
        assert lib.dyntrace('dump', r.trace).stdout == before
    finally:
        shutil.move(f'{FOLDER}/kept', f'{FOLDER}/steps')


def usage():
    with Program() as p:
        taken = f'{FOLDER}/taken'
        os.mkdir(taken)
        with open(f'{taken}/metadata', 'w', encoding='ascii') as f:
            f.write('x')
        for args, status, says in ((['-p', f'{p.pid},{p.pid}', '-d', '0.1', '-o', f'{FOLDER}/u1', 'stride'], 0, 'events'),
                                   (['-p', str(p.pid), '-o', taken, 'stride'], 1, 'taken'),
                                   (['-p', str(p.pid), '-o', '/proc/nosuch', 'stride'], 1, '/proc/nosuch'),
                                   (['-p', str(p.pid), '-d', 'x', 'stride'], 2, 'seconds'), (['-p', str(p.pid), '--ring', '1', 'stride'], 2, 'ring'),
                                   (['-p', '999999999', 'stride'], 1, '999999999')):
            r = lib.dyntrace('record', *args, check=False)
            assert r.returncode == status and says in r.stderr, (args, r)
        lib.assert_untouched(p.pid)


def by_uprobes():
    """What the kernel runs writes for a processor: who it was, is said all the same."""
    if os.geteuid():
        raise lib.Skip('needs root')
    with Program() as p, tempfile.TemporaryDirectory() as t:
        r = subprocess.Popen([lib.DYNTRACE, 'record', '-x', 'backend=uprobe', '-p', str(p.pid), '-o', f'{t}/t', 'stride'],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        lib.wait_for(lambda: os.path.exists(f'{t}/t') or r.poll() is not None, 'a trace')
        end = time.monotonic() + 10 * lib.SLOW
        text = ''
        while f' {p.pid}/{p.pid} ' not in text and time.monotonic() < end and r.poll() is None:
            p.proc.stdin.write('5\n')
            p.proc.stdin.flush()
            p.proc.stdout.readline()
            time.sleep(0.2)
            text = lib.dyntrace('dump', f'{t}/t', check=False).stdout
        r.send_signal(signal.SIGINT)
        err = r.communicate(timeout=30)[1]
        if 'BPF' in err or 'uprobes (CONFIG' in err:
            raise lib.Skip(err.strip()[:100])
        text = lib.dyntrace('dump', f'{t}/t').stdout
        lines = text.splitlines()
        assert lines and all(f'steps {p.pid}/{p.pid} ' in l for l in lines), text[:500] + err


def one_name_and_one_address():
    """A function with several names has in an event's stack the one that was asked for; where there is no name, an address is that of the
    module's file, in a dump, a flame graph, what is shown live, and in names of functions that have none."""
    trace = f'{FOLDER}/names'
    for name in 'open64', 'open':
        lib.dyntrace('record', '-g', '-c', 'cat /dev/null', '-o', f'{trace}-{name}', f'libc.so.6:{name}')
        events = [json.loads(l) for l in lib.dyntrace('dump', '--json', f'{trace}-{name}').stdout.splitlines()]
        assert [(e['name'], e['function'], e['stack'][0]['function']) for e in events] == [('entry', name, name), ('return', name, name)], events
        assert f';{name} 1\n' in lib.dyntrace('dump', '--folded', f'{trace}-{name}').stdout
    at = re.search(r' \+(0x[0-9a-f]+) \(\S*/cat\)', lib.dyntrace('dump', f'{trace}-open').stdout)
    if not at:
        raise lib.Skip('cat has symbols')
    assert f';cat+{at[1]};open 1\n' in lib.dyntrace('dump', '--folded', f'{trace}-open').stdout
    clause = 'pid$target:libc.so.6:open:entry { ustack(2); printf("%d", ucaller); }'
    live = lib.dyntrace('-qn', clause, '-c', 'cat /dev/null').stdout
    assert f' cat`{at[1]}\n' in live, live
    dtrace = f'{FOLDER}/dtrace'
    os.symlink(os.path.abspath(lib.DYNTRACE), dtrace)
    said = subprocess.run([dtrace, '-qn', clause, '-c', 'cat /dev/null'], capture_output=True, text=True, check=True).stdout
    mapped, caller = re.search(r' cat`(0x[0-9a-f]+)\n\s*(\d+)', said).groups()
    assert int(mapped, 16) == int(caller), said


def run_by_a_link():
    """A module goes by the name that the program was run by, too; what is shown has its own."""
    link = f'{FOLDER}/by-link'
    os.symlink('steps', link)
    for argv, cwd in (([link], None), (['./by-link'], FOLDER)):
        with subprocess.Popen(argv, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
            assert p.stdout.readline() == 'ready\n'
            try:
                pid = str(p.pid)
                for mod in 'by-link', 'by-*', 'steps', 'a.out':
                    listed = lib.dyntrace('-ln', f'pid$target:{mod}:stride:entry', '-p', pid).stdout.splitlines()[1:]
                    assert [l.split()[1:] for l in listed] == [[f'pid{pid}', 'steps', 'stride', 'entry']], (mod, listed)
                    assert 'args[0]: int' in lib.dyntrace('-lvn', f'pid$target:{mod}:stride:entry', '-p', pid).stdout or '*' in mod, mod
                lib.dyntrace('list-symbols', pid, 'by-link:stride')
                assert lib.dyntrace('-ln', 'pid$target:other-link:stride:entry', '-p', pid, check=False).returncode == 1
            finally:
                p.kill()


def bounded_addresses():
    """Where nobody says a size, one is taken that fits: by the bound, or since the process refuses what the bound would allow."""
    code = 'import mmap, sys, time\n' \
        'm = mmap.mmap(-1, int(sys.argv[1]), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, prot=0)\n' \
        'print("ready", flush=True)\nwhile True: time.sleep(0.01)\n'
    for of_its_own, bound in (4096, 6 << 30), (10 << 30, 17 << 30):
        with subprocess.Popen([sys.executable, '-c', code, str(of_its_own)], stdout=subprocess.PIPE, text=True) as p:
            try:
                assert p.stdout.readline() == 'ready\n'
                resource.prlimit(p.pid, resource.RLIMIT_AS, (bound, bound))
                args = ['-p', str(p.pid), '-o', f'{FOLDER}/bounded-{bound}', '-d', '0.3', 'libc.so*:clock_nanosleep:entry']
                said = lib.dyntrace('record', '-b', '16m', *args, check=False)
                assert said.returncode == 1 and 'try a smaller bufsize' in said.stderr, said
                said = lib.dyntrace('record', *args).stderr
                assert ' 0 lost' in said and 'lowered' not in said and not re.search(r'\b0 events', said), said
                lib.assert_untouched(p.pid)
            finally:
                p.kill()


def chrome_is_in_order():
    """Of time; also where more waits for one call's end than is kept, which then has a beginning and an end instead."""
    source, exe = f'{FOLDER}/nested.c', f'{FOLDER}/nested'
    with open(source, 'w', encoding='utf-8') as f:
        f.write(NESTED)
    subprocess.run(['cc', '-O1', '-fno-inline', '-w', '-o', exe, source], check=True)
    for rounds in 5, 40000:
        trace = f'{FOLDER}/nested-{rounds}'
        r = lib.dyntrace('record', '-x', 'bufsize=64m', '-c', f'{exe} {rounds}', '-o', trace, 'leaf', 'jumps', 'middle', 'whole')
        assert ' 0 lost' in r.stderr, r.stderr
        events = [e for e in json.loads(lib.dyntrace('dump', '--chrome', trace).stdout)['traceEvents'] if e['ph'] != 'M']
        times = [e['ts'] for e in events]
        assert times == sorted(times), [(a, b) for a, b in zip(events, events[1:]) if a['ts'] > b['ts']][:1]
        found = collections.Counter((e['ph'], e['name']) for e in events)
        want = {('X', 'leaf'): 3 * rounds + 2, ('X', 'middle'): rounds}
        want |= {('i', 'jumps:entry'): 1} # nothing in the trace returns from it
        want |= {('X', 'whole'): 1} if rounds == 5 else {('B', 'whole'): 1, ('E', 'whole'): 1}
        assert found == want, (found, want)
        span = [e for e in events if e['name'] == 'whole']
        end = span[-1]['ts'] + span[-1].get('dur', 0)
        assert span[0] is events[0] and all(e['ts'] + e.get('dur', 0) <= end + 0.002 for e in events), span


TESTS = (by_uprobes, signals, signals_while_it_begins, killed, full_disk, no_room_at_all, says_what_loses_less, live_says_what_loses_less, asked_twice, nobody_reads_what_it_says, crashes, one_of_several_ends, another_program, ring_is_small,
         one_name_and_one_address, run_by_a_link, bounded_addresses, chrome_is_in_order, followed, live, replaced, usage)

if __name__ == '__main__':
    tap = lib.Tap()
    with tempfile.TemporaryDirectory(prefix='record-test-') as FOLDER:
        have = shutil.which('cc') and shutil.which('babeltrace2')
        if have:
            subprocess.run(['cc', '-g', '-O1', '-x', 'c', '-', '-o', f'{FOLDER}/steps'], input=CODE, text=True, check=True)
        for test in TESTS if have else ():
            tap.run(test.__name__.replace('_', ' '), test)
    tap.done()
