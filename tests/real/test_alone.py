#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A process has one tracer at a time: who comes second is told who is there, and changes nothing."""
import contextlib
import os
import re
import shlex
import signal
import subprocess
import tempfile

import kernlib
import lib
from test_verbs import Calls, keeper_of

WORK = 'pid$target::work:entry { @ = count(); }'

# Its memory is the kernel's, whose mappings have no name of their own.
MIXED = ['-x', 'backend=auto', '-qn', 'pid$target:a.out:work:entry { @w = count(); } syscall::read:entry /pid == $target/ { @r = count(); }']
FAMILY = r'''
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>
__attribute__((noipa)) int work(int a) { char c; return (int)read(-1, &c, 1) + a; }
int main(void)
{
	char word[8];
	int n = 0;
	for (puts("ready"), fflush(stdout); fgets(word, sizeof(word), stdin); fflush(stdout)) {
		pid_t kid = *word == 'f' ? fork() : 0;
		if (*word == 'f' && !kid)
			for (prctl(PR_SET_PDEATHSIG, SIGKILL);; usleep(1000))
				n += work(n);
		for (int i = 0; i < 10 && !kid; i++)
			n += work(i);
		printf("%d\n", (int)kid);
	}
	return 0;
}
'''


class Family:
    """A process that does its work, or forks a child that works on, when it is told to."""

    def __init__(self):
        self.dir = tempfile.TemporaryDirectory()
        exe = f'{self.dir.name}/family'
        lib.need('gcc')
        subprocess.run(['gcc', '-O1', '-x', 'c', '-', '-o', exe], input=FAMILY, text=True, check=True)
        self.proc = subprocess.Popen([exe], env=lib.clean_env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self.proc.pid
        assert self.proc.stdout.readline() == 'ready\n'
        self.before = self.maps()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.proc.kill()
        self.proc.communicate()
        self.dir.cleanup()

    def maps(self, pid=None):
        return [m for m in lib.maps(pid or self.pid) if m[4] != '[heap]']

    def tell(self, word):
        self.proc.stdin.write(word + '\n')
        self.proc.stdin.flush()
        return int(self.proc.stdout.readline())

    def fork(self):
        return self.tell('f')

    def work(self):
        self.tell('w')

    def is_as_before(self, kid=None):
        for pid in [self.pid] + ([kid] if kid else []):
            lib.assert_untouched(pid)
            assert self.maps(pid) == self.before, f'{self.before}\nnow {self.maps(pid)}'
            assert lib.alive(pid)


def seconds(c, first, hint=None):
    """Each way to come second, while process @first traces it."""
    told = f'process {c.pid} is traced by dyntrace already \\(process {first} "[^"]*"\\); kill {first} ends that'
    for args in (['-n', WORK, '-p', c.pid], ['record', '-p', c.pid, '-o', c.path('t'), 'work'], ['repair', c.pid], ['add', f'{c.pid}:work', 'count']):
        if hint and args[0] == 'add':
            continue
        c.run(*args, status=1, says=told + (f'\n.*{hint}' if hint and args[0] != 'repair' else ''))
    c.run('verify', c.pid, status=1, says=f'traced by process {first}')


def second_to(*args):
    """What dyntrace @args, which is first, says in the end, when others have come and the process has done its work."""
    with Calls(threads=1, rounds=10) as c, lib.Tracing(*(a.replace('DIR', c.path('')) for a in args), '-p', c.pid) as t:
        t.wait_armed(c.pid)
        seconds(c, t.proc.pid)
        c.go()
        status, out, err = t.stop()
        assert status == 0, (out, err)
        c.run('verify', c.pid)
        return lib.dyntrace('dump', c.path('first')).stdout if args[0] == 'record' else out + err


def after_a_script():
    assert second_to('-qn', WORK).split() == ['10']


def after_a_recording():
    assert len(second_to('record', '-o', 'DIR/first', 'work:entry').splitlines()) == 10


def after_a_keeper():
    with Calls(threads=1, rounds=10) as c:
        c.add('work', '-n', 'kept', 'count')
        seconds(c, keeper_of(c), hint=f'detach {c.pid} ends that')
        c.add('work', '-n', 'beside', 'd', '@ = count()')
        c.go()
        assert c.points()['kept']['hits'] == 10
        c.run('detach', c.pid, says=r'\b10\b')
        c.run('verify', c.pid)


def beside_a_keeper_that_waits():
    """Its keeper is there, but has no tracepoint: what is advised is only what works."""
    with Calls(threads=1, rounds=10) as c:
        c.add('work', '-n', 'kept', 'count')
        advice = c.says('-n', WORK, '-p', c.pid)
        found = re.search(rf"add {c.pid}:FUNCTION (d '.*') traces beside it", advice)
        assert found, advice
        c.run(*shlex.split(f'add {c.pid}:work {found.group(1)}'))
        c.run('add', f'{c.pid}:work', 'd', WORK, status=1, says="without its probe, from what follows 'pid.target::work:entry' on")
        c.run('rm', f'{c.pid}:kept')
        c.run('rm', f'{c.pid}:tp-0')
        with lib.Tracing('-qn', WORK, '-p', c.pid) as t:
            t.wait_armed(c.pid)
            seconds(c, t.proc.pid)
            assert 'traces beside it' not in c.says('-n', WORK, '-p', c.pid)
            t.stop()
        c.add('work', 'count')
        c.run('detach', c.pid)


def refused(pid, first):
    for args in (['-n', WORK + ' tick-2s { exit(0); }', '-p', str(pid)], ['repair', str(pid)]):
        r = lib.dyntrace(*args, check=False)
        assert r.returncode == 1 and f'process {pid} is traced by dyntrace already (process {first} ' in r.stderr, (args, r.stderr)
    r = lib.dyntrace('verify', str(pid), check=False)
    assert r.returncode == 1 and f'traced by process {first} ' in r.stdout, r.stdout


def after_a_script_of_both_worlds():
    kernlib.need_kernel()
    with Family() as c:
        with lib.Tracing(*MIXED, '-p', c.pid) as t:
            t.wait_armed(c.pid)
            refused(c.pid, t.proc.pid)
            refused(c.pid, t.proc.pid)
            c.work()
            status, out, err = t.stop()
            counts = [int(n) for n in out.split()]
            assert status == 0 and counts[0] == 10 and counts[1] >= 10 and not err, (status, out, err)
        c.is_as_before()


@contextlib.contextmanager
def parent_and_child(*more):
    """A process of both worlds and what it has forked since, and who traces it."""
    kernlib.need_kernel()
    with Family() as c:
        with lib.Tracing(*MIXED, *more, '-p', c.pid) as t:
            t.wait_armed(c.pid)
            kid = c.fork()
            refused(kid, t.proc.pid)
            yield c, kid, t
        c.is_as_before(kid)


def both_worlds_and_children():
    """Those have what their parent had, whether they are followed or not."""
    for more in ([], ['-x', 'followfork']):
        with parent_and_child(*more) as (_, _, t):
            status, _, err = t.stop()
            assert status == 0, err


def both_worlds_killed():
    """What is left goes, all of it: by a repair, and by the next who comes."""
    for more in ([], ['-x', 'followfork']):
        with parent_and_child(*more) as (c, kid, t):
            t.stop(signal.SIGKILL)
            for pid in (c.pid, kid):
                r = lib.dyntrace('verify', str(pid), check=False)
                assert r.returncode == 1 and 'left by a dyntrace that was killed' in r.stdout, r.stdout
            said = lib.dyntrace('repair', str(kid)).stdout
            assert re.search(r'\d+ places restored, \d+ mappings removed', said), said
            with lib.Tracing(*MIXED, '-p', c.pid) as t:
                lib.wait_for(lambda: 'traced by process %d ' % t.proc.pid in lib.dyntrace('verify', str(c.pid), check=False).stdout, 'the next')
                t.wait_armed(c.pid)
                c.work()
                status, out, err = t.stop()
                assert status == 0 and int(out.split()[0]) == 10, (status, out, err)


def the_manual_has_the_message():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'man', 'dyntrace.1'), encoding='utf-8') as f:
        text = f.read()
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'src', 'session', 'owner.c'), encoding='utf-8') as f:
        code = f.read()
    for part in ('is traced by dyntrace already', 'ends that'):
        assert part in code and re.search(part, text), part


if __name__ == '__main__':
    tap = lib.Tap()
    for test in (after_a_script, after_a_recording, after_a_keeper, beside_a_keeper_that_waits, after_a_script_of_both_worlds, both_worlds_and_children, both_worlds_killed,
                 the_manual_has_the_message):
        tap.run(test.__name__.replace('_', ' '), test)
    tap.done()
