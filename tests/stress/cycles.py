#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A program of many threads is attached to and left again and again, or shows addresses that are nothing: it sees nothing
of it, and nothing is left.

DYNTRACE_STRESS=N: N times 50 cycles, N times 50,000 addresses (20: what the bars ask for).
"""
import os
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'real'))
import lib  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SCALE = int(os.environ.get('DYNTRACE_STRESS', '1'))


def build(folder):
    exe = f'{folder}/crowd'
    subprocess.run(['gcc', '-O1', '-o', exe, f'{HERE}/crowd.c', '-pthread'], check=True)
    return exe


def state(pid):
    """What must be as before: descriptors, threads, mappings that are no heap or stack."""
    fds = sorted((fd, os.readlink(f'/proc/{pid}/fd/{fd}')) for fd in os.listdir(f'/proc/{pid}/fd'))
    files = sorted(m[:4] for m in lib.maps(pid) if m[4].startswith(('/', '[vdso')))
    return fds, len(os.listdir(f'/proc/{pid}/task')), files


def cycles():
    with tempfile.TemporaryDirectory() as folder:
        proc = subprocess.Popen([build(folder), '3600'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert proc.stdout.readline() == 'ready\n'
            time.sleep(0.5)
            before = state(proc.pid)
            hits = 0
            for i in range(50 * SCALE):
                r = lib.dyntrace('-q', '-n', 'pid$target:a.out::entry,pid$target:a.out::return,pid$target:libc.so*:[mre]*:entry '
                                 f'{{ @ = count(); }} tick-{10 + i % 9}ms {{ exit(0); }}', '-p', str(proc.pid), check=False)
                assert proc.poll() is None, f'cycle {i}: the target died: {proc.stderr.read()[-500:]}'
                assert r.returncode == 0, f'cycle {i}: {r.stderr[-1000:]}'
                hits += sum(int(n) for n in re.findall(r'\d+', r.stdout))
                lib.assert_untouched(proc.pid)
                assert state(proc.pid) == before, f'cycle {i}: {state(proc.pid)[:2]} is not {before[:2]}'
            assert hits > 1000, hits
            proc.terminate()
            out, err = proc.communicate(timeout=60 * lib.SLOW)
            assert proc.returncode == 0 and out.startswith('bad 0, ') and not err, (out, err[-500:])
        finally:
            proc.kill()
            proc.wait()


def addresses():
    with tempfile.TemporaryDirectory() as folder:
        n = 50000 * SCALE
        probes = ('pid$target:a.out:look:entry { this->p = (char *)copyin(arg0, 16); @good["copyin"] = count(); } '
                  'pid$target:a.out:look:entry { @good[strlen(copyinstr(arg0, 64)) >= 0 ? "copyinstr" : ""] = count(); } '
                  'ERROR { @bad[arg4] = count(); } END { printa("%s %@d\\n", @good); printa("fault %d %@d\\n", @bad); }')
        r = lib.dyntrace('-q', '-x', 'bufsize=64m', '-n', probes, '-c', f'{build(folder)} 1 {n}', timeout=900, check=False)
        assert f'bad 0, looks {n}, rounds many, own faults fine' in r.stdout, (r.stdout[-500:], r.stderr[-500:])
        assert r.returncode == 0, r.stderr[-500:]
        good = {k: int(v) for k, v in re.findall(r'^(copyin\w*) (\d+)$', r.stdout, re.M)}
        faults = sum(int(v) for v in re.findall(r'^fault \d+ (\d+)$', r.stdout, re.M))
        assert good.get('copyin', 0) > n // 20 and good.get('copyinstr', 0) > n // 20 and faults > n // 4, (good, faults)
        drops = sum(int(v) for v in re.findall(r'(\d+) (?:error )?drop', r.stderr))
        assert sum(good.values()) + faults + drops >= 2 * n * 0.99, (good, faults, drops, n)


def main():
    tap = lib.Tap()
    tap.run('attached and left under load', cycles)
    tap.run('addresses that are nothing', addresses)
    tap.done()


if __name__ == '__main__':
    main()
