#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tracer lttng, enable-event and trace, with an lttng-sessiond of the test's own; enable-event and trace without one."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

import lib
import test_verbs

# The sockets of root's daemon have fixed places: there are none of others in this test's own mounts.
if os.environ.get('DYNTRACE_LTTNG_APART') != '1' and os.geteuid() == 0 and shutil.which('unshare'):
    script = 'mkdir -p /run/lttng && mount -t tmpfs none /run/lttng && exec "$@"'
    if subprocess.run(['unshare', '-m', 'sh', '-c', script, 'sh', 'true'], capture_output=True, check=False).returncode == 0:
        os.environ['DYNTRACE_LTTNG_APART'] = '1'
        os.execvp('unshare', ['unshare', '-m', 'sh', '-c', script, 'sh', sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:]])


class Lttng:
    """A daemon, and a home of its own."""

    def __init__(self):
        lib.need('lttng-sessiond', 'lttng', 'babeltrace2')
        if not os.path.exists(os.path.join(lib.BUILD, 'libdyntrace-lttng.so')):
            raise lib.Skip('it was built without liblttng-ust-dev')
        if os.geteuid() == 0 and os.environ.get('DYNTRACE_LTTNG_APART') != '1':
            raise lib.Skip("root's lttng-sessiond needs mounts of its own (unshare -m)")
        self.dir = tempfile.mkdtemp(prefix='dyntrace-lttng-')
        # Programs that are started find it there, too; root's are found without.
        os.environ['LTTNG_HOME'] = self.dir
        self.env = dict(os.environ, LTTNG_HOME=self.dir, HOME=self.dir, LC_ALL='C', XDG_RUNTIME_DIR=self.dir)
        self.daemon = subprocess.Popen(['lttng-sessiond', '--no-kernel'], env=self.env, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=lib.ends_with_us)

    def __enter__(self):
        try:
            lib.wait_for(lambda: subprocess.run(['lttng', 'list'], env=self.env, capture_output=True, check=False).returncode == 0,
                         'an answer of lttng-sessiond', 10)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        self.daemon.terminate()
        try:
            self.daemon.wait(30 * lib.SLOW)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            self.daemon.wait()
        os.environ.pop('LTTNG_HOME', None)
        shutil.rmtree(self.dir, ignore_errors=True)

    def run(self, *args):
        r = subprocess.run(['lttng', *args], env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60 * lib.SLOW, check=False)
        assert r.returncode == 0, f'lttng {args}: {r.stdout} {r.stderr}'
        return r.stdout

    def create(self):
        self.run('create', 'test', '--output', os.path.join(self.dir, 'trace'))

    def events(self):
        self.run('stop')
        self.run('destroy')
        r = subprocess.run(['babeltrace2', os.path.join(self.dir, 'trace')], capture_output=True, text=True, check=True)
        assert not r.stderr, r.stderr
        return r.stdout.splitlines()


class Calls(test_verbs.Calls):
    def __init__(self, daemon, **more):
        super().__init__(**more)
        self.env.update(LTTNG_HOME=daemon.dir, HOME=daemon.dir)


