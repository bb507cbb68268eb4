#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""enable-event and trace with LTTng in all its states: stopped, gone, several sessions and channels; and with programs of all kinds."""
import os
import re
import subprocess

import lib
from test_lttng import Calls, Lttng # goes to mounts of its own

LOOP = r'''
#include <stdio.h>
#include <unistd.h>
#include <sys/wait.h>
__attribute__((noinline)) int work(int a) { __asm__ volatile(""); return a + 1; }
int main(void)
{
	char line[64];
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		int status = 0;
		if (line[0] != 'f') {
			for (int i = 0; i < 10; i++)
				work(i);
		} else if (!fork()) {
			for (int i = 0; i < 5; i++)
				work(i);
			_exit(work(41));
		} else {
			wait(&status);
		}
		printf("%d\n", WEXITSTATUS(status));
		fflush(stdout);
	}
	return 0;
}
'''


class Program:
    """LOOP, compiled for the test; says what its child ended with."""

    def __init__(self, l, cc=('cc',), **kw):
        lib.need(*cc[:1])
        exe = f'{l.dir}/program'
        subprocess.run([*cc, '-g', '-O1', '-x', 'c', '-', '-o', exe], input=LOOP, text=True, check=True)
        self.env = l.env
        self.proc = subprocess.Popen([exe], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=l.env, **kw)
        self.pid = self.proc.pid
        assert self.proc.stdout.readline() == 'ready\n'

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        subprocess.run([lib.DYNTRACE, 'detach', str(self.pid)], env=self.env, capture_output=True, check=False)
        self.proc.kill()
        self.proc.communicate()

    def say(self, text='go'):
        self.proc.stdin.write(text + '\n')
        self.proc.stdin.flush()
        return int(self.proc.stdout.readline())

    run = Calls.run


def enable(c, name, *args, **more):
    return c.run('enable-event', name, '-u', '--pid', c.pid, *args, **more)


def babel(path):
    r = subprocess.run(['babeltrace2', path], capture_output=True, text=True, check=True)
    assert not r.stderr, r.stderr
    return r.stdout.splitlines()


def names(lines):
    found = {}
    for s in lines:
        name = re.search(r' dyntrace_lttng:([^:]+):', s).group(1)
        found[name] = found.get(name, 0) + 1
    return found


def ready(l):
    l.create()
    l.run('enable-event', '-u', 'dummy:*')
    l.run('add-context', '-u', '-t', 'vpid')
    l.run('start')


def a_session_that_is_stopped():
    with Lttng() as l, Calls(l, threads=1, rounds=10) as c:
        l.create()
        enable(c, 'one', '--probe', 'work', says='LTTng session test')
        l.run('add-context', '-u', '-t', 'vpid', '-t', 'vtid', '-t', 'procname')
        c.go()
        l.run('start')
        c.go()
        l.run('stop')
        c.go()
        enable(c, 'two', '--function', 'work')
        c.go()
        l.run('start')
        c.go()
        lines = l.events()
        assert names(lines) == {'one': 20, 'two_entry': 10, 'two_exit': 10}, names(lines)
        assert f'vpid = {c.pid}, ' in lines[-1] and 'procname = "calls"' in lines[-1], lines[-1]


def shown_by_lttng():
    with Lttng() as l, Calls(l, threads=1, rounds=10) as c:
        l.create()
        enable(c, 'my.event-1', '--probe', 'work')
        enable(c, 'both', '--function', 'leaf')
        listed = l.run('list', '-u')
        for name in ('my.event-1', 'both_entry', 'both_exit', 'tracepoint_hit'):
            assert f'dyntrace_lttng:{name} ' in listed, listed
        c.run('enable-event', 'x' * 201, '-u', '--pid', c.pid, '--probe', 'leaf', status=2, says='at most 200')


def again_after_rm():
    """The rule is there still; the tracepoint's number, and its session, are others."""
    with Lttng() as l, Calls(l, threads=1, rounds=10) as c:
        ready(l)
        for i in range(3):
            enable(c, 'again', *(('--function', 'work') if i == 1 else ('--probe', 'work')))
            c.go()
            enable(c, 'again', '--probe', 'leaf', status=1, says='already')
            c.run('rm', f'{c.pid}:again')
            if i == 1:
                c.run('detach', c.pid)
        lines = l.events()
        assert names(lines) == {'again': 20, 'again_entry': 10, 'again_exit': 10}, names(lines)


