#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Verbs of a member of group dyntrace on another user's process: through dyntraced, as root has them."""
import json
import os
import re
import shutil
import signal
import subprocess
import time

import machine
from machine import ANN, BOB, ROOT, Cat, Daemon, Skip, as_user, dyntrace, has, popen, wait_for

SHOP = '''
#include <stdio.h>
#include <unistd.h>
struct item { int price; const char *name; };
__attribute__((noinline, aligned(32))) int sell(struct item *it, int n) { __asm__ volatile(""); return it->price * n; }
__attribute__((noinline, aligned(32))) int round_of(int n) { struct item it = { 3, "tea" }; return sell(&it, n) + 1; }
int main(void)
{
	char line[64];
	while (fgets(line, sizeof(line), stdin)) {
		round_of(line[0] - '0');
		puts(line[0] == 'h' ? "hello" : "done");
		fflush(stdout);
	}
	return 0;
}
'''


def need(*programs):
    for p in programs:
        if not shutil.which(p):
            raise Skip(f'there is no {p}')


class Shop(Cat):
    """bob's program; where it is private, only he may read the file."""

    def __init__(self, uid=BOB, private=False):
        need('cc')
        exe = f'{machine.PLACE}/shop{uid if private else ""}'
        if not os.path.exists(exe):
            subprocess.run(['cc', '-g', '-O1', '-x', 'c', '-', '-o', exe], input=SHOP, text=True, check=True)
            os.chown(exe, uid, uid)
            os.chmod(exe, 0o700 if private else 0o755)
        super().__init__(uid, exe)

    def sell(self, n):
        self.proc.stdin.write(b'%d\n' % n)
        self.proc.stdin.flush()
        assert self.proc.stdout.readline() == b'done\n'


def ann_dir():
    d = f'{machine.PLACE}/ann'
    os.makedirs(d, exist_ok=True)
    os.chown(d, ANN, ANN)
    return d


def symbols_and_lists():
    with Daemon() as d, Shop(private=True) as s:
        out = dyntrace(d, ANN, 'list-symbols', str(s.pid), 's*ll', status=0)[1]
        has('sell', out)
        out = dyntrace(d, ANN, '-l', '-n', f'pid{s.pid}:a.out:sell:entry', status=0)[1]
        has('shop[0-9]+ +sell entry', out)
        has('look at process .* permitted', d.log())
        err = dyntrace(d, BOB, 'list-symbols', str(os.getpid()), status=1)[2]
        has('not permitted', err)
    with Daemon('processes = own\n') as d, Shop() as s:
        has('not permitted', dyntrace(d, ANN, 'list-symbols', str(s.pid), status=1)[2])
        has('look at process .* not permitted', d.log())


def types_of_the_target():
    """Arguments with their names and types: its debug information is read, too."""
    with Daemon() as d, Shop() as s:
        p = popen(d, ANN, '-qn', 'pid$target:a.out:sell:entry { printf("%d of %d\\n", args[1], args[0]->price); exit(0); }',
                  '-p', str(s.pid))
        wait_for(lambda: 'places armed' in d.log() or p.poll() is not None, 'armed probes')
        s.sell(2)
        out, err = p.communicate(timeout=30)
        assert '2 of 3' in out, out + err


def records():
    trace = f'{ann_dir()}/trace'
    with Daemon() as d, Shop() as s, Shop() as other:
        p = popen(d, ANN, 'record', '-p', f'{s.pid},{other.pid}', '-g', '-o', trace, 'a.out:sell:entry', 'a.out:sell:return')
        wait_for(lambda: 'places armed' in d.log() or p.poll() is not None, 'armed probes')
        for i in range(1, 6):
            s.sell(i)
        other.sell(7)
        time.sleep(0.2)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=30)
        assert p.returncode == 0, out + err
        assert s.is_clean() and other.is_clean()
    out = dyntrace(None, ANN, 'dump', trace, status=0)[1]
    assert out.count('sell') >= 12 and ' n=7' in out and 'price' not in out, out
    has('round_of', out)
    if shutil.which('babeltrace2'):
        r = subprocess.run(['babeltrace2', trace], capture_output=True, text=True, check=False)
        assert r.returncode == 0 and len(r.stdout.splitlines()) == 12, r.stdout + r.stderr


