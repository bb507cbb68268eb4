#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A process has one tracer at a time: who comes second is told who is there, and changes nothing."""
import os
import re

import lib
from test_verbs import Calls, keeper_of

WORK = 'pid$target::work:entry { @ = count(); }'


def seconds(c, first, hint=None):
    """Each way to come second, while process @first traces it."""
    told = f'process {c.pid} is traced by dyntrace already \\(process {first} "[^"]*"\\); kill {first} ends that'
    for args in (['-n', WORK, '-p', c.pid], ['record', '-p', c.pid, '-o', c.path('t'), 'work'], ['repair', c.pid], ['add', f'{c.pid}:work', 'count']):
        if hint and args[0] == 'add':
            continue
        c.run(*args, status=1, says=told + (f'\n.*{hint}' if hint and args[0] != 'repair' else ''))
    c.run('verify', c.pid, status=1, says=f'traced by process {first}')


def after_a_script():
    with Calls(threads=1, rounds=10) as c, lib.Tracing('-qn', WORK, '-p', c.pid) as t:
        t.wait_armed(c.pid)
        seconds(c, t.proc.pid)
        c.go()
        status, out, err = t.stop()
        assert status == 0 and out.split() == ['10'] and not err, (status, out, err)
        c.run('verify', c.pid)


def after_a_recording():
    with Calls(threads=1, rounds=10) as c, lib.Tracing('record', '-p', c.pid, '-o', c.path('first'), 'work:entry') as t:
        t.wait_armed(c.pid)
        seconds(c, t.proc.pid)
        c.go()
        status, out, err = t.stop()
        assert status == 0, (out, err)
        assert len(lib.dyntrace('dump', c.path('first')).stdout.splitlines()) == 10
        c.run('verify', c.pid)


def after_a_keeper():
    with Calls(threads=1, rounds=10) as c:
        c.add('work', '-n', 'kept', 'count')
        seconds(c, keeper_of(c), hint=f'detach {c.pid} ends that')
        c.add('work', '-n', 'beside', 'd', '@ = count()')
        c.go()
        assert c.points()['kept']['hits'] == 10
        c.run('detach', c.pid, says=r'\b10\b')
        c.run('verify', c.pid)


def the_manual_has_the_message():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'man', 'dyntrace.1'), encoding='utf-8') as f:
        text = f.read()
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'src', 'session', 'owner.c'), encoding='utf-8') as f:
        code = f.read()
    for part in ('is traced by dyntrace already', 'ends that'):
        assert part in code and re.search(part, text), part


if __name__ == '__main__':
    tap = lib.Tap()
    for test in (after_a_script, after_a_recording, after_a_keeper, the_manual_has_the_message):
        tap.run(test.__name__.replace('_', ' '), test)
    tap.done()