def many_while_threads_work():
    """A thread is sent to LTTng each time; what it was at goes on."""
    with Lttng() as l:
        ready(l)
        with Calls(l, threads=4, rounds=30000000) as c:
            enable(c, 'first', '--probe', 'floating')
            c.begin()
            for i in range(40):
                enable(c, f'name{i}', *(('--function', 'branchy') if i % 3 == 0 else ('--probe', 'floating')))
                if i % 2:
                    c.run('rm', f'{c.pid}:name{i}')
                if i % 10 == 9:
                    l.run('list', '-u')
            assert c.proc.poll() is None
            c.run('detach', c.pid)
            assert c.proc.stdout.readline() == 'done\n'
            c.run('verify', c.pid)
            c.proc.stdin.close()
            assert c.proc.wait(60) == 0 # its sums are right
            c.proc.stdin = None


def the_same_name_in_two_processes():
    with Lttng() as l, Calls(l, threads=1, rounds=10) as c, Calls(l, threads=1, rounds=5) as d:
        ready(l)
        for p in c, d:
            enable(p, 'shared', '--probe', 'work')
            p.go()
        lines = l.events()
        assert sum(f'vpid = {c.pid} ' in s for s in lines) == 10 and sum(f'vpid = {d.pid} ' in s for s in lines) == 5, lines


def several_sessions():
    with Lttng() as l, Calls(l, threads=1, rounds=10) as c:
        for name in 'first', 'second':
            l.run('create', name, '--output', f'{l.dir}/{name}')
            l.run('enable-event', '-u', 'dummy:*')
            l.run('start')
        l.run('set-session', 'first')
        enable(c, 'one', '--probe', 'work', says='session first')
        l.run('set-session', 'second')
        enable(c, 'two', '--probe', 'work', says='session second')
        c.go()
        l.run('stop', 'first')
        l.run('stop', 'second')
        assert names(babel(f'{l.dir}/first')) == {'one': 10} and names(babel(f'{l.dir}/second')) == {'two': 10}


def several_channels():
    with Lttng() as l, Calls(l, threads=1, rounds=10) as c:
        l.create()
        l.run('enable-channel', '-u', 'left')
        l.run('enable-channel', '-u', 'right')
        l.run('start')
        enable(c, 'one', '--probe', 'work', status=1, says='--channel says which')
        assert not c.points(), c.points()
        enable(c, 'one', '--probe', 'work', '-c', 'right')
        enable(c, 'two', '--probe', 'work', '--channel', 'left')
        enable(c, 'three', '--probe', 'work', '--channel', 'nosuch', status=1, says='could not enable event three')
        c.go()
        assert names(l.events()) == {'one': 10, 'two': 10} and list(c.points()) == ['one', 'two']


def a_session_that_is_gone():
    """Of which the file that names the current one tells still."""
    with Lttng() as l, Calls(l, threads=1, rounds=10) as c:
        with open(f'{l.dir}/.lttngrc', 'w', encoding='utf-8') as f:
            f.write('session=gone\n')
        enable(c, 'one', '--probe', 'work', says='no session gone any more')
        c.go()
        trace = c.points()['one']['trace']
        c.run('detach', c.pid)
        assert len(babel(trace)) == 10


def the_daemon_is_killed():
    l = Lttng()
    with l, Calls(l, threads=1, rounds=10) as c:
        ready(l)
        enable(c, 'one', '--probe', 'work')
        c.go()
        l.daemon.kill()
        l.daemon.wait()
        c.go()
        enable(c, 'two', '--probe', 'work', says='event two enabled; ')
        c.go()
        trace = c.points()['two']['trace']
        c.run('detach', c.pid)
        c.run('verify', c.pid)
        c.go()
        assert len(babel(trace)) == 10


def a_refused_place_leaves_no_rule():
    with Lttng() as l:
        l.create()
        for cc, says in ((('cc', '-static'), 'static'), (('musl-gcc',), 'not glibc')):
            lib.need(cc[0])
            with Program(l, cc) as p:
                enable(p, 'one', '--probe', 'work', status=1, says=says)
                assert p.say() == 0
        with Program(l) as p:
            enable(p, 'two', '--probe', 'nosuch', status=1, says='nosuch')
            enable(p, 'two', '--probe', '0x10', status=1, says='no code')
            enable(p, 'two', '--probe', '08', status=1)
            enable(p, 'two', '--probe', '_int_malloc', status=1, says='lock')
        assert 'dyntrace_lttng' not in l.run('list', 'test')


