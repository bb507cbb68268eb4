#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Exact call counts: what callgrind counts, @[probefunc] = count() counts.

callgrind runs the program on a processor of its own making, so functions that
the loader chooses by processor features (IFUNCs) and what depends on them are
left out: only the objects named are compared.
"""
import collections
import os
import re
import subprocess
import tempfile

import lib


def callgrind(argv, env, work):
    """{object base name: {address in the object: calls}}"""
    out = os.path.join(work, 'callgrind.out')
    r = subprocess.run(['valgrind', '--tool=callgrind', f'--callgrind-out-file={out}', '--compress-strings=no',
                        '--compress-pos=no', '--dump-instr=yes', *argv],
                       env=env, cwd=work, capture_output=True, timeout=300 * lib.SLOW, check=False)
    assert os.path.exists(out), r.stderr.decode(errors='replace')[-2000:]
    calls = collections.defaultdict(collections.Counter)
    ob = cob = None
    with open(out, encoding='utf-8', errors='replace') as f:
        for line in f:
            key, _, value = line.rstrip('\n').partition('=')
            if key == 'ob':
                ob = value
            elif key == 'fn':
                cob = None
            elif key == 'cob':
                cob = value
            elif key == 'calls':
                cnt, addr = value.split()[:2]
                calls[os.path.basename(cob or ob)][int(addr, 16)] += int(cnt)
                cob = None
    return calls


def valgrind_env(env):
    """The environment that a program sees under callgrind, so that the traced run can have the same."""
    r = subprocess.run(['valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null', '/usr/bin/env', '-0'], env=env,
                       capture_output=True, timeout=60 * lib.SLOW, check=False)
    return dict(v.split('=', 1) for v in r.stdout.decode(errors='replace').split('\0') if '=' in v)


def symbols(path):
    """{name: address} of the defined functions of .dynsym and .symtab, names of IFUNCs left out."""
    out = subprocess.run(['readelf', '-sW', path], capture_output=True, text=True, check=True).stdout
    syms, ifuncs = {}, set()
    for line in out.splitlines():
        p = line.split()
        if len(p) >= 8 and p[0][:-1].isdigit() and p[6] != 'UND' and p[3] in ('FUNC', 'IFUNC'):
            name = p[7].split('@')[0]
            if p[3] == 'IFUNC':
                ifuncs.add(name)
            else:
                syms[name] = int(p[1], 16)
    return {name: addr for name, addr in syms.items() if name not in ifuncs}


def traced(argv, module, env, work, name):
    """{function: times} from dyntrace, functions of which a place could not be armed, those without a place to arm."""
    script = f'pid$target:{module}::{name} {{ @[probefunc] = count(); }} END {{ printa("@%s %@d\\n", @); }}'
    r = subprocess.run([os.path.abspath(lib.DYNTRACE), '-q', '-x', 'aggsize=16m', '-v', '-n', script, '-c', ' '.join(argv)],
                       env=env, cwd=work, capture_output=True, text=True, errors='replace', timeout=300 * lib.SLOW, check=False)
    assert r.returncode == 0, f'status {r.returncode}: {r.stderr[-2000:]}'
    got = collections.Counter()
    for line in r.stdout.splitlines():
        m = re.match(r'^@(\S+) (\d+)$', line)
        if m:
            got[m.group(1)] += int(m.group(2))
    assert 'drop' not in r.stderr, r.stderr[-2000:]
    told = re.findall(r'pid\d+:[^:]*:([^:]+):\w+ at \S+ is not traced: (.*)', r.stderr)
    no_return = {name for name, why in told if 'no return instruction' in why}
    return got, {name for name, _ in told} - no_return, no_return


def by_address(counts, syms):
    """Sums names that share an address, so that it does not matter which alias a tool prefers."""
    total = collections.Counter()
    for name, n in counts.items():
        if name in syms:
            total[syms[name]] += n
    return total


def in_new_folder(make_input, run):
    with tempfile.TemporaryDirectory() as work:
        if make_input:
            make_input(work)
        return run(work)


def compare(argv, path, make_input=None, noreturn=(), left_out=()):
    """@noreturn: functions that end the program.  @left_out: those with a reason to differ."""
    lib.need('valgrind', argv[0])
    env = lib.clean_env()
    module = os.path.basename(path)
    called = in_new_folder(make_input, lambda work: callgrind(argv, env, work)[module])
    syms = symbols(path)
    want = {addr: called[addr] for addr in syms.values() if called[addr]}
    assert len(want) >= 5, f'callgrind saw only {len(want)} functions in {module}'
    names = {addr: name for name, addr in syms.items()}
    for kind in ('entry', 'return'):
        counts, refused, no_return = in_new_folder(make_input, lambda work: traced(argv, module, valgrind_env(env), work, kind))
        got = by_address(counts, syms)
        # callgrind does not see who calls the program's first function.
        unsure = {syms[n] for n in (*refused, *no_return, '_start', *left_out, *(noreturn if kind == 'return' else ())) if n in syms}
        told = {a for a in want if a in {syms.get(n) for n in refused} and want[a] != got[a]}
        assert len(told) <= 1 + len(want) // 50, f'{kind}: {len(told)} of {len(want)} called functions cannot be armed'
        wrong = [f'{names[a]}: callgrind {want.get(a, 0)}, dyntrace {got[a]}'
                 for a in sorted(set(want) | set(got)) if want.get(a, 0) != got[a] and a not in unsure]
        assert not wrong, f'{kind}: {len(wrong)} of {len(want)} differ:\n' + '\n'.join(wrong[:20])


def text_input(work):
    with open(os.path.join(work, 'input'), 'w', encoding='ascii') as f:
        for i in range(20000):
            f.write(f'line {i} of some text {i * i % 977}\n')


def sql_input(work):
    with open(os.path.join(work, 'script.sql'), 'w', encoding='ascii') as f:
        f.write('create table t(a integer primary key, b text);\nbegin;\n')
        for i in range(300):
            f.write(f"insert into t(b) values('row {i * 37 % 101}');\n")
        f.write('commit;\ncreate index i on t(b);\nselect b, count(*) from t group by b order by 2 desc, 1 limit 9;\n'
                "select a from t where b like 'row 5%' order by b, a;\n")


def library(name):
    for d in ('/usr/lib/x86_64-linux-gnu', '/lib/x86_64-linux-gnu'):
        p = os.path.join(d, name)
        if os.path.exists(p):
            return os.path.realpath(p)
    raise lib.Skip(f'{name} is not installed')


def main():
    tap = lib.Tap()
    tap.run('bzip2 calls libbz2', lambda: compare(['/bin/bzip2', '-k', '-f', 'input'], library('libbz2.so.1.0'), text_input))
    # gzip itself has no symbols.
    tap.run('gzip calls libc', lambda: compare(['/bin/gzip', '-k', '-f', 'input'], library('libc.so.6'), text_input,
                                               noreturn=('exit', '_exit'),
                                               # The loader calls these before the program's libraries are known.
                                               left_out=('__ctype_init', '__getrlimit', '__libc_early_init')))
    tap.run('xz calls liblzma', lambda: compare(['/usr/bin/xz', '-k', '-f', '-1', 'input'], library('liblzma.so.5'), text_input))
    tap.run('sqlite3 calls libsqlite3', lambda: compare(['/usr/bin/sqlite3', '-init', 'script.sql', ':memory:', '.exit'],
                                                        library('libsqlite3.so.0'), sql_input))
    tap.run('python3 runs -c', lambda: compare(
        ['/usr/bin/python3.11', '-S', '-E', '-c', 'print(sum(x*x for x in range(1000)),sorted(str(i)for(i)in(range(99))))'.replace(' ', '')],
        '/usr/bin/python3.11', noreturn=('Py_Exit', 'Py_RunMain'),
        # Tables that are keyed by pointers collide differently under valgrind.
        left_out=('PyObject_RichCompare', 'PyObject_RichCompareBool')))
    tap.done()


if __name__ == '__main__':
    main()