def flight_recorder():
    trace = f'{ann_dir()}/flight'
    with Daemon() as d, Shop() as s:
        p = popen(d, ANN, 'record', '-p', str(s.pid), '--ring', '1M', '-o', trace, 'a.out:sell:entry')
        wait_for(lambda: 'places armed' in d.log() or p.poll() is not None, 'armed probes')
        for i in range(1, 9):
            s.sell(i)
        s.proc.kill()
        out, err = p.communicate(timeout=30)
        assert p.returncode == 0, out + err
    out = dyntrace(None, ANN, 'dump', trace, status=0)[1]
    assert len(out.strip().splitlines()) >= 8, out


def verb(d, uid, *args, status=0, says=None):
    env = dict(os.environ, DYNTRACED_SOCKET=d.sock, XDG_RUNTIME_DIR=keepers(uid), HOME=ann_dir(), TZ='UTC', LC_ALL='C')
    r = subprocess.run([f'{machine.PLACE}/dyntrace', *[str(a) for a in args]], env=env, cwd=ann_dir(), stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=60, check=False, **as_user(uid))
    assert r.returncode == status, f'{args}: status {r.returncode}: {r.stdout}{r.stderr}{d.log()[-600:]}'
    assert says is None or says in r.stdout + r.stderr, f'{args}: no "{says}" in {r.stdout}{r.stderr}'
    return r.stdout


def keepers(uid):
    d = f'{machine.PLACE}/keepers-{uid}'
    os.makedirs(d, mode=0o700, exist_ok=True)
    os.chown(d, uid, uid)
    return d


def says_so(path, is_there):
    """Until a keeper has written what is wanted to a file."""
    def look():
        try:
            with open(path, encoding='utf-8') as f:
                return is_there(f.read())
        except OSError:
            return False
    wait_for(look, f'{path}')


def points(d, s):
    return {p['name']: p for p in json.loads(verb(d, ANN, 'list-tracepoints', s.pid, '--json'))['tracepoints']}


def tracepoints():
    """attach, add, rm, list-tracepoints, detach: beside each other, with types, entry and exit."""
    log = f'{ann_dir()}/sell.log'
    with Daemon() as d, Shop() as s:
        verb(d, ANN, 'attach', s.pid)
        assert verb(d, ANN, 'add', f'{s.pid}:sell', 'count') == 'tp-0\n'
        verb(d, ANN, 'add', f'{s.pid}:sell', '-e', '-n', 'both', 'log', log)
        verb(d, ANN, 'add', f'{s.pid}:round_of', '-n', 'd', 'd', '-o', f'{ann_dir()}/d.log', '{ @sum = sum(arg0); printf("n %d\\n", arg0); }')
        for i in range(1, 6):
            s.sell(i)
        says_so(log, lambda text: text.count('\n') >= 10)
        p = points(d, s)
        assert p['tp-0']['hits'] == 5, p
        with open(log, encoding='utf-8') as f:
            lines = f.read().splitlines()
        assert len(lines) == 10 and 'n=5)' in lines[8] and 'returns = 15' in lines[9], lines
        verb(d, ANN, 'rm', f'{s.pid}:tp-0', says='5 hits')
        verb(d, ANN, 'add', f'{s.pid}:round_of', '-n', 'again', 'hist')
        s.sell(6)
        says_so(f'{ann_dir()}/d.log', lambda text: text == ''.join(f'n {i}\n' for i in range(1, 7)))
        verb(d, ANN, 'add', f'{s.pid}:sell', 'log', status=1, says='name a file')
        verb(d, ANN, 'add', f'{s.pid}:sell', 'lttng', status=1, says='own user')
        verb(d, ANN, 'add', f'{s.pid}:sellx', 'count', status=1, says='sell')
        assert sorted(points(d, s)) == ['again', 'both', 'd']
        verb(d, ANN, 'detach', s.pid, says='both removed')
        assert s.is_clean()
        wait_for(lambda: not d.workers(), 'end of the worker')
        verb(d, BOB, 'add', f'{os.getpid()}:main', 'count', status=1, says='not')
        has('tracepoints of process .* places armed', d.log())


