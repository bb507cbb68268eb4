#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Completion in bash: all verbs, what their --help has, processes, functions, tracepoints; and the manual pages' options."""
import os
import re
import subprocess

import lib
from test_verbs import Calls

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
ASK = r'''
. "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_dyntrace
printf '%s\n' "${COMPREPLY[@]}"
'''


def complete(*words, env=None, program=None, lines=False):
    """What bash would offer for the last of @words, which bash has split at colons: words of it, if @lines is not asked for."""
    lib.need('bash')
    r = subprocess.run(['bash', '-c', ASK, 'bash', os.path.join(TOP, 'completions', 'dyntrace'), program or lib.DYNTRACE, *words], capture_output=True,
                       text=True, timeout=60, env=env, check=False)
    assert r.returncode == 0 and not r.stderr, r
    return r.stdout.splitlines() if lines else r.stdout.split()


def verbs():
    found = []
    for name, entry in ('verbs.c', r'\{ "([a-z-]+)"'), ('script.c', r'\tS\((\w+),'):
        with open(os.path.join(TOP, 'src', 'cli', name), encoding='utf-8') as f:
            found += re.findall(entry, f.read())
    return found


def helped(verb):
    """Options that the help has at the beginnings of lines, and in its first ones."""
    text = lib.dyntrace(verb, '--help').stdout
    options = set(re.findall(r'(?<![\w-])(--?[a-z][a-z-]*)', ' '.join(re.findall(r'^(?:\t|Usage:)[^\n]*', text, re.M))))
    return {o for o in options if not re.fullmatch(r'-[a-z]{2,}', o)}


def all_verbs():
    assert {*verbs(), 'help'} == set(complete('')) == set(complete('help', '')), {*verbs(), 'help'} ^ set(complete(''))
    assert complete('list-t') == ['list-tracepoints']


def all_options():
    for verb in verbs():
        if verb in ('explain', 'verify', 'repair'):
            continue
        missing = helped(verb) - set(complete(verb, '-')) - {'-o' if verb == 'add' else ''}  # tracer d's
        assert not missing, (verb, missing)
    options = set(re.findall(r'^\t(-[A-Za-z])  ', lib.dyntrace('--help').stdout, re.M))
    assert len(options) > 25 and not options - set(complete('-')), options - set(complete('-'))
    names = {s.split()[0] for s in lib.dyntrace('-x', 'help').stdout.splitlines()[1:]}
    assert names <= set(complete('-x', '')), names - set(complete('-x', ''))
    assert 'bufsize' in complete('record', '-x', 'buf')


def options_are_in_the_manual():
    """Each verb has a page, which names its options."""
    for verb in verbs():
        page = os.path.join(TOP, 'man', f'dyntrace-{verb}.1')
        if not os.path.exists(page):
            page = os.path.join(TOP, 'man', 'dyntrace-scripts.1' if verb in complete('') and verb not in ('explain', 'verify', 'repair') else 'dyntrace.1')
        with open(page, encoding='utf-8') as f:
            text = f.read().replace('\\-', '-')
        if verb in ('explain', 'verify', 'repair'):
            continue
        missing = [o for o in helped(verb) if o not in text and o != '--help']
        assert not missing, (verb, page, missing)


def values():
    me = str(os.getpid())
    assert me in complete('-p', me[:2]) and me in complete('attach', me[:2])
    assert f'1,{me}' in complete('record', '-p', '1,' + me[:2])
    assert complete('add', '1', ':', 'main', 'lt') == ['lttng']
    assert complete('add', '1', ':', 'main', '-e', '-n', 'name', 'cou') == ['count']
    assert complete('run', '-t', 'lt') == ['lttng'] and complete('-t', 'lt', program=lib.DYNTRACE + '-run') == ['lttng']
    assert 'sleep' in complete('run', '--', 'slee') and 'sleep' in complete('trace', '-c', 'slee')
    assert 'sleep' in complete('slee', program=lib.DYNTRACE + '-run')
    assert complete('-d', 'ast,ty') == ['ast,types']
    assert complete('enable-event', 'x', '--fu') == ['--function']
    assert complete('list-functions', os.path.join(lib.BUILD, 'tests', 'trigger', 'calls'), 'bra') == ['branchy']


def processes_with_their_names():
    """Several are shown by number and name; the only one is put in, as is what menu-complete takes, by its number alone."""
    with Calls(threads=1, rounds=3, name='named-for-it') as c:
        pid = str(c.pid)
        shown = f'{pid} (named-for-it)'
        for words, before in ((['-p'], ''), (['record', '-p'], ''), (['syscalls', '-p'], ''), (['enable-event', '--pid'], ''), (['attach'], ''),
                              (['add'], ''), (['list-symbols'], ''), (['verify'], ''), (['record', '-p'], '1,')):
            assert before + shown in complete(*words, before, lines=True), words
            assert complete(*words, before + pid, lines=True) in ([before + pid], [before + shown]), words
            assert complete(*words, before + 'named-fo', lines=True) == [before + 'named-for-it'], words
            got = complete(*words, before, lines=True, env=dict(os.environ, COMP_TYPE='37'))
            assert before + pid in got and not [w for w in got if ' ' in w], (words, got)
        assert not [w for w in complete('-p', '', lines=True) if 'kthread' in w]


def of_a_process():
    with Calls(threads=1, rounds=3, name='completed') as c:
        pid = str(c.pid)
        c.add('work', '-n', 'alpha', 'count')
        c.add('work', '-n', 'beta', 'count')
        for words, want in ((['add', 'complet'], ['completed']), (['add', pid, ':', 'branch'], ['branchy']),
                            (['enable-event', 'x', '-u', '--pid', pid, '--probe', 'branch'], ['branchy']),
                            (['rm', pid, ':'], ['alpha', 'beta']), (['rm', 'completed', ':', 'be'], ['beta']),
                            (['list-tracepoints', 'comp'], ['completed']), (['detach', pid], [pid])):
            got = complete(*words, env=c.env)
            assert got == want, (words, got)


def pages():
    """Each can be read where it lies, by its own, and as a manual of the folder."""
    lib.need('man')
    folder = os.path.join(TOP, 'man')
    found = sorted(n for n in os.listdir(folder) if re.fullmatch(r'.*\.[1-8]', n))
    assert len(found) > 20, found
    for n in found:
        for args, env in ((['-l', os.path.join(folder, n)], {}), ([n[-1], n[:-2]], {'MANPATH': folder})):
            r = subprocess.run(['man', '--warnings', '-P', 'cat', *args], capture_output=True, text=True, cwd='/', env=dict(os.environ, MANWIDTH='100', **env), check=False)
            assert r.returncode == 0 and not r.stderr and 'NAME' in r.stdout and 'SEE ALSO' in r.stdout, (n, args, r.stderr, r.stdout[:300])


if __name__ == '__main__':
    tap = lib.Tap()
    for test in (all_verbs, all_options, options_are_in_the_manual, values, processes_with_their_names, of_a_process, pages):
        tap.run(test.__name__.replace('_', ' '), test)
    tap.done()
