#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every function of real programs and their libraries, entry and return, armed while they do real work: what they
put out is what they put out untraced, their code is as in its files afterwards, nothing is left.

DYNTRACE_STRESS=N does N times the work (default 1, about a minute in all).
"""
import contextlib
import json
import os
import pwd
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'real'))
import lib  # noqa: E402
from servers import free_port, port_open, server  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SCALE = int(os.environ.get('DYNTRACE_STRESS', '1'))
ALL = 'pid$target:::entry,pid$target:::return { @[probename] = count(); }'


def hits(text):
    return {m.group(1): int(m.group(2)) for m in re.finditer(r'^\s+(entry|return)\s+(\d+)$', text, re.M)}


def run(argv, work, traced, user=None, env=None, feed='/dev/null'):
    command = argv
    if traced:
        command = [os.path.abspath(lib.DYNTRACE), '-o', f'{work}/trace', '-n', ALL, '-c', shlex.join(argv)]
    with open(os.path.join(work, feed), encoding='utf-8') as stdin:
        r = subprocess.run(command, cwd=work, env=lib.clean_env(**(env or {})), capture_output=True, text=True, errors='replace',
                           timeout=900 * lib.SLOW, check=False, stdin=stdin, user=user, group=user and pwd.getpwuid(user).pw_gid,
                           extra_groups=[] if user else None)
    if traced:
        assert r.returncode == 0, (r.returncode, r.stderr[-2000:])
        with open(f'{work}/trace', encoding='utf-8') as f:
            got = hits(f.read())
        assert got.get('entry', 0) > 1000 and got.get('return', 0) > 1000, got
        assert 'terminated' not in r.stderr, r.stderr[-1000:]
    return r


def same(argv, prepare=None, results=(), normal=lambda text: text, user=None, env=None, feed='/dev/null'):
    """Runs @argv untraced and traced from its first instruction, in folders that @prepare has filled."""
    states = []
    for traced in (False, True):
        with tempfile.TemporaryDirectory() as work:
            if prepare:
                prepare(work)
            if user:
                subprocess.run(['chown', '-R', str(user), work], check=True)
            r = run(argv, work, traced, user, env, feed)
            state = [r.returncode, normal(r.stdout)]
            for name in results:
                with open(f'{work}/{name}', 'rb') as f:
                    state.append(f.read())
            states.append(state)
    assert states[0] == states[1], f'untraced {str(states[0])[:600]}\ntraced {str(states[1])[:600]}'


# ---- programs under -c ----

def sqlite():
    def prepare(work):
        rnd = random.Random(1)
        with open(f'{work}/s.sql', 'w', encoding='ascii') as f:
            f.write('create table t(a integer primary key, b text, c real); create table u(x, y references t);\nbegin;\n')
            for i in range(3000 * SCALE):
                f.write(f"insert into t values({i},'v{rnd.randrange(1009)}',{rnd.random()}); insert into u values({i % 97},{i});\n")
            f.write('commit; create index tb on t(b); create view w as select b,count(*) n,sum(c) s from t group by b;\n'
                    'select * from w order by n desc,b; select upper(b),round(c,2),length(b) from t where a%13=0 order by c desc;\n'
                    'with recursive r(n) as (select 1 union all select n+1 from r where n<500) select sum(n*n) from r;\n'
                    'select x,count(*),max(c) from u join t on y=a group by x having count(*)>3 order by 1;\n'
                    "update t set b=b||'x' where a%7=0; delete from t where a%11=0; pragma integrity_check;\n"
                    'select json_group_array(b) from (select b from t order by a limit 50);\n')
    same(['/usr/bin/sqlite3', '-init', 's.sql', 'file.db', '.exit'], prepare)


def cc1():
    def prepare(work):
        with open(f'{work}/a.c', 'w', encoding='ascii') as f:
            f.write('#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <math.h>\n')
            for i in range(60 * SCALE):
                f.write(f'struct s{i} {{ int a[{i + 1}]; double d; }};\n'
                        f'int f{i}(int a, char *s, struct s{i} *p) {{ int r = {i}; for (int i = 0; i < a; i++) r += s[i] * i % {i + 3};'
                        f' p->d = sqrt(r); switch (r & 7) {{ case 0: return r; case 3: r *= 3; break; case 5: puts(s); }} return r; }}\n')
        subprocess.run(['gcc', '-E', 'a.c', '-o', 'a.i'], cwd=work, check=True)
    prog = subprocess.run(['gcc', '-print-prog-name=cc1'], capture_output=True, text=True, check=True).stdout.strip()
    same([prog, '-quiet', '-O2', '-fpreprocessed', 'a.i', '-o', 'a.s'], prepare, ['a.s'])


def python_tests():
    modules = ['test_bisect', 'test_heapq', 'test_struct', 'test_json', 'test_generators', 'test_exceptions', 'test_string',
               'test_textwrap', 'test_itertools', 'test_functools', 'test_threading', 'test_weakref', 'test_re', 'test_deque',
               'test_decimal', 'test_contextlib', 'test_signal', 'test_subprocess', 'test_ctypes']
    have = [m for m in modules if os.path.exists(f'/usr/lib/python3.11/test/{m}.py') or os.path.isdir(f'/usr/lib/python3.11/test/{m}')]
    if len(have) < 10:
        raise lib.Skip("python3's own tests are not installed (libpython3.11-testsuite)")
    if SCALE == 1:
        have = have[:8]
    # Times differ, and a machine under load may be too slow for a few of them: what counts is the outcome of each.
    def outcome(text):
        return sorted(re.findall(r'^(test\S+ \(\S+\)).*\.\.\. (ok|FAIL|ERROR|skipped.*)$', text, re.M))
    driver = ('import sys, unittest\nsuite = unittest.defaultTestLoader.loadTestsFromNames(["test." + m for m in sys.argv[1:]])\n'
              'unittest.TextTestRunner(sys.stdout, verbosity=2).run(suite)\n')
    def prepare(work):
        with open(f'{work}/run.py', 'w', encoding='ascii') as f:
            f.write(driver)
    same(['/usr/bin/python3', 'run.py', *have], prepare, normal=outcome)


def exceptions():
    lib.need('g++')
    with tempfile.TemporaryDirectory() as build:
        exe = f'{build}/throws'
        subprocess.run(['g++', '-O2', '-o', exe, f'{HERE}/throws.cc', '-pthread'], check=True)
        same([exe, str(SCALE)])


def rust():
    lib.need('rg')
    same(['rg', '-j2', '--sort', 'path', '-n', r'struct\s+\w+_(info|data)\b' if SCALE == 1 else r'\w+_t\b', '/usr/include/linux'])


def go():
    lib.need('gron')
    def prepare(work):
        rnd = random.Random(2)
        with open(f'{work}/a.json', 'w', encoding='ascii') as f:
            json.dump({str(i): [{'a': rnd.random(), 'b': ['x' * (i % 50), None, i, {'c': '\u00e4'}]} for _ in range(20)]
                       for i in range(300 * SCALE)}, f)
    same(['gron', 'a.json'], prepare)


def go_fzf():
    """Many short goroutines: each ends where no call shows it."""
    lib.need('fzf')
    def prepare(work):
        with open(f'{work}/words', 'w', encoding='ascii') as f:
            f.write(''.join(f'{i} {i * 7919}\n' for i in range(3000 * SCALE)))
    same(['fzf', '-f', '123'], prepare, env={'GOMAXPROCS': '4'}, feed='words')


def build_churn(folder):
    lib.need('go')
    subprocess.run(['go', 'build', '-o', f'{folder}/churn', f'{HERE}/churn.go'], check=True,
                   env=lib.clean_env(CGO_ENABLED='0', GOCACHE=f'{folder}/cache', HOME=folder))
    return f'{folder}/churn'


def go_without_libc():
    """Goroutines, threads that end, stacks that grow, panics, and signals that interrupt loops."""
    with tempfile.TemporaryDirectory() as folder:
        exe = build_churn(folder)
        for _ in range(SCALE):
            same([exe])


def go_attached():
    """A Go program that runs already: goroutines wait anywhere in their functions."""
    with tempfile.TemporaryDirectory() as folder:
        cmd = [build_churn(folder), '60']
        want = subprocess.run(cmd, capture_output=True, text=True, check=True).stdout
        armed_cnt = 0
        for i in range(2 * SCALE):
            proc = subprocess.Popen(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            time.sleep(0.1 + i % 7 / 10)
            how = ['-x', 'backend=auto'] if i % 2 else []
            r = lib.dyntrace('-q', *how, '-n', ALL.replace(':::', ':a.out::') + 'tick-300ms { exit(0); }', '-p', str(proc.pid), check=False)
            out, err = proc.communicate(timeout=300 * lib.SLOW)
            assert proc.returncode == 0 and out == want, (proc.returncode, out, err[-1500:])
            if 'has ended' in r.stderr: # before all was armed
                continue
            assert r.returncode == 0, r.stderr[-1000:]
            left = re.search(r'(\d+) of (\d+) places', r.stderr)
            assert not left or int(left[1]) <= int(left[2]) / 20, left[0]
            armed_cnt += 1
        assert armed_cnt, 'it always ended before all was armed'


def restartable():
    """Restartable sequences stay whole: with probes at every instruction that takes one, no count is lost."""
    with tempfile.TemporaryDirectory() as build:
        exe = f'{build}/rseq'
        subprocess.run(['gcc', '-O1', '-o', exe, f'{HERE}/rseq.c', '-pthread'], check=True)
        env = lib.clean_env(GLIBC_TUNABLES='glibc.pthread.rseq=0')
        if subprocess.run([exe, '1000'], env=env, capture_output=True, check=False).returncode == 77:
            raise lib.Skip('the kernel has no restartable sequences')
        for probes in ('pid$target:a.out:add: { @[probename] = count(); }', ALL):
            r = lib.dyntrace('-q', '-n', probes, '-c', f'{exe} {100000 * SCALE}', env=env, timeout=600)
            assert f'{400000 * SCALE}\n' in r.stdout, r.stdout[-500:]


def postgres_user():
    lib.need('postgres')
    if os.getuid():
        return None
    try:
        user = pwd.getpwnam('postgres').pw_uid
    except KeyError:
        raise lib.Skip('there is no user for postgres, which does not run as root') from None
    r = subprocess.run([os.path.abspath(lib.DYNTRACE), '-V'], user=user, extra_groups=[], capture_output=True, check=False)
    if r.returncode:
        raise lib.Skip('the user of postgres cannot reach the build folder')
    return user


def initdb(work, user):
    tool = os.path.join(os.path.dirname(os.path.realpath(shutil.which('postgres'))), 'initdb')
    subprocess.run([tool, '-D', f'{work}/db', '-N', '-A', 'trust', '-U', 'postgres', '--no-locale', '-E', 'UTF8'], user=user,
                   extra_groups=[] if user else None, check=True, stdout=subprocess.DEVNULL, cwd='/')


def postgres_single():
    user = postgres_user()
    sql = ['create table t(a int primary key, b text, c float8)',
           f"insert into t select i, md5(i::text), sqrt(i) from generate_series(1, {3000 * SCALE}) i",
           'select substr(b, 1, 2) k, count(*), round(sum(c)::numeric, 3) from t group by 1 order by 1',
           "create function f(n int) returns int language plpgsql as $$ begin if n < 2 then return 1; end if; "
           "begin perform 1/(n%3); exception when division_by_zero then null; end; return f(n-1)+n; end $$",
           'select f(60)', 'create index on t(b)', 'explain (costs off) select * from t where b = md5(\'7\')',
           'select regexp_replace(b, \'[0-9]+\', \'#\', \'g\') from t where a % 211 = 0 order by a',
           "select jsonb_agg(jsonb_build_object('a', a, 'b', b)) from t where a < 30", 'vacuum analyze t', 'select 1/0']
    def prepare(work):
        with open(f'{work}/in.sql', 'w', encoding='ascii') as f:
            f.write('\n'.join(sql) + '\n')
        os.chmod(work, 0o755)
        if user:
            os.chown(work, user, -1)
        initdb(work, user)
    states = []
    for traced in (False, True):
        with tempfile.TemporaryDirectory() as work:
            prepare(work)
            argv = ['postgres', '--single', '-D', f'{work}/db', '-c', 'fsync=off', 'postgres']
            if traced:
                argv = [os.path.abspath(lib.DYNTRACE), '-o', f'{work}/trace', '-n', ALL, '-c', shlex.join(argv)]
            with open(f'{work}/in.sql', encoding='ascii') as script:
                r = subprocess.run(argv, cwd=work, stdin=script, capture_output=True, text=True, user=user, timeout=900 * lib.SLOW, check=False,
                                   extra_groups=[] if user else None, env=lib.clean_env(PATH='/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'))
            assert r.returncode == 0, r.stderr[-1500:]
            if traced:
                with open(f'{work}/trace', encoding='utf-8') as f:
                    assert hits(f.read()).get('return', 0) > 1000
            states.append((r.stdout, re.findall(r'(?:ERROR|FATAL|PANIC).*', r.stderr)))
    assert states[0] == states[1], f'{str(states[0])[:800]}\n{str(states[1])[:800]}'


# ---- servers, armed while they serve ----

@contextlib.contextmanager
def armed(pid):
    """Everything of @pid is armed inside, and clean behind."""
    with lib.Tracing('-q', '-n', 'BEGIN { printf("begun\\n"); } ' + ALL, '-p', pid) as t:
        t.wait_begun()
        yield
        status, out, err = t.stop()
        assert status == 0, (status, err[-1500:])
        assert hits(out).get('entry', 0) > 100, (out[-300:], err[-800:])
    assert lib.alive(pid), 'the server is gone'
    lib.assert_untouched(pid)
    assert lib.dyntrace('verify', str(pid), check=False).returncode == 0


def redis():
    lib.need('redis-server', 'redis-benchmark', 'redis-cli')
    rnd = random.Random(3)
    script = ''.join(rnd.choice([f'set k{i % 50} {rnd.random()}', f'lpush l{i % 7} {i}', f'zadd z {rnd.random()} m{i % 99}',
                                 f'hset h{i % 9} f{i % 31} {i}', f'sadd s{i % 5} {rnd.randrange(100)}', f'incr c{i % 3}',
                                 f'eval "return redis.call(\'append\', KEYS[1], ARGV[1])" 1 a{i % 4} {i}', 'lrange l1 0 5',
                                 'zrangebyscore z 0.2 0.4', 'hgetall h3']) + '\n'
                     for i in range(2000 * SCALE)) + 'debug digest\n'
    answers = []
    for traced in (False, True):
        port = free_port()
        with tempfile.TemporaryDirectory() as work, \
                server(['redis-server', '--port', str(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no',
                        '--enable-debug-command', 'yes'], lambda p=port: port_open(p), work) as srv:
            with armed(srv.pid) if traced else contextlib.nullcontext():
                r = subprocess.run(['redis-cli', '-p', str(port)], input=script, capture_output=True, text=True, check=True,
                                   timeout=300 * lib.SLOW)
                answers.append(r.stdout)
                b = subprocess.run(['redis-benchmark', '-p', str(port), '-n', str(5000 * SCALE), '-q', '-c', '20', '-P', '4', '-t',
                                    'set,get,lpush,lpop,sadd,hset,zadd,mset'], capture_output=True, text=True, timeout=600 * lib.SLOW,
                                   check=False)
                assert b.returncode == 0 and len(re.findall('requests per second', b.stdout)) >= 8, b.stdout[-500:]
    assert answers[0].splitlines()[-1] == answers[1].splitlines()[-1], 'the digests differ'
    unordered = [[x for x in a.splitlines() if x] for a in answers]
    assert sorted(unordered[0]) == sorted(unordered[1]), 'the answers differ'


def nginx():
    lib.need('nginx', 'wrk')
    port = free_port()
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o755)
        files = {f'f{i}': os.urandom(1 << (2 * i + 4)) for i in range(8)}
        for name, data in files.items():
            with open(f'{work}/{name}', 'wb') as f:
                f.write(data)
        with open(f'{work}/nginx.conf', 'w', encoding='ascii') as f:
            f.write(f'daemon off; worker_processes 1; pid {work}/pid; error_log {work}/err;\n'
                    'events { worker_connections 128; }\n'
                    f'http {{ access_log {work}/log; gzip on; gzip_types *; gzip_min_length 10;\n'
                    f'server {{ listen 127.0.0.1:{port}; root {work}; rewrite ^/r/(.*)$ /$1; }} }}\n')
        with server(['nginx', '-p', work, '-c', f'{work}/nginx.conf'], lambda: port_open(port), work, stop=signal.SIGQUIT) as srv:
            worker = int(subprocess.run(['ps', '--ppid', str(srv.pid), '-o', 'pid='], capture_output=True, text=True,
                                        check=True).stdout.split()[0])
            with armed(worker):
                w = subprocess.run(['wrk', '-t1', '-c16', f'-d{2 * SCALE}', f'http://127.0.0.1:{port}/f3'], capture_output=True,
                                   text=True, timeout=600 * lib.SLOW, check=True)
                assert 'Socket errors' not in w.stdout and 'Non-2xx' not in w.stdout, w.stdout
                for name, data in files.items():
                    for head in ([], ['--compressed']):
                        got = subprocess.run(['curl', '-sS', *head, f'http://127.0.0.1:{port}/r/{name}'], capture_output=True,
                                             check=True, timeout=60 * lib.SLOW).stdout if shutil.which('curl') else fetch(port, name)
                        assert got == data, f'{name} came as {len(got)} bytes of {len(data)}'


def fetch(port, name):
    import urllib.request
    with urllib.request.urlopen(f'http://127.0.0.1:{port}/r/{name}', timeout=60 * lib.SLOW) as f:
        return f.read()


def postgres():
    """The server's parent forks armed backends while pgbench connects anew for each transaction; then two backends."""
    lib.need('postgres', 'pgbench', 'psql')
    user = postgres_user()
    port = free_port()
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o755)
        if user:
            os.chown(work, user, -1)
        initdb(work, user)
        base = ['-h', work, '-p', str(port), '-U', 'postgres']

        def psql(sql):
            return subprocess.run(['psql', *base, '-At', '-c', sql, 'postgres'], capture_output=True, text=True, check=True,
                                  timeout=120 * lib.SLOW).stdout.strip()

        def pgbench(*args):
            r = subprocess.run(['pgbench', *base, *args, 'postgres'], capture_output=True, text=True, timeout=600 * lib.SLOW, check=False)
            assert r.returncode == 0 and 'aborted' not in r.stderr, r.stderr[-1000:]

        def answers():
            try:
                return psql('select 1') == '1'
            except subprocess.SubprocessError:
                return False
        with server(['postgres', '-D', f'{work}/db', '-k', work, '-p', str(port), '-c', 'listen_addresses=', '-c', 'fsync=off'],
                    answers, work, user, signal.SIGINT) as srv:
            pgbench('-i', '-s', '1', '-q')
            with armed(srv.pid):
                pgbench('-C', '-c', '4', '-t', str(15 * SCALE))
            load = subprocess.Popen(['pgbench', *base, '-c', '2', '-T', '600', 'postgres'], stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
            try:
                pid = int(lib.wait_for(lambda: psql("select pid from pg_stat_activity where application_name='pgbench' and "
                                              "backend_start < now() - interval '1 second' limit 1"), 'a backend'))
                for _ in range(SCALE):
                    with armed(pid):
                        time.sleep(1)
                assert load.poll() is None, 'pgbench ended: its connection broke'
            finally:
                load.kill()
                load.wait()
            sums = psql('select (select sum(abalance) from pgbench_accounts) = (select sum(bbalance) from pgbench_branches) and '
                        '(select sum(tbalance) from pgbench_tellers) = (select sum(bbalance) from pgbench_branches)')
            assert sums == 't', 'the balances differ'
            assert psql('select count(*) > 10 from pgbench_history') == 't'


TESTS = {'sqlite3': sqlite, 'gcc (cc1)': cc1, "python3: its own library's tests": python_tests, 'C++: exceptions and the like': exceptions,
         'restartable sequences': restartable,
         'Rust: ripgrep': rust, 'Go: gron': go, 'Go: fzf': go_fzf, 'Go without libc': go_without_libc, 'Go, attached': go_attached,
         'postgres alone': postgres_single, 'redis-server': redis, 'nginx': nginx,
         'postgres under pgbench': postgres}


def main():
    tap = lib.Tap()
    for name, fn in TESTS.items():
        tap.run(name, fn)
    tap.done()


if __name__ == '__main__':
    main()