def refused_clause():
    """What the daemon has no room for is refused, and that is all: others can be removed and added."""
    many = ' '.join(f'@a{i} = count();' for i in range(300))
    with Daemon() as d, Shop() as s:
        verb(d, ANN, 'add', f'{s.pid}:sell', '-n', 'one', 'count')
        verb(d, ANN, 'add', f'{s.pid}:sell', '-n', 'big', 'd', '-o', f'{ann_dir()}/big.log', '{ ' + many + ' }', status=1,
             says='no room for more aggregations')
        assert sorted(points(d, s)) == ['one']
        s.sell(1)
        verb(d, ANN, 'rm', f'{s.pid}:one', says='1 hit')
        verb(d, ANN, 'add', f'{s.pid}:sell', '-n', 'two', 'd', '-o', f'{ann_dir()}/two.log', '{ printf("n %d\\n", arg1); }')
        s.sell(2)
        says_so(f'{ann_dir()}/two.log', bool)
        verb(d, ANN, 'rm', f'{s.pid}:two')
        with open(f'{ann_dir()}/two.log', encoding='utf-8') as f:
            assert f.read() == 'n 2\n'
        assert s.is_clean()


def ends():
    """The process ends, the daemon ends, the keeper is killed: nothing is left, and it is said."""
    with Daemon() as d:
        with Shop() as s:
            verb(d, ANN, 'add', f'{s.pid}:sell', 'count')
            s.sell(1)
        wait_for(lambda: not d.workers(), 'end of the worker')
        with Shop() as s:
            verb(d, ANN, 'add', f'{s.pid}:sell', 'count')
            os.kill(machine.children(1, 'dyntrace-keeper')[-1] if machine.children(1, 'dyntrace-keeper') else keeper_pid(), signal.SIGKILL)
            wait_for(lambda: not d.workers(), 'end of the worker')
            assert s.is_clean()
            verb(d, ANN, 'add', f'{s.pid}:sell', 'count')
            d.stop()
            time.sleep(0.5)
            verb(d, ANN, 'list-tracepoints', s.pid, status=1)
            assert s.is_clean()


def keeper_pid():
    out = subprocess.run(['pgrep', '-u', str(ANN), '-x', 'dyntrace-keeper'], capture_output=True, text=True, check=False).stdout
    return next(int(p) for p in out.split() if machine.alive(int(p))) # nobody waits for those that have ended


def command_of(pid):
    with open(f'/proc/{pid}/cmdline', encoding='utf-8') as f:
        return f.read().rstrip('\0')


def whose_they_are():
    """Who traces is told by name, to those who may look; and ps shows what each process is for."""
    with Daemon() as d, Shop() as s:
        verb(d, ANN, 'add', f'{s.pid}:sell', 'count')
        keeper = keeper_pid()
        assert command_of(keeper) == f'dyntrace-keeper: tracepoints of process {s.pid} (shop)', command_of(keeper)
        title = f'dyntraced: traces for ann (pid {keeper})'
        assert title in [command_of(w) for w in d.workers()], d.workers()
        for args in ['list-tracepoints', str(s.pid)], ['verify', str(s.pid)], ['add', f'{s.pid}:sell', 'count']:
            out, err = dyntrace(d, ROOT, *args, status=1)[1:]
            assert title in out + err, (args, out, err)
        verb(d, ANN, 'detach', s.pid)


