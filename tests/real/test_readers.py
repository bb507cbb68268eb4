#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What `dyntrace dump` exports, in the programs that people open it with: flamegraph.pl, speedscope (npm), jq, babeltrace2.

speedscope is looked for where NODE_PATH says, and else installed once into the build folder.
"""
import collections
import json
import os
import re
import shutil
import subprocess
import tempfile

import lib

READERS = os.path.join(os.path.abspath(lib.BUILD), 'readers')
SPEEDSCOPE = ['speedscope@1.25.0', 'jsdom@29.1.1']
CODE = r'''
#include <csetjmp>
#include <cstdio>
#include <stdexcept>
#include <sys/prctl.h>
#include <thread>
#include <unistd.h>
#define NOINLINE __attribute__((noinline, noclone))
namespace shop {
template <char C> struct Box { NOINLINE static int open(int n) { __asm__ volatile(""); return n + C; } };
NOINLINE unsigned long long operator""_kg(unsigned long long n) { __asm__ volatile(""); return n * 1000; }
NOINLINE int leaf(int n, const char *what) { __asm__ volatile(""); return n + what[0]; }
NOINLINE int deep(int n) { __asm__ volatile(""); return n ? deep(n - 1) + 1 : leaf(n, "end \"of\" it;\n"); }
NOINLINE int thrower(int n) { if (n & 1) throw std::runtime_error("odd"); __asm__ volatile(""); return leaf(n, "x"); }
NOINLINE int catcher(int n) { try { return thrower(n); } catch (const std::exception &) { return -1; } }
static jmp_buf out;
NOINLINE void jumper() { longjmp(out, 1); }
NOINLINE int landing() { if (!setjmp(out)) jumper(); __asm__ volatile(""); return 3; }
NOINLINE int round(int i) { int r = Box<';'>::open(i) + Box<'"'>::open(i) + (int)5_kg + deep(3) + catcher(i); __asm__ volatile(""); return r; }
}
static void work(int rounds)
{
	for (int i = 0; i < rounds; i++)
		shop::round(i);
}
int main(int argc, char **argv)
{
	prctl(PR_SET_NAME, "odd;\"b\xc3\xa4r");
	puts("ready");
	fflush(stdout);
	getchar();
	std::thread a(work, 20), b(work, 10);
	a.join();
	b.join();
	shop::landing();
	puts("done");
	fflush(stdout);
	getchar();
	return argc + !argv;
}
'''


class Recorded:
    """Two processes of that program, in one trace."""

    def __init__(self):
        lib.need('c++', 'babeltrace2')
        self.dir = tempfile.mkdtemp(prefix='dyntrace-readers-')
        self.procs = []
        try:
            self.record()
        except BaseException:
            self.__exit__()
            raise

    def record(self):
        exe, self.trace = f'{self.dir}/shop', f'{self.dir}/trace'
        subprocess.run(['c++', '-g', '-O1', '-pthread', '-x', 'c++', '-', '-o', exe], input=CODE, text=True, check=True)
        self.procs = [subprocess.Popen([exe], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
        assert all(p.stdout.readline() == b'ready\n' for p in self.procs)
        pids = ','.join(str(p.pid) for p in self.procs)
        with lib.Tracing('record', '-p', pids, '-g', '-o', self.trace, 'shop::*') as t:
            lib.wait_for(lambda: os.path.exists(f'{self.trace}/dyntrace/ready'), 'recording')
            for p in self.procs:
                p.stdin.write(b'\n')
                p.stdin.flush()
                assert p.stdout.readline() == b'done\n'
            status, out, err = t.stop()
            assert status == 0, out + err

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for p in self.procs:
            p.kill()
            p.communicate()
        shutil.rmtree(self.dir, ignore_errors=True)

    def dump(self, *args):
        r = lib.dyntrace('dump', *args, self.trace)
        assert not r.stderr, r.stderr
        return r.stdout

    def write(self, name, *args):
        path = f'{self.dir}/{name}'
        with open(path, 'w', encoding='utf-8', errors='surrogateescape') as f:
            f.write(self.dump(*args))
        return path

    def events(self):
        return [json.loads(s) for s in self.dump('--json').splitlines()]


def flamegraph_pl():
    found = shutil.which('flamegraph.pl') or '/usr/share/perl5/Devel/NYTProf/flamegraph.pl'
    if not os.path.exists(found) or not shutil.which('perl'):
        raise lib.Skip('flamegraph.pl is not installed (libdevel-nytprof-perl)')
    return found


def speedscope(path):
    lib.need('node', 'npm')
    env = dict(os.environ)
    try_it = ['node', '-e', 'require.resolve("speedscope/package.json"); require("jsdom")']
    if subprocess.run(try_it, env=env, capture_output=True, check=False).returncode:
        env['NODE_PATH'] = f'{READERS}/node_modules'
        if subprocess.run(try_it, env=env, capture_output=True, check=False).returncode:
            os.makedirs(READERS, exist_ok=True)
            try:
                r = subprocess.run(['npm', 'install', '--prefix', READERS, '--no-audit', '--no-fund', *SPEEDSCOPE], capture_output=True, text=True,
                                   timeout=180, check=False)
            except subprocess.TimeoutExpired:
                raise lib.Skip('npm does not answer') from None
            if r.returncode or subprocess.run(try_it, env=env, capture_output=True, check=False).returncode:
                raise lib.Skip('speedscope cannot be installed: ' + r.stderr.strip()[-200:])
    here = os.path.dirname(os.path.abspath(__file__))
    r = subprocess.run(['node', f'{here}/speedscope.js', path], env=env, capture_output=True, text=True, timeout=120, check=False)
    assert r.returncode == 0, r.stdout[-500:] + r.stderr[-1500:]
    return json.loads(r.stdout)


def entries(rec):
    return [e for e in rec.events() if e['name'] == 'entry']


def folded_in_flamegraph_pl():
    with Recorded() as rec:
        perl, path = flamegraph_pl(), rec.write('folded', '--folded')
        r = subprocess.run(['perl', perl, path], capture_output=True, text=True, check=False)
        assert r.returncode == 0 and not r.stderr, r.stderr
        assert re.search(r'<title>all \(%d samples, 100' % len(entries(rec)), r.stdout), re.findall(r'<title>all.*', r.stdout)
        for name, cnt in (('main', 4), ('shop::deep(int)', None), ('shop::landing()', 4), ('shop::jumper()', 2)):
            found = re.findall(r'<title>%s \((\d+) samples' % re.escape(name), r.stdout)
            assert found and (cnt is None or sum(map(int, found)) == cnt), (name, found)


def folded_in_speedscope():
    with Recorded() as rec:
        p, = speedscope(rec.write('trace.folded', '--folded'))
        own = collections.Counter(e['stack'][0]['function'] for e in entries(rec))
        assert p['total'] == sum(own.values()), (p['total'], own)
        for name, cnt in own.items():
            assert p['frames'][name][1] == cnt, (name, cnt, p['frames'].keys())
        assert p['frames']['main'][0] == 4, p['frames']['main']


def chrome_in_speedscope():
    with Recorded() as rec:
        path = rec.write('trace.json', '--chrome')
        profiles = speedscope(path)
        threads = {(e['pid'], e['tid']) for e in rec.events()}
        assert len(profiles) == len(threads) == 6, [p['name'] for p in profiles]
        assert all(p['unit'] == 'microseconds' and p['total'] > 0 for p in profiles), profiles
        # It puts arguments behind names.
        rounds = [sum(f.startswith('shop::round(int) ') for f in p['frames']) for p in profiles]
        assert sorted(rounds) == [0, 0, 10, 10, 20, 20], rounds
        with open(path, encoding='utf-8') as f:
            spans = [e for e in json.load(f)['traceEvents'] if e['ph'] == 'X']
        count = collections.Counter(e['name'] for e in spans)
        returns = collections.Counter(e['stack'][0]['function'] for e in rec.events() if e['name'] == 'return')
        assert count == returns, (count, returns)


def lines_in_jq():
    lib.need('jq')
    with Recorded() as rec:
        path = rec.write('lines', '--json')
        r = subprocess.run(['jq', '-s', 'length, (map(.stack[0].function) | unique), (map(.procname) | unique), (map(select(.args.what)) | first | .args.what)',
                            '-c', path], capture_output=True, text=True, check=False)
        assert r.returncode == 0 and not r.stderr, r.stderr
        length, functions, names, what = (json.loads(s) for s in r.stdout.splitlines())
        babel = subprocess.run(['babeltrace2', rec.trace], capture_output=True, check=False)
        assert babel.returncode == 0 and not babel.stderr, babel.stderr
        assert length == len(babel.stdout.splitlines()), length
        assert any('operator""' in f for f in functions) and 'shop::Box<(char)59>::open(int)' in functions, functions
        assert names == ['odd;"bär'], names
        assert what in ('end "of" it;\n', 'x'), what


def all_processes_are_there():
    with Recorded() as rec:
        by = collections.Counter((e['pid'], e['function']) for e in entries(rec))
        rounds = {k: n for k, n in by.items() if 'round' in k[1]}
        assert {k[0] for k in rounds} == {p.pid for p in rec.procs} and set(rounds.values()) == {30}, rounds


if __name__ == '__main__':
    tap = lib.Tap()
    for test in (all_processes_are_there, folded_in_flamegraph_pl, folded_in_speedscope, chrome_in_speedscope, lines_in_jq):
        tap.run(test.__name__.replace('_', ' '), test)
    tap.done()
