#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Verbs of a member of group dyntrace on another user's process: through dyntraced, as root has them."""
import json
import os
import shutil
import signal
import subprocess
import time

import machine
from machine import ANN, BOB, Cat, Daemon, Skip, as_user, dyntrace, has, popen, wait_for

SHOP = '''
#include <stdio.h>
#include <unistd.h>
struct item { int price; const char *name; };
__attribute__((noinline)) int sell(struct item *it, int n) { __asm__ volatile(""); return it->price * n; }
__attribute__((noinline)) int round_of(int n) { struct item it = { 3, "tea" }; return sell(&it, n) + 1; }
int main(void)
{
	char line[64];
	while (fgets(line, sizeof(line), stdin)) {
		round_of(line[0] - '0');
		puts(line[0] == 'h' ? "hello" : "done");
		fflush(stdout);
	}
	return 0;
}
'''


def need(*programs):
    for p in programs:
        if not shutil.which(p):
            raise Skip(f'there is no {p}')


class Shop(Cat):
    """bob's program; where it is private, only he may read the file."""

    def __init__(self, uid=BOB, private=False):
        need('cc')
        exe = f'{machine.PLACE}/shop{uid if private else ""}'
        if not os.path.exists(exe):
            subprocess.run(['cc', '-g', '-O1', '-x', 'c', '-', '-o', exe], input=SHOP, text=True, check=True)
            os.chown(exe, uid, uid)
            os.chmod(exe, 0o700 if private else 0o755)
        super().__init__(uid, exe)

    def sell(self, n):
        self.proc.stdin.write(b'%d\n' % n)
        self.proc.stdin.flush()
        assert self.proc.stdout.readline() == b'done\n'


def ann_dir():
    d = f'{machine.PLACE}/ann'
    os.makedirs(d, exist_ok=True)
    os.chown(d, ANN, ANN)
    return d


def symbols_and_lists():
    with Daemon() as d, Shop(private=True) as s:
        out = dyntrace(d, ANN, 'list-symbols', str(s.pid), 's*ll', status=0)[1]
        has('sell', out)
        out = dyntrace(d, ANN, '-l', '-n', f'pid{s.pid}:a.out:sell:entry', status=0)[1]
        has('shop[0-9]+ +sell entry', out)
        has('look at process .* permitted', d.log())
        err = dyntrace(d, BOB, 'list-symbols', str(os.getpid()), status=1)[2]
        has('not permitted', err)
    with Daemon('processes = own\n') as d, Shop() as s:
        has('not permitted', dyntrace(d, ANN, 'list-symbols', str(s.pid), status=1)[2])
        has('look at process .* not permitted', d.log())


def types_of_the_target():
    """Arguments with their names and types: its debug information is read, too."""
    with Daemon() as d, Shop() as s:
        p = popen(d, ANN, '-qn', 'pid$target:a.out:sell:entry { printf("%d of %d\\n", args[1], args[0]->price); exit(0); }',
                  '-p', str(s.pid))
        wait_for(lambda: 'places armed' in d.log() or p.poll() is not None, 'armed probes')
        s.sell(2)
        out, err = p.communicate(timeout=30)
        assert '2 of 3' in out, out + err


def records():
    trace = f'{ann_dir()}/trace'
    with Daemon() as d, Shop() as s, Shop() as other:
        p = popen(d, ANN, 'record', '-p', f'{s.pid},{other.pid}', '-g', '-o', trace, 'a.out:sell:entry', 'a.out:sell:return')
        wait_for(lambda: 'places armed' in d.log() or p.poll() is not None, 'armed probes')
        for i in range(1, 6):
            s.sell(i)
        other.sell(7)
        time.sleep(0.2)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=30)
        assert p.returncode == 0, out + err
        assert s.is_clean() and other.is_clean()
    out = dyntrace(None, ANN, 'dump', trace, status=0)[1]
    assert out.count('sell') >= 12 and ' n=7' in out and 'price' not in out, out
    has('round_of', out)
    if shutil.which('babeltrace2'):
        r = subprocess.run(['babeltrace2', trace], capture_output=True, text=True, check=False)
        assert r.returncode == 0 and len(r.stdout.splitlines()) == 12, r.stdout + r.stderr


def flight_recorder():
    trace = f'{ann_dir()}/flight'
    with Daemon() as d, Shop() as s:
        p = popen(d, ANN, 'record', '-p', str(s.pid), '--ring', '1M', '-o', trace, 'a.out:sell:entry')
        wait_for(lambda: 'places armed' in d.log() or p.poll() is not None, 'armed probes')
        for i in range(1, 9):
            s.sell(i)
        s.proc.kill()
        out, err = p.communicate(timeout=30)
        assert p.returncode == 0, out + err
    out = dyntrace(None, ANN, 'dump', trace, status=0)[1]
    assert len(out.strip().splitlines()) >= 8, out


TESTS = [symbols_and_lists, types_of_the_target, records, flight_recorder]

if __name__ == '__main__':
    machine.main(TESTS)