def keepers_that_were_killed():
    """Their sockets go when the next one begins."""
    with Daemon() as d, Shop() as s, Shop() as other:
        verb(d, ANN, 'add', f'{s.pid}:sell', 'count')
        keeper = keeper_pid()
        os.kill(keeper, signal.SIGKILL)
        wait_for(lambda: not machine.alive(keeper) and not d.workers(), 'end of the keeper')
        left = [os.path.join(f, str(s.pid)) for f, _, names in os.walk(keepers(ANN)) if str(s.pid) in names]
        assert len(left) == 1, left
        verb(d, ANN, 'add', f'{other.pid}:sell', 'count')
        assert not os.path.exists(left[0])
        verb(d, ANN, 'detach', other.pid)


def events():
    with Daemon() as d, Shop() as s:
        verb(d, ANN, 'enable-event', 'sale', '-u', '--pid', s.pid, '--function', 'sell', says='enabled')
        for i in range(1, 4):
            s.sell(i)
        time.sleep(0.3)
        trace = next(w for w in verb(d, ANN, 'list-tracepoints', s.pid).split() if w.startswith('/') or w.startswith('dyntrace-'))
        verb(d, ANN, 'detach', s.pid)
        out = verb(d, ANN, 'dump', trace.rstrip(':,'))
        assert out.count('sale') >= 6, out


def events_beside_lttng():
    """Her session of LTTng cannot have bob's events: they go to a trace of hers."""
    need('lttng', 'lttng-sessiond')
    env = dict(os.environ, HOME=ann_dir(), LTTNG_HOME=ann_dir(), LC_ALL='C')
    lttngd = subprocess.Popen(['lttng-sessiond', '--no-kernel'], env=env, cwd='/', stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              preexec_fn=machine.ends_with_us, **as_user(ANN))
    try:
        wait_for(lambda: subprocess.run(['lttng', 'create', 'hers', '--output', ann_dir() + '/hers'], env=env, cwd='/', capture_output=True,
                                        check=False, **as_user(ANN)).returncode == 0, 'lttng-sessiond')
        with Daemon() as d, Shop() as s:
            verb(d, ANN, 'enable-event', 'sale', '-u', '--pid', s.pid, '--probe', 'sell', says="another user's")
            s.sell(1)
            verb(d, ANN, 'detach', s.pid)
    finally:
        lttngd.terminate()
        lttngd.wait()


FAMILY = r'''
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
__attribute__((noinline, aligned(32))) int work(int n) { __asm__ volatile(""); return n + 1; }
__attribute__((noinline, aligned(32))) int other(int n) { __asm__ volatile(""); return n + 2; }
int main(int argc, char **argv)
{
	char line[64];
	if (argc > 1) {
		work(other(1));
		return 0;
	}
	while (fgets(line, sizeof(line), stdin)) {
		if (line[0] == 'c')
			work(other(0));
		if (line[0] == 'f' && !fork()) {
			work(0);
			_exit(0);
		}
		if (line[0] == 'x' && !fork())
			execl(argv[0], argv[0], "w", NULL);
		while (wait(NULL) > 0)
			;
		fputs(line, stdout);
		fflush(stdout);
		if (line[0] == 'e')
			execl(argv[0], argv[0], NULL);
	}
	return 0;
}
'''


def family():
    need('cc')
    exe = f'{machine.PLACE}/family'
    if not os.path.exists(exe):
        subprocess.run(['cc', '-O1', '-x', 'c', '-', '-o', exe], input=FAMILY, text=True, check=True)
        os.chmod(exe, 0o755)
    return exe


