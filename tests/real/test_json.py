#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each verb as a script reads it: one JSON document, whatever the names, and nothing else on standard output."""
import json
import subprocess

import lib
from test_verbs import Calls


def doc(c, *args, **more):
    text = c.run(*args, **more)
    assert text.count('\n') == 1 and text.endswith('\n'), text
    return json.loads(text)


def a_whole_life():
    with Calls(threads=1, rounds=10) as c:
        assert doc(c, 'attach', c.pid, '--json') == {'pid': c.pid, 'tracepoints': []}
        point, = doc(c, 'add', f'{c.pid}:work', '-e', '-n', 'odd"\\name', '--json', 'count')['tracepoints']
        assert point['name'] == 'odd"\\name' and point['entry_exit'] and point['tracer'] == 'count', point
        assert {p['probe'] for p in point['places']} == {'entry', 'return'} and all(p['traced'] for p in point['places']), point
        made, = doc(c, 'add', '--json', f'{c.pid}:leaf', 'd', '@["a\\"b"] = sum(arg0)')['tracepoints']
        assert made['name'] == 'tp-0' and made['hits'] if 'hits' in made else made['tracer'] == 'd', made
        c.go()
        listed = {p['name']: p for p in doc(c, 'list-tracepoints', c.pid, '--json')['tracepoints']}
        gone, = doc(c, 'rm', '--json', f'{c.pid}:odd"\\name')['tracepoints']
        assert gone['hits'] == gone['returns'] == 10 and gone['places'] == listed['odd"\\name']['places'], gone
        last = doc(c, 'detach', c.pid, '--json')
        assert last['pid'] == c.pid and [p['name'] for p in last['tracepoints']] == ['tp-0'], last
        c.run('verify', c.pid)


def errors():
    """Nothing on standard output, a status, and the reason on standard error."""
    with Calls(threads=1, rounds=10) as c:
        for args in (('add', f'{c.pid}:nosuch', '--json', 'count'), ('rm', f'{c.pid}:nosuch', '--json'), ('list-tracepoints', 999999999, '--json'),
                     ('attach', '999999999', '--json')):
            assert c.run(*args, status=1) == '', args
        for args in (('attach', '--json'), ('rm', '--json'), ('detach', c.pid, '--jason'), ('attach', c.pid, c.pid)):
            assert c.run(*args, status=2) == '', args


def lists():
    with Calls(threads=1, rounds=10, name='a"b') as c:
        c.run('attach', c.pid)
        procs = doc(c, 'list-processes', '--json')
        assert [p['pid'] for p in procs] == [c.pid], procs
        assert any(p['pid'] == c.pid for p in doc(c, 'list-processes', '-a', '--json'))
        symbols = json.loads(c.run('list-symbols', c.pid, 'wor*', '--json'))
        assert any(s['name'] == 'work' and int(s['address'], 16) for s in symbols), symbols
        r = subprocess.run(['jq', '-e', '.[0].pid'], input=c.run('list-processes', '--json'), capture_output=True, text=True, check=False) \
            if lib.shutil.which('jq') else None
        assert not r or r.stdout == f'{c.pid}\n', r


if __name__ == '__main__':
    tap = lib.Tap()
    for test in (a_whole_life, errors, lists):
        tap.run(test.__name__.replace('_', ' '), test)
    tap.done()
