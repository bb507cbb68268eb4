#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Programs with every function patched have to do what they do without.

usage: live.py PRELOAD WORK_C WORK_CC [NAME]

Compiles the work programs with each compiler and level, and takes some programs
that others built; runs each plain, with all entries and returns patched, and with
a probe at every instruction.  Functions of the work programs have to be left as
often as they are entered.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

PRELOAD, WORK_C, WORK_CC = (os.path.abspath(path) for path in sys.argv[1:4])
ONLY = sys.argv[4] if len(sys.argv) > 4 else None
# main runs on in exit(); the others are left by longjmp or by an exception.
UNBALANCED = re.compile(r'_start|main|jumper|jump_test|thrower|_Z(L|)7throweri|_ZN(K|)St6vector\w*(2at|14_M_range_check)Em')
SQL = """create table t(a integer primary key, b text);
with recursive c(x) as (select 1 union all select x+1 from c where x<2000)
insert into t select x, printf('%d-%s', x, hex(x)) from c;
create index i on t(b); select count(*), sum(length(b)), max(b) from t where b like '%3%';
delete from t where a%3=0; select count(*) from t group by a%7 order by 1;"""
SHELL = r"""f() { local i; for ((i = 0; i < $1; i++)); do a[i]=$((i * i % 97)); done; echo "${a[@]:0:5}" "${#a[@]}"; }
f 300; x=$(echo hello); echo ${x/l/L} ${x^^} ${#x}; case $x in h*) echo H;; esac
[[ $x =~ (l+) ]] && echo ${BASH_REMATCH[1]}; printf '%05d %s\n' 42 x; (exit 3) || echo $?"""

count = 0
failed = 0


def say(ok, name, why=()):
    global count, failed
    count += 1
    failed += not ok
    for line in why:
        print('#', line)
    print('%sok %d - %s' % ('' if ok else 'not ', count, name), flush=True)
    if not ok:
        print('# again: %s %s' % (' '.join(sys.argv[:4]), name))


def run(cmd, env, text):
    return subprocess.run(cmd, input=text, env=dict(os.environ, **env), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=100)


def unbalanced(report):
    bad = []
    for line in open(report):
        m = re.match(r'  (0x\w+) (\S*): entered (\d+), left (\d+)', line)
        if m and m[2] and not UNBALANCED.fullmatch(m[2].split('.')[0]) and not m[2].startswith('_GLOBAL_'):
            bad.append(line.strip())
    return bad


def compare(name, cmd, folder, libs='', text=None, balance=False):
    plain = run(cmd, {}, text)
    for mode in ('', 'offsets'):
        report = os.path.join(folder, 'report')
        if os.path.exists(report):
            os.unlink(report)
        env = {'LD_PRELOAD': PRELOAD, 'PATCH_LIBS': libs, 'PATCH_REPORT': report,
               'PATCH_ONLY': os.path.basename(os.path.realpath(cmd[0]))[:15]}
        if mode:
            env['PATCH_OFFSETS'] = '1'
        got = run(cmd, env, text)
        why = []
        if (got.returncode, got.stdout) != (plain.returncode, plain.stdout):
            why = ['exit status %d, not %d' % (got.returncode, plain.returncode)]
            why += got.stdout.decode(errors='replace').splitlines()[-5:]
        elif not os.path.exists(report):
            why = ['nothing was patched']
        elif balance and not mode:
            why = unbalanced(report)
        say(not why, name + (' at every instruction' if mode else ''), why)


def compiled(folder):
    jobs = [(c, o, WORK_C, ['-lm']) for c in ('gcc', 'clang') for o in ('-O0', '-O1', '-O2', '-Os', '-O3')]
    jobs += [(c, o, WORK_C, ['-lm', '-no-pie', '-fcf-protection=full']) for c in ('gcc', 'clang') for o in ('-O2',)]
    jobs += [(c, o, WORK_CC, []) for c in ('g++', 'clang++') for o in ('-O0', '-O2', '-Os')]
    for compiler, level, source, more in jobs:
        name = '%s %s %s' % (compiler, ' '.join([level] + more[1:]), os.path.basename(source))
        if ONLY and not ONLY.startswith(name):
            continue
        if not shutil.which(compiler):
            count_skip(name)
            continue
        exe = os.path.join(folder, 'work')
        subprocess.run([compiler, level, '-g0', source, '-o', exe, '-w', '-pthread'] + more, check=True)
        compare(name, [exe], folder, balance=True)


def found(folder):
    for name, cmd, libs, text in (
            ('sqlite3', ['sqlite3', ':memory:'], 'libsqlite3,libc', SQL),
            ('bash', ['bash'], 'libc', SHELL),
            ('perl', ['perl', '-e', 'my %h; $h{$_ % 97} .= chr(65 + $_ % 26) for 1..5000; '
                      'print join(",", map { "$_:".length $h{$_} } sort { $a <=> $b } keys %h); '
                      'eval { die "x" }; print scalar(() = "abcabc" =~ /b(c)/g), sprintf("%.3f", 3.14159)'], 'libc', '')):
        if ONLY and not ONLY.startswith(name):
            continue
        path = shutil.which(cmd[0])
        if not path:
            count_skip(name)
            continue
        compare(name, [path] + cmd[1:], folder, libs, text.encode())


def count_skip(name):
    global count
    count += 1
    print('ok %d - %s # SKIP %s is not installed' % (count, name, name))


def main():
    with tempfile.TemporaryDirectory() as folder:
        compiled(folder)
        found(folder)
    print('1..%d' % count)
    sys.exit(1 if failed else 0)


main()