def children_are_followed():
    """Forked ones, programs that they run, what the process itself becomes: of another user, as of one's own."""
    with Daemon() as d, Cat(BOB, family()) as s:
        verb(d, ANN, 'attach', s.pid, '-x', 'followfork')
        verb(d, ANN, 'add', f'{s.pid}:work', '-n', 'work', 'count')
        log = f'{ann_dir()}/family.log'
        verb(d, ANN, 'add', f'{s.pid}:work', '-n', 'log', '-e', 'log', log)
        hits = lambda: {n: p['hits'] for n, p in points(d, s).items() if n != 'log'}
        logged = lambda: points(d, s)['log']['hits']
        for what, cnt in (b'c\n', 1), (b'f\n', 2), (b'x\n', 3), (b'x\n', 4):
            s.say(what)
            wait_for(lambda: hits()['work'] == cnt == logged(), f'{cnt} hits')
        verb(d, ANN, 'add', f'{s.pid}:other', '-n', 'other', 'count')
        s.say(b'x\n')
        wait_for(lambda: hits() == {'work': 5, 'other': 1}, '5 hits')
        verb(d, ANN, 'rm', f'{s.pid}:other', says='1 hit')
        s.say(b'e\n')
        s.say(b'c\n')
        wait_for(lambda: hits() == {'work': 6}, '6 hits')
        verb(d, ANN, 'add', f'{s.pid}:other', '-n', 'other', 'count')
        s.say(b'c\n')
        s.say(b'x\n')
        wait_for(lambda: hits() == {'work': 8, 'other': 2}, '8 hits')
        verb(d, ANN, 'detach', s.pid, says='8 hits')
        with open(log, encoding='utf-8') as f:
            assert len(f.read().splitlines()) == 16
        assert s.is_clean()
        wait_for(lambda: not d.workers() and not d.notes(), 'end of the worker')
        # Unasked they are not.
        verb(d, ANN, 'add', f'{s.pid}:work', 'count')
        for what in b'c\n', b'f\n', b'x\n', b'e\n':
            s.say(what)
        s.say(b'c\n')
        time.sleep(0.3)
        verb(d, ANN, 'list-tracepoints', s.pid, says='its tracepoints are gone')
        verb(d, ANN, 'add', f'{s.pid}:work', 'count')
        s.say(b'c\n')
        verb(d, ANN, 'detach', s.pid, says='1 hits')


def probes_of_the_program():
    """USDT through the daemon."""
    need('cc')
    with open(f'{machine.PLACE}/sale.d', 'w', encoding='ascii') as f:
        f.write('provider sale { probe tea(int n); };\n')
    with open(f'{machine.PLACE}/sale.c', 'w', encoding='ascii') as f:
        f.write('#include <stdio.h>\n#include "sale.h"\nint main(void) { char l[64]; int n = 0; while (fgets(l, sizeof(l), stdin)) {'
                ' SALE_TEA(++n); fputs(l, stdout); fflush(stdout); } return 0; }\n')
    subprocess.run([f'{machine.PLACE}/dyntrace', '-h', '-s', 'sale.d'], cwd=machine.PLACE, check=True)
    subprocess.run(['cc', '-O1', '-o', 'sale', 'sale.c'], cwd=machine.PLACE, check=True)
    os.chmod(f'{machine.PLACE}/sale', 0o755)
    with Daemon() as d, Cat(BOB, f'{machine.PLACE}/sale') as s:
        assert 'sale:sale:main:tea' in verb(d, ANN, 'list-symbols', s.pid, '-u')
        out = f'{ann_dir()}/tea'
        verb(d, ANN, 'add', f'{s.pid}:sale:::tea', '-n', 'tea', 'd', '-o', out, '{ printf("tea %d\\n", args[0]); }')
        verb(d, ANN, 'add', f'{s.pid}:sale:::tea', '-n', 'line', 'log', out + '.log')
        s.say()
        s.say()
        verb(d, ANN, 'detach', s.pid)
        with open(out, encoding='ascii') as f:
            assert f.read() == 'tea 2\ntea 3\n'
        with open(out + '.log', encoding='ascii') as f:
            assert re.search(r' line main sale:tea\(arg0=2\b.*\)\n', f.read())
        assert s.is_clean()