def a_running_process():
    with Lttng() as l, Calls(l, threads=2, rounds=50) as c:
        c.add('work', '-n', 'point', 'lttng')
        c.add('branchy', '-e', '-n', 'both', 'lttng')
        listed = l.run('list', '-u')
        for kind in ('tracepoint_hit', 'function_entry', 'function_exit'):
            assert f'dyntrace_lttng:{kind}' in listed, listed
        l.create()
        l.run('enable-event', '-u', 'dyntrace_lttng:*')
        l.run('add-context', '-u', '-t', 'vpid', '-t', 'vtid', '-t', 'procname')
        l.run('start')
        c.go()
        c.run('rm', f'{c.pid}:point')
        c.go()
        lines = l.events()
        hits = [s for s in lines if ':tracepoint_hit:' in s]
        assert len(hits) == 100 and sum(':function_entry:' in s for s in lines) == 200, len(lines)
        exits = [s for s in lines if ':function_exit:' in s]
        assert len(exits) == 200, len(exits)
        assert all(f'vpid = {c.pid}, ' in s and 'procname = "calls"' in s for s in lines), lines[0]
        assert len({re.search(r'vtid = (\d+)', s).group(1) for s in hits}) == 2
        assert all(re.search(r'address = 0x[0-9A-F]+, name = "point", args = \[ \[0\] = 0x', s) for s in hits), hits[0]
        # branchy(0) is 0, branchy(1) is leaf(1, 1) + 1.
        rets = [int(re.search(r'ret = (0x[0-9A-F]+|0x0)', s).group(1), 16) for s in exits]
        assert rets.count(0) == 4 and rets.count(5) >= 4, rets[:20]
        c.run('detach', c.pid)
        c.run('verify', c.pid)
        c.go()


def many_loads():
    """The library comes into programs at whatever moment; they go on."""
    with Lttng() as l:
        for i in range(12):
            with Calls(l, threads=4, rounds=0 if i % 2 else 1000) as c:
                c.add('work', 'lttng')
                assert c.proc.poll() is None
                if i % 2 == 0:
                    c.go()
                c.run('detach', c.pid)
                if i % 2 == 0:
                    c.go()


def refusals():
    with Lttng() as l, Calls(l) as c:
        c.add('_int_malloc', 'lttng', status=1)
        c.add('_dl_catch_error', 'lttng', status=1)
        c.add('work', 'lttng', 'x', status=1, says="no arguments but 'named'")


def current_session():
    with Lttng() as l, Calls(l, threads=1, rounds=10) as c:
        l.create()
        l.run('enable-channel', '-u', 'mine')
        l.run('start')
        c.run('enable-event', 'my_event', '-u', '--pid', c.pid, '--function', 'work', status=1, says='channel name needs')
        c.run('enable-event', 'my_event', '-u', '--pid', c.pid, '--function', 'work', '-c', 'mine', says='LTTng session test')
        c.run('enable-event', 'other', '-u', '--pid', c.pid, '--probe', 'work+0', '--channel', 'mine')
        c.add('leaf', '-n', 'unasked', 'lttng')
        c.go()
        lines = l.events()
        assert sum('dyntrace_lttng:my_event_entry:' in s and '"my_event"' in s for s in lines) == 10, lines
        assert sum('dyntrace_lttng:my_event_exit:' in s and 'ret = 0x' in s for s in lines) == 10, lines
        assert sum('dyntrace_lttng:other:' in s and '"other"' in s and 'args = [' in s for s in lines) == 10 and len(lines) == 30, lines


def a_command():
    with Lttng() as l:
        l.create()
        l.run('enable-event', '-u', 'dummy:*')
        l.run('start')
        exe = os.path.join(test_verbs.TRIGGERS, 'calls')
        r = subprocess.run([lib.DYNTRACE, 'trace', '-c', f'{exe} 1 10', '--function', 'work'], env=l.env, input='go\n', text=True,
                           capture_output=True, timeout=60 * lib.SLOW, check=False)
        assert r.returncode == 0 and r.stdout == 'ready\ndone\n', r
        for _ in range(2): # the rules are there already
            r = subprocess.run([lib.DYNTRACE, 'trace', '-c', f'{exe} 1 10', '--function', 'work', '--probe', 'leaf'], env=l.env, input='go\n',
                               text=True, capture_output=True, timeout=60, check=False)
            assert r.returncode == 0 and r.stdout == 'ready\ndone\n' and not r.stderr, r
        lines = l.events()
        assert sum(':work_entry:' in s for s in lines) == sum(':work_exit:' in s for s in lines) == 30, lines
        assert sum(':leaf:' in s for s in lines) == 34, lines


