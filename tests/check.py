#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the tests that the build knows, two at a time, and counts what they say in TAP.

usage: check.py BUILD [--suite NAME] [--slow N] [-v] [PATTERN...]

A program that dies, hangs or says fewer results than it planned counts as a
failure.  With --again, one that failed runs a second time, alone; what it says
then counts, and what it said first is shown and called unsteady: a mistake to
be found, but not one of the change at hand.  To pass it has to pass as many as
the first time and to skip nothing that failed then.  More than three, and none
is excused.  The last line is `N passed, N failed, N skipped`.
"""
import argparse
import concurrent.futures
import fnmatch
import json
import os
import re
import signal
import subprocess
import sys
import time

from procs import end_group

TAP = re.compile(r'^(not )?ok\b(?:\s+\d+)?\s*(?:-\s*)?(.*?)(?:\s+#\s*SKIP\b\s*(.*))?$', re.I)

MOST_UNSTEADY = 3


def introspect(build):
    out = subprocess.run(['meson', 'introspect', '--tests', build], check=True, capture_output=True, text=True)
    return json.loads(out.stdout)


def stop(proc):
    """The program first: what it has begun, it can end in good order. All that was said."""
    proc.terminate()
    try:
        return proc.communicate(timeout=10)[0]
    except subprocess.TimeoutExpired:
        end_group(proc.pid)
        return proc.communicate()[0]


def run(test, build, slow):
    """One test program, in the build's directory: (passed, failed, skipped, text to show)."""
    env = dict(os.environ, **test['env'], DYNTRACE_SLOW=str(slow))
    start = time.monotonic()
    if not os.path.exists(test['cmd'][0]):
        return 0, 1, 0, f"FAIL {test['name']}: {test['cmd'][0]} was not built", ''
    proc = subprocess.Popen(test['cmd'], cwd=test['workdir'] or build, env=env, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    died = None
    try:
        out, _ = proc.communicate(timeout=(test['timeout'] or 120) * slow)
    except subprocess.TimeoutExpired:
        out = stop(proc)
        died = f"no end after {test['timeout'] * slow} s"
    left = end_group(proc.pid)
    text = out.decode('utf-8', 'replace')
    passed = failed = skipped = 0
    plan, notes, skips = None, [f"  left behind: {', '.join(left)}"] if left and not died else [], []
    for line in text.splitlines():
        m = re.match(r'^1\.\.(\d+)', line)
        if m:
            plan = int(m.group(1))
            continue
        m = TAP.match(line)
        if not m:
            continue
        if m.group(3) is not None:
            skipped += 1
            skips.append(f'  skipped: {m.group(2)}: {m.group(3)}')
        elif m.group(1):
            failed += 1
            notes.append(f'  failed: {m.group(2)}')
        else:
            passed += 1
    seen = passed + failed + skipped
    if died is None and plan is None:
        died = f'ended with status {proc.returncode} before its plan'
    elif died is None and plan != seen:
        died = f'said {seen} results, planned {plan}'
    elif died is None and proc.returncode and not failed:
        died = f'ended with status {proc.returncode}'
    if died:
        failed += 1
        notes.append(f'  failed: {test["name"]}: {died}')
    head = f"{'FAIL' if failed else 'ok  '} {test['name']}: {passed} passed" + \
        (f', {failed} failed' if failed else '') + (f', {skipped} skipped' if skipped else '') + \
        f' ({time.monotonic() - start:.1f} s)'
    body = '\n'.join(notes + skips)
    if failed:
        body += '\n' + '\n'.join('  | ' + l for l in text.splitlines()[-60:])
        body += f'\n  again, in {build}: ' + ' '.join(test['cmd'])
    return passed, failed, skipped, head + ('\n' + body if body else ''), text


def once_more(test, first, build, slow):
    """What counts of one that failed: a second run, unless that passes by leaving out what failed."""
    second = run(test, build, slow)
    passed, failed, skipped = second[:3]
    if failed:
        return second
    unreached = max(0, sum(second[:3]) - sum(first[:3]))  # by one that died, so it may always be skipped
    if passed < first[0] or skipped > first[2] + unreached:
        why = f"FAIL {test['name']}: failed the first time (above), left out the second: {passed} passed, {skipped} skipped"
        return passed, 1, skipped, why, second[4]
    return passed, 0, skipped, f"unsteady: {test['name']}: failed the first time (above), passed the second", second[4]


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument('build')
    ap.add_argument('patterns', nargs='*', help='names or globs of tests')
    ap.add_argument('--suite', help='only this suite (default: all but stress)')
    ap.add_argument('-v', action='store_true', help='show the output of every test')
    ap.add_argument('--again', action='store_true', help='run what failed a second time, alone')
    ap.add_argument('-j', type=int, default=2)
    ap.add_argument('--slow', type=int, default=1, help='times as much time for each (sanitizers)')
    args = ap.parse_args()
    # A shell's background jobs ignore it, and tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tests = []
    for t in introspect(args.build):
        suites = [s.split(':')[-1] for s in t['suite']]
        if args.suite and args.suite not in suites or not args.suite and 'stress' in suites:
            continue
        if args.patterns and not any(fnmatch.fnmatch(t['name'], '*' + p + '*') for p in args.patterns):
            continue
        tests.append(t)
    total = [0, 0, 0]
    failed = []

    def count(result):
        for i in range(3):
            total[i] += result[i]

    def account(test, result):
        print(result[3], flush=True)
        if args.v:
            print(result[4], flush=True)
        if result[1] and args.again:
            failed.append((test, result))
        else:
            count(result)

    with concurrent.futures.ThreadPoolExecutor(args.j) as pool:
        running = {pool.submit(run, t, args.build, args.slow): t for t in tests if t['is_parallel']}
        for f in concurrent.futures.as_completed(running):
            account(running[f], f.result())
    for t in tests:
        if not t['is_parallel']:
            account(t, run(t, args.build, args.slow))
    for t, result in failed:
        if len(failed) <= MOST_UNSTEADY:
            result = once_more(t, result, args.build, args.slow)
            print(result[3], flush=True)
        count(result)
    print(f'{total[0]} passed, {total[1]} failed, {total[2]} skipped')
    return 1 if total[1] or not sum(total) else 0


if __name__ == '__main__':
    sys.exit(main())