def an_add_that_failed_leaves_nothing():
    with Daemon() as d, Shop() as s:
        listed = lambda: [p['pid'] for p in json.loads(verb(d, ANN, 'list-processes', '--json'))]
        for words in ([f'{s.pid}:no_such_function', 'count'], [f'{s.pid}:sell', 'no_such_tracer'], [f'{s.pid}:sell', 'log'],
                      [f'{s.pid}:sell', 'd', '-o', f'{ann_dir()}/x', '{ no syntax']):
            verb(d, ANN, 'add', *words, status=1)
            assert not listed() and s.is_clean(), words
            wait_for(lambda: not d.workers(), 'end of the worker')
        verb(d, ANN, 'attach', s.pid)
        verb(d, ANN, 'add', f'{s.pid}:no_such_function', 'count', status=1)
        assert listed() == [s.pid]
        verb(d, ANN, 'add', f'{s.pid}:sell', 'count')
        verb(d, ANN, 'rm', f'{s.pid}:tp-0')
        assert listed() == [s.pid] and s.is_clean()
        verb(d, ANN, 'detach', s.pid)
        assert not listed()


def list_processes():
    """All that could be traced, by whomever; what is attached is among them."""
    def all_of(d, uid):
        return {p['pid']: p['attached'] for p in json.loads(verb(d, uid, 'list-processes', '-a', '--json'))}
    with Daemon() as d, Shop() as s:
        verb(d, ANN, 'attach', s.pid)
        assert [p['pid'] for p in json.loads(verb(d, ANN, 'list-processes', '--json'))] == [s.pid]
        seen = all_of(d, ANN)
        assert seen[s.pid] and seen[os.getpid()] is False, seen
        assert {s.pid, os.getpid()} <= set(all_of(d, ROOT))
        bobs = all_of(d, BOB)
        assert s.pid in bobs and os.getpid() not in bobs, bobs
        verb(d, ANN, 'detach', s.pid)
    with Daemon('processes = own\n') as d, Shop() as s:
        seen = all_of(d, ANN)
        assert s.pid not in seen, seen


def how_it_would_be_placed():
    """explain and verify read what the daemon lends; root sees the same."""
    with Daemon() as d, Shop(private=True) as s:
        args = ['explain', '-n', f'pid{s.pid}:a.out:sell:entry, pid{s.pid}:a.out:sell:return {{ }}']
        out, err = dyntrace(d, ANN, *args, status=0)[1:]
        assert out == dyntrace(d, ROOT, *args, status=0)[1] and 'jump' in out, out + err
        assert 'its code is as in its files' in dyntrace(d, ANN, 'verify', '-p', str(s.pid), status=0)[1]
        has('look at process .* permitted', d.log())
        p = popen(d, ANN, '-qn', 'pid$target:a.out:sell:entry { }', '-p', str(s.pid))
        wait_for(lambda: 'places armed' in d.log() or p.poll() is not None, 'armed probes')
        out = dyntrace(d, ANN, 'verify', '-p', str(s.pid), status=1)[1]
        has(r'shop\d+`sell: e9 .*\(dyntrace\).*differs.*of dyntrace, of a process that you may not look into', out)
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=30)
        assert 'its code is as in its files' in dyntrace(d, ANN, 'verify', '-p', str(s.pid), status=0)[1]
        for verb_args in args, ['verify', '-p', str(os.getpid())]:
            has('not permitted', dyntrace(d, BOB, *[a.replace(str(s.pid), str(os.getpid())) for a in verb_args])[2])
    with Daemon('processes = own\n') as d, Shop() as s:
        has('not permitted', dyntrace(d, ANN, 'verify', '-p', str(s.pid), status=2)[2])


TESTS = [symbols_and_lists, types_of_the_target, records, flight_recorder, tracepoints, whose_they_are, keepers_that_were_killed, refused_clause, ends,
         events, events_beside_lttng,
         children_are_followed, probes_of_the_program, an_add_that_failed_leaves_nothing, list_processes, how_it_would_be_placed]

if __name__ == '__main__':
    machine.main(TESTS)