def started_with_it():
    """dyntrace-run -t: the library is there from the start."""
    with Lttng() as l:
        exe = os.path.join(test_verbs.TRIGGERS, 'calls')
        p = subprocess.Popen([lib.DYNTRACE + '-run', '-t', 'lttng', '--', exe, '1', '10'], env=l.env, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert p.stdout.readline() == 'ready\n'
        pid = int(subprocess.run(['pgrep', '-P', str(p.pid)], capture_output=True, text=True, check=True).stdout)
        assert any('libdyntrace-lttng' in m[4] for m in lib.maps(pid))
        l.create()
        l.run('enable-event', '-u', 'dyntrace_lttng:*')
        l.run('start')
        subprocess.run([lib.DYNTRACE, 'add', f'{pid}:work', 'lttng'], env=l.env, check=True, capture_output=True)
        out, err = p.communicate('go\n', timeout=30 * lib.SLOW)
        assert p.returncode == 0 and out == 'done\n', (p.returncode, out, err)
        assert sum('tracepoint_hit' in s for s in l.events()) == 10


def without_lttng():
    lib.need('babeltrace2')
    with test_verbs.Calls(threads=1, rounds=10) as c:
        c.env['HOME'] = c.dir
        c.run('enable-event', 'my_event', '-u', '--pid', c.pid, '--function', 'work', says='event my_event enabled')
        c.run('enable-event', 'probe', '-u', '--pid', c.pid, '--probe', 'leaf')
        c.run('enable-event', 'my_event', '-u', '--pid', c.pid, '--probe', 'leaf', status=1, says='already')
        c.run('enable-event', 'x', '-u', '--pid', c.pid, '--probe', 'nosuch', status=1)
        c.run('enable-event', 'x', '--pid', c.pid, '--probe', 'leaf', status=2)
        c.go()
        trace = c.points()['my_event']['trace']
        c.run('detach', c.pid)
        r = subprocess.run(['babeltrace2', trace], capture_output=True, text=True, check=True)
        assert not r.stderr and r.stdout.count(' my_event_entry: ') == r.stdout.count(' my_event_exit: ') == 10, r
        assert r.stdout.count(' probe: ') == 17 and f'pid = {c.pid}, ' in r.stdout, r.stdout
        c.run('dump', trace, says=r'my_event_entry address=0x[0-9a-f]+ a=0 b=1')


def status_and_signals():
    with test_verbs.Calls() as c:
        def run(*args):
            return subprocess.run([lib.DYNTRACE, *args], env=c.env, cwd=c.dir, capture_output=True, text=True, timeout=60 * lib.SLOW, check=False)
        r = run('trace', '-c', 'ls -l calls', '-o', 'ls', '--probe', 'malloc')
        assert r.returncode == 0 and r.stdout.endswith(' calls\n'), r
        assert ' malloc: ' in subprocess.run(['babeltrace2', c.path('ls')], capture_output=True, text=True, check=True).stdout
        assert run('trace', '-c', "sh -c 'exit 7'", '--probe', 'malloc').returncode == 7
        assert run('trace', '-c', "sh -c 'kill -9 $$'").returncode == 137
        assert run('trace', '-c', 'nosuchcommand').returncode == 127
        assert run('trace', '-c', 'ls', '--probe', 'nosuch').returncode == 1
        assert run('trace').returncode == 2
        for args, status in ((['sh', '-c', 'exit 3'], 3), (['-t', 'log', '--', 'true'], 0), (['-t', 'nosuch', 'true'], 1), ([], 2)):
            r = subprocess.run([lib.DYNTRACE + '-run', *args], env=c.env, capture_output=True, text=True, timeout=60 * lib.SLOW, check=False)
            assert r.returncode == status, (args, r)


if __name__ == '__main__':
    tap = lib.Tap()
    for test in (a_running_process, many_loads, refusals, current_session, a_command, started_with_it, without_lttng, status_and_signals):
        tap.run(test.__name__.replace('_', ' '), test)
    tap.done()