def numbers():
    with Lttng() as l, Calls(l, threads=1, rounds=10) as c:
        ready(l)
        addr = int(c.run('list-symbols', c.pid, 'work').split()[0], 16)
        for name, place in (('hex', hex(addr)), ('dec', str(addr)), ('oct', '0' + oct(addr)[2:]), ('off', 'work+0'), ('offx', 'work+0x0'), ('offo', 'work+00')):
            enable(c, name, '--probe', place)
            enable(c, name + 'f', '--function', place)
        c.go()
        found = names(l.events())
        assert len(found) == 18 and set(found.values()) == {10}, found


def forked_children():
    """They go on, and give no events of their parent's."""
    with Lttng() as l, Program(l) as p:
        ready(l)
        enable(p, 'one', '--function', 'work')
        assert p.say() == 0
        assert [p.say('fork') for _ in range(3)] == [42] * 3
        assert p.say() == 0
        p.run('detach', p.pid)
        assert p.say('fork') == 42
        p.run('verify', p.pid)
        assert names(l.events()) == {'one_entry': 20, 'one_exit': 20}


def another_users_process():
    """Root's daemon has the events of all."""
    if os.getuid():
        raise lib.Skip('root is needed')
    with Lttng() as l:
        os.chmod(l.dir, 0o755)
        with Program(l, user=40002, group=40002, extra_groups=[]) as p:
            ready(l)
            enable(p, 'one', '--probe', 'work')
            p.say()
            assert names(l.events()) == {'one': 10}
            p.run('detach', p.pid)
            assert p.say('fork') == 42


def commands():
    with Lttng() as l:
        ready(l)

        def trace(command, *args):
            return subprocess.run([lib.DYNTRACE, 'trace', '-c', command, *args], env=l.env, cwd=l.dir, capture_output=True, text=True, timeout=60, check=False)
        for _ in range(2): # the rules are there; malloc is called until the very end
            r = trace('ls -l', '--probe', 'malloc', '--function', 'getenv')
            assert r.returncode == 0 and 'total' in r.stdout and not r.stderr, r
        for command, status in (('sh -c "exit 9"', 9), ('sh -c "kill -TERM $$"', 143), ('sh -c "kill -SEGV $$"', 139), ('ls /nonexistent', 2),
                                ('/nonexistent', 127)):
            assert trace(command, '--probe', 'malloc').returncode == status, command
        assert trace('ls', '--probe', 'nosuch').returncode == 1
        found = names(l.events())
        assert found.keys() == {'malloc', 'getenv_entry', 'getenv_exit'} and found['getenv_entry'] == found['getenv_exit'], found


def threads_at_the_end():
    """Hits until the program is gone."""
    code = r'''
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
__attribute__((noinline)) int work(int a) { __asm__ volatile(""); return a + 1; }
static void *loop(void *p) { for (;;) free(malloc((size_t)work(8))); return p; }
__attribute__((destructor)) static void last(void) { for (int i = 0; i < 2000; i++) work(i); }
int main(void) { pthread_t t; for (int i = 0; i < 3; i++) pthread_create(&t, NULL, loop, NULL); usleep(30000); return 5; }
'''
    lib.need('cc')
    with Lttng() as l:
        ready(l)
        subprocess.run(['cc', '-O1', '-x', 'c', '-', '-o', f'{l.dir}/threads', '-pthread'], input=code, text=True, check=True)
        for i in range(12):
            r = subprocess.run([lib.DYNTRACE, 'trace', '-c', f'{l.dir}/threads', '--function', 'work', '--probe', 'malloc'], env=l.env, cwd=l.dir,
                               capture_output=True, text=True, timeout=60, check=False)
            assert r.returncode == 5, (i, r)


TESTS = (a_session_that_is_stopped, shown_by_lttng, again_after_rm, many_while_threads_work, the_same_name_in_two_processes, several_sessions, several_channels,
         a_session_that_is_gone, the_daemon_is_killed, a_refused_place_leaves_no_rule, numbers, forked_children, another_users_process, commands,
         threads_at_the_end)

if __name__ == '__main__':
    tap = lib.Tap()
    for test in TESTS:
        tap.run(test.__name__.replace('_', ' '), test)
    tap.done()
