# SPDX-License-Identifier: MIT
"""Whole programs: redis-server under load, and programs with all their functions counted."""
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

import drive
import peers
from hits import Row

REDIS = '/usr/bin/redis-server'


def free_port():
    return peers.free_port()


class Redis:
    def __init__(self, b, wrap=()):
        self.port = free_port()
        self.work = tempfile.mkdtemp(dir=b.work)
        self.requests = 4000 if b.quick else 50000
        argv = [*wrap, REDIS, '--port', str(self.port), '--save', '', '--appendonly', 'no', '--dir', self.work]
        self.proc = subprocess.Popen(['taskset', '-c', '0', *argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL, start_new_session=True)
        for _ in range(400):
            try:
                socket.create_connection(('127.0.0.1', self.port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        self.pid = next((p for p in drive.family(self.proc.pid) if 'redis' in drive.comm(p)), self.proc.pid)

    def load(self, requests=0):
        """ns of the server's processor time per request."""
        requests = requests or self.requests
        before = drive.cpu_seconds(self.pid)
        r = subprocess.run(['taskset', '-c', '1', 'redis-benchmark', '-p', str(self.port), '-q', '-t', 'set,get', '-n', str(requests),
                            '-r', '10000', '-c', '20'], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=300, check=False)
        used = drive.cpu_seconds(self.pid) - before
        if r.returncode or used <= 0:
            raise RuntimeError('redis-benchmark: ' + (r.stderr.decode(errors='replace').strip()[-200:] or 'the server is gone'))
        return used * 1e9 / (2 * requests)

    def end(self):
        subprocess.run(['redis-cli', '-p', str(self.port), 'shutdown', 'nosave'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       check=False, timeout=60)
        try:
            self.proc.wait(60)
        except subprocess.TimeoutExpired:
            for p in drive.family(self.proc.pid):
                drive.quiet_kill(p, 9)
            self.proc.wait()
        shutil.rmtree(self.work, ignore_errors=True)


REDIS_TURNS = 10


def redis_traced(r, argv, settle, requests):
    """ns of a request while it is traced."""
    p = drive.Tracer([a.replace('PID', str(r.pid)) for a in argv])
    try:
        time.sleep(settle)
        r.load(requests // 5)
        alive = p.runs()
        traced = r.load(requests)
    finally:
        said = p.end(120)
    if not alive:
        raise RuntimeError(f'{argv[0]} ended: {said.strip()[-200:]}')
    return traced


def redis_untraced(r, requests):
    r.load(requests // 5)
    return r.load(requests)


def redis_more(b, argv, settle, slow=1, turns=REDIS_TURNS):
    """How many % more processor time a request takes than untraced before and behind: the median of @turns.  @slow: so many times fewer requests
    are enough."""
    def measure():
        r, found = Redis(b), []
        cnt = 1 if b.quick else turns
        part = r.requests // 4
        try:
            before = redis_untraced(r, part)
            for _ in range(cnt):
                traced = redis_traced(r, argv, settle, part // slow)
                after = redis_untraced(r, part)
                found.append((2 * traced / (before + after) - 1) * 100)
                before = after
            return statistics.median(found)
        finally:
            r.end()
    return measure


# Programs with all their named functions: what is run, where the functions are, and how uftrace names that.
SQL = """create table t(a integer primary key, b text, c real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)
insert into t select i, 'row ' || (i * 7919 % 10007), i * 0.5 from n;
create index t_b on t(b);
select b, count(*), sum(c) from t group by b order by 2 desc, 1 limit 10;
select count(*) from t where b like '%99%';
"""
PYTHON = """import json
words = [str(i * 7919 % 10007) for i in range(60000)]
count = {}
for w in words:
    count[w] = count.get(w, 0) + 1
rows = json.loads(json.dumps([{"w": w, "n": n} for w, n in sorted(count.items())]))
print(sum(r["n"] for r in rows), "".join(sorted(words))[:10])
"""


def c_program():
    """A source that a compiler has something to do with."""
    body = '\tfor (int i = 0; i < n; i++) { a[i % 64] += a[(i * %d + 3) %% 64] * n; if (a[i %% 64] & %d) n -= a[i %% 7] / (i + 1); }\n'
    return ''.join(f'int f{k}(int n, int *a)\n{{\n' + body.replace('i % 64]', 'i %% 64]') % (k, k % 31 + 1) + '\treturn a[0] + n;\n}\n'
                   for k in range(100))


def cc1():
    r = subprocess.run(['gcc', '-print-prog-name=cc1'], capture_output=True, text=True, check=False)
    return r.stdout.strip()


def programs(work):
    def keep(name, text):
        path = os.path.join(work, name)
        with open(path, 'w', encoding='ascii') as f:
            f.write(text)
        return path
    yield 'sqlite3', ['/usr/bin/sqlite3', ':memory:', '.read ' + keep('load.sql', SQL)], 'libsqlite3.so.0', '.@libsqlite3.so.0'
    yield 'python3', ['/usr/bin/python3.11', '-S', keep('load.py', PYTHON)], 'a.out', '.'
    yield 'gcc', [cc1(), '-quiet', '-O1', '-o', '/dev/null', keep('load.c', c_program())], 'a.out', '.'


def both(mod):
    return f'pid$target:{mod}::entry {{ @e = count(); }} pid$target:{mod}::return {{ @r = count(); }}'


def traced_pid(pid, name):
    """The process running @name, started by @pid; 0: not yet."""
    return next((c for c in drive.family(pid) if drive.comm(c) == name), 0)


def seconds_of(argv, program, cwd):
    """Seconds of the processor that the process running @program took, under @argv; None: it did not end well.  What it takes in its last
    millisecond is not seen."""
    p = subprocess.Popen(['taskset', '-c', '0', *argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, cwd=cwd, start_new_session=True)
    name, used, pid, deadline = os.path.basename(program)[:15], 0.0, 0, time.monotonic() + 300
    while p.poll() is None and time.monotonic() < deadline:
        pid = pid or traced_pid(p.pid, name)
        used = max(used, drive.cpu_seconds(pid) if pid else 0)
        time.sleep(0.001)
    if p.poll() is None:
        for c in drive.family(p.pid):
            drive.quiet_kill(c, 9)
    return used if p.wait() == 0 and used else None


def scratch(b):
    return tempfile.TemporaryDirectory(dir='/dev/shm' if os.path.isdir('/dev/shm') else b.work, prefix='bench')


def run_of(b, program, wrap):
    """Seconds of the program's run, under @wrap where that is not empty."""
    with scratch(b) as data:
        argv = [a.replace('DATA', data) for a in wrap]
        used = seconds_of(argv + [quoted(program)] if wrap and wrap[-1] == '-c' else argv + program, program[0], data)
    if not used:
        raise RuntimeError(f'{program[0]} did not end well' + (f' under {wrap[0]}' if wrap else ''))
    return used


def tried(b, program, side):
    """Seconds, or why there are none."""
    who, wrap = side
    try:
        return run_of(b, program, wrap) if b.has(who) else RuntimeError('not installed')
    except RuntimeError as e:
        return e


TURNS, TURN_SECONDS = 15, 35 # at most


def turns_of(b, program, sides):
    """Of each turn: seconds untraced, as a mean of before and behind, and those (or why there are none) of each side between them."""
    turns, begin, before = [], time.monotonic(), run_of(b, program, [])
    while not turns or (not b.quick and len(turns) < TURNS and time.monotonic() - begin < TURN_SECONDS):
        used = [tried(b, program, side) for side in sides]
        after = run_of(b, program, [])
        turns.append(((before + after) / 2, used))
        before = after
    return turns


def more_time(b, key, program, sides):
    """How many % more processor time the program takes on each side, (who, how it is wrapped); and how many times what it takes more on the first
    it takes more on the others, by turns."""
    def measure():
        turns, got = turns_of(b, program, sides), {}
        for i, (who, _wrap) in enumerate(sides):
            bad = [used[i] for _plain, used in turns if isinstance(used[i], Exception)]
            got[key, who] = bad[0] if bad else statistics.median((used[i] / plain - 1) * 100 for plain, used in turns)
            if i and not bad and not isinstance(got[key, sides[0][0]], Exception):
                ratios = ((used[i] - plain) / max(used[0] - plain, plain / 1000) for plain, used in turns)
                got[key, 'times, ' + who] = statistics.median(ratios)
        return got
    return measure


def quoted(argv):
    return ' '.join(f'"{a}"' if ' ' in a else a for a in argv)


def redis_wrapped(b, wrap, slow=1, turns=REDIS_TURNS):
    """The same for redis-server, which has to be started by the tracer: in turn with one that is not."""
    def measure():
        cnt = 1 if b.quick else turns
        with scratch(b) as data:
            r, plain = Redis(b, [a.replace('DATA', data) for a in wrap]), Redis(b)
            try:
                if 'redis' not in drive.comm(r.pid):
                    raise RuntimeError(f'redis-server did not start under {wrap[0]}')
                part = r.requests // 4
                for s in r, plain:
                    s.load(part // 5 // slow)
                return statistics.median((r.load(part // slow) / plain.load(part) - 1) * 100 for _ in range(cnt))
            finally:
                plain.end()
                r.end()
    return measure


def rows(b):
    more = '% more'
    if os.path.exists(REDIS) and shutil.which('redis-benchmark'):
        redis = os.path.realpath(REDIS)
        yield Row('redis', 'redis-server under redis-benchmark, every `dict*` function counted: processor time a request', [
            ('dyntrace', redis_more(b, [b.dyn, '-q', '-n', 'pid$target:a.out:dict*:entry { @ = count(); }', '-p', 'PID', '-o', '/dev/null'], 0.3)),
            ('bpftrace', redis_more(b, peers.TRACEFS + ['bpftrace', '-o', '/dev/null', '-e', f'uprobe:{redis}:dict* {{ @ = count(); }}', '-p', 'PID'],
                                    8, slow=5, turns=2)),
        ], most=5, unit=more)
        yield Row('redis-all', 'redis-server, entry and return of every named function counted: processor time a request', [
            ('dyntrace', redis_more(b, [b.dyn, '-q', '-n', both('a.out'), '-p', 'PID', '-o', '/dev/null'], 1)),
            ('uftrace -P', redis_wrapped(b, ['uftrace', 'record', '--no-libcall', '-P', '.', '-d', 'DATA/uft'], slow=2)),
        ], {'uftrace -P': 5}, unit=more)
    for name, argv, mod, pattern in programs(b.work):
        if os.path.exists(argv[0]):
            sides = [('dyntrace', [b.dyn, '-q', '-o', '/dev/null', '-n', both(mod), '-c']),
                     ('uftrace -P', ['uftrace', 'record', '--no-libcall', '-P', pattern, '-d', 'DATA/uft'])]
            yield Row(name, f'{name}, entry and return of every named function counted: processor time',
                      [('dyntrace', more_time(b, name, argv, sides)), ('uftrace -P', None)], {'uftrace -P': 5}, unit=more)
