#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Programs that others wrote, with every function of the program and its libraries armed at entry and
return while they work: output and status as without tracing, text restored, nothing left behind."""
import os
import re
import shlex
import subprocess
import tempfile
import time

import lib
from servers import free_port, port_open, server

ALL = 'pid$target:::entry,pid$target:::return { @[probename] = count(); }'
CYCLES = int(os.environ.get('DYNTRACE_CYCLES', max(50 // lib.SLOW, 5)))


def counts(out):
    """{probename: count} of an aggregation as it is printed."""
    return {m.group(1): int(m.group(2)) for m in re.finditer(r'^\s+(entry|return)\s+(\d+)$', out, re.M)}


def compare_command(argv, make_input=None, results=()):
    """Runs @argv untraced and under -c with everything armed; compares status, output, result files."""
    lib.need(argv[0])
    runs = []
    for traced in (False, True):
        with tempfile.TemporaryDirectory() as work:
            if make_input:
                make_input(work)
            command = argv
            if traced:
                command = [os.path.abspath(lib.DYNTRACE), '-o', f'{work}/trace', '-n', ALL, '-c', shlex.join(argv)]
            r = subprocess.run(command, env=lib.clean_env(), cwd=work, capture_output=True, timeout=600 * lib.SLOW, check=False)
            state = [r.stdout]
            for name in results:
                with open(os.path.join(work, name), 'rb') as f:
                    state.append(f.read())
            runs.append(state)
            assert r.returncode == 0, r.stderr[-3000:]
            if traced:
                with open(f'{work}/trace', encoding='utf-8') as f:
                    hits = counts(f.read())
                assert hits.get('entry', 0) > 1000 and hits.get('return', 0) > 1000, hits
                assert b'terminated' not in r.stderr, r.stderr[-1000:]
    for untraced, traced in zip(*runs):
        assert untraced == traced, f'differs: {untraced[:300]!r} / {traced[:300]!r}'


def cycles_under_load(pid, load_alive, cycles=CYCLES):
    """Attach, trace everything for a moment, detach: again and again while the load runs."""
    hits = 0
    for i in range(cycles):
        r = lib.dyntrace('-n', ALL + f' tick-{100 + 10 * (i % 7)}ms {{ exit(0); }}', '-p', str(pid), check=False)
        assert lib.alive(pid), f'target died in cycle {i}: {r.stderr[-2000:]}'
        assert r.returncode == 0, f'cycle {i}: status {r.returncode}: {r.stderr[-2000:]}'
        hits += sum(counts(r.stdout).values())
        lib.assert_untouched(pid)
        assert load_alive(), f'the load ended in cycle {i}'
    assert hits > 0, 'no probe fired'


def redis():
    lib.need('redis-server', 'redis-benchmark')
    port = free_port()
    with tempfile.TemporaryDirectory() as work, \
            server(['redis-server', '--port', str(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
                   lambda: port_open(port), work) as srv:
        load = subprocess.Popen(['redis-benchmark', '-p', str(port), '-n', '100000', '-l', '-q', '-c', '10', '-t',
                                 'set,get,lpush,lpop,sadd,hset,zadd,mset'], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        try:
            cycles_under_load(srv.pid, lambda: load.poll() is None)
        finally:
            load.kill()
            load.wait()
        r = subprocess.run(['redis-cli', '-p', str(port), 'eval', 'return redis.sha1hex("x")', '0'],
                           capture_output=True, text=True, check=True, timeout=20 * lib.SLOW)
        assert '11f6ad8ec52a2984abaafd7c3b516503785c2072' in r.stdout, r.stdout


def nginx():
    lib.need('nginx', 'wrk')
    port = free_port()
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o755)
        with open(f'{work}/index.html', 'w', encoding='ascii') as f:
            f.write('hello ' * 500)
        with open(f'{work}/nginx.conf', 'w', encoding='ascii') as f:
            f.write(f'daemon off; worker_processes 1; pid {work}/pid; error_log {work}/err;\n'
                    'events { worker_connections 128; }\n'
                    f'http {{ access_log off; server {{ listen 127.0.0.1:{port}; root {work}; }} }}\n')
        with server(['nginx', '-p', work, '-c', f'{work}/nginx.conf'], lambda: port_open(port), work) as srv:
            worker = int(subprocess.run(['ps', '--ppid', str(srv.pid), '-o', 'pid='], capture_output=True, text=True,
                                        check=True).stdout.split()[0])
            load = subprocess.Popen(['wrk', '-t1', '-c8', '-d600', f'http://127.0.0.1:{port}/index.html'],
                                    stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
            try:
                cycles_under_load(worker, lambda: load.poll() is None)
            finally:
                load.kill()
                load.wait()


def python():
    lib.need('/usr/bin/python3')
    program = ('import hashlib,json,re,sys,time\n'
               'n=0\n'
               'while True:\n'
               ' d={str(i):[i*i,{"k":i}] for i in range(200)}\n'
               ' s=json.dumps(d,sort_keys=True)\n'
               ' assert json.loads(s)==d\n'
               ' assert hashlib.sha256(s.encode()).hexdigest()=="%s",n\n'
               ' assert len(re.findall("[0-9]+",s))==600\n'
               ' n+=1\n')
    import hashlib
    import json
    d = {str(i): [i * i, {'k': i}] for i in range(200)}
    program %= hashlib.sha256(json.dumps(d, sort_keys=True).encode()).hexdigest()
    proc = subprocess.Popen(['/usr/bin/python3', '-c', program], env=lib.clean_env(), stdin=subprocess.DEVNULL,
                            stderr=subprocess.PIPE)
    try:
        time.sleep(0.5)
        cycles_under_load(proc.pid, lambda: proc.poll() is None)
        time.sleep(0.3)
        assert proc.poll() is None, proc.stderr.read()
    finally:
        proc.kill()
        proc.communicate()


def sqlite():
    def make(work):
        with open(f'{work}/s.sql', 'w', encoding='ascii') as f:
            f.write('create table t(a integer primary key, b text, c real);\n')
            for i in range(1000):
                f.write(f"insert into t values({i},'v{i * 7919 % 1009}',{i}/7.0);\n")
            f.write('create index tb on t(b);\nselect b,count(*),sum(c),group_concat(a) from t group by b order by b;\n'
                    'select upper(b), round(c,2) from t where a%13=0 order by c desc;\n')
    compare_command(['/usr/bin/sqlite3', '-init', 's.sql', ':memory:', '.exit'], make)


def gcc():
    def make(work):
        with open(f'{work}/a.c', 'w', encoding='ascii') as f:
            f.write('#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n')
            for i in range(60):
                f.write(f'int f{i}(int a, char *s) {{ int r = {i}; for (int i = 0; i < a; i++) r += s[i] * i % {i + 3};'
                        f' switch (r & 7) {{ case 0: return r; case 3: r *= 3; break; case 5: puts(s); }} return r; }}\n')
        subprocess.run(['gcc', '-E', 'a.c', '-o', 'a.i'], cwd=work, check=True)
    cc1 = subprocess.run(['gcc', '-print-prog-name=cc1'], capture_output=True, text=True, check=True).stdout.strip()
    compare_command([cc1, '-quiet', '-O2', '-fpreprocessed', 'a.i', '-o', 'a.s'], make, results=('a.s',))


def bash():
    compare_command(['/bin/bash', '-c',
                     'for i in $(seq 200); do x=$((i*i%97)); a[$x]=$i; done; echo ${a[*]}; echo $(ls /etc|wc -l)'])


def main():
    tap = lib.Tap()
    for name, fn in (('sqlite3 under -c', sqlite), ('gcc (cc1) under -c', gcc), ('bash with children under -c', bash),
                     ('python3, cycles under load', python), ('redis-server, cycles under redis-benchmark', redis),
                     ('nginx worker, cycles under wrk', nginx)):
        tap.run(name, fn)
    tap.done()


if __name__ == '__main__':
    main()
