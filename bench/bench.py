#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What tracing costs, beside peers, in one run: see README.md here.

usage: bench.py BUILD [--rounds N] [--often N] [--minutes N] [--quick] [--rows KEY,...] [--section NAME,...] [--out FOLDER]
"""
import argparse
import collections
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

import arm
import breakdown
import budget
import drive
import hits
import kernel
import peers
import programs
import scale
import store as stores
import sustain
import table

SECTIONS = [('hits', 'A hit', hits), ('budget', 'Overhead budget', budget), ('sustain', 'The consumer', sustain),
            ('programs', 'Whole programs', programs), ('arm', 'Arming', arm), ('kernel', 'The kernel', kernel)]
Job = collections.namedtuple('Job', 'key who fn rounds often') # often: several times in each round
GUESS = {'dyntrace': 4, 'bpftrace': 6, 'LTTng-UST': 20} # seconds of a measure that was not done yet


def once(b, job, store):
    """One measure, and what it found into the store.  Whether it could be done."""
    key, who = job.key, job.who
    try:
        got = job.fn()
        if got is None:
            raise RuntimeError('it gave no figure')
        for (k, w), v in (got if isinstance(got, dict) else {(key, who): got}).items():
            if isinstance(v, Exception):
                store.failed(k, w, v)
            else:
                store.add(k, w, v)
        return True
    except (OSError, RuntimeError, ValueError, IndexError, KeyError, TypeError, subprocess.SubprocessError) as e:
        store.failed(key, who, e)
        print(f'{key}: {who}: {e}', file=sys.stderr)
        return False


def curve_job(b, store, name, n, fn):
    def measure():
        got = fn()
        if got:
            points = store.data['curves'].setdefault(name, [])
            points.append([n, *got])
            points.sort()
        return {}
    return Job(f'scale, {name}', str(n), measure, 1, False)


def breakdown_job(b, store):
    def measure():
        store.data['breakdown'] = breakdown.measure(b) or store.data['breakdown']
        return {}
    return Job('breakdown', 'micro', measure, 0, False)


def jobs_of(b, parts, store, chosen, sections):
    jobs = [Job(r.key, who, fn, r.rounds, r.often and who == 'dyntrace') for _k, _t, rows in parts for r in rows for who, fn in r.measures if fn]
    if any(j.often for j in jobs):
        jobs.append(breakdown_job(b, store))
    if 'scale' in sections or (not sections and not chosen):
        jobs += [curve_job(b, store, *point) for point in scale.points(b)]
    return jobs


def round_of(jobs, n, often):
    """The jobs of round @n.  What is measured often is spread over all of it, since moments of the machine last up to minutes."""
    mine = [j for j in jobs if not j.rounds or n < j.rounds]
    frequent, others = [j for j in mine if j.often], [j for j in mine if not j.often]
    cuts = [len(others) * i // often for i in range(often + 1)]
    return [j for i in range(often) for j in frequent + others[cuts[i]:cuts[i + 1]]]


class Progress:
    def __init__(self, args):
        self.took, self.begin = {}, time.monotonic()
        self.end = self.begin + args.minutes * 60 if args.minutes else None

    def left(self, todo):
        return sum(self.took.get(j[:2]) or next((s for w, s in GUESS.items() if j[1].startswith(w)), 8) for j in todo)

    def over(self, job):
        """Whether the time is not enough for it."""
        return self.end and time.monotonic() + self.took.get(job[:2], 0) > self.end

    def show(self, n, rounds, i, jobs, todo):
        drive.say(f'round {n} of {rounds}, {i + 1} of {len(jobs)}, {self.left(todo) / 60:.0f} min left: {jobs[i].key}: {jobs[i].who}')


def measure(b, jobs, args, store, parts):
    """Round by round, so that a slow moment of the machine meets all rows."""
    progress, whole = Progress(args), [round_of(jobs, n, args.often) for n in range(args.rounds)]
    failed = set()
    for n, round_jobs in enumerate(whole):
        for i, job in enumerate(round_jobs):
            if not b.has(job.who):
                store.failed(job.key, job.who, 'not installed, or not root')
                continue
            if job[:2] in failed: # it took long, and in vain
                continue
            if progress.over(job):
                store.data['complete'] = False
                continue
            progress.show(n + 1, args.rounds, i, round_jobs, round_jobs[i:] + [j for r in whole[n + 1:] for j in r])
            begin = time.monotonic()
            done = once(b, job, store)
            progress.took[job[:2]] = time.monotonic() - begin
            if not done and progress.took[job[:2]] > 30:
                failed.add(job[:2])
            store.keep()
        store.data['rounds'], store.data['often'] = n + 1, args.often
        store.data['seconds'] = {f'{k}: {w}': round(s, 1) for (k, w), s in progress.took.items()}
        table.keep(parts, store)


def rows_without_tools():
    with tempfile.TemporaryDirectory() as work:
        b = peers.Bench('.', work, argparse.Namespace(seconds=1, quick=True))
        return [(key, title, list(module.rows(b))) for key, title, module in SECTIONS]


def parse():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument('build')
    ap.add_argument('--rounds', type=int, default=3)
    ap.add_argument('--often', type=int, default=5, help='how many times in each round hits are measured (default %(default)s)')
    ap.add_argument('--seconds', type=float, default=0.6, help='for one figure')
    ap.add_argument('--minutes', type=float, default=30, help='no measure begins later; 0: any time (default %(default)s)')
    ap.add_argument('--quick', action='store_true', help='one short round')
    ap.add_argument('--rows', default='', help='only these rows, by their keys; "list" prints them')
    ap.add_argument('--section', default='', help='only these: ' + ', '.join(k for k, _t, _m in SECTIONS) + ', scale')
    ap.add_argument('--out', default='', help='folder; usually results/; nothing is kept where only some rows are measured')
    args = ap.parse_args()
    if args.quick:
        args.rounds, args.often, args.seconds = 1, 1, min(args.seconds, 0.4)
    return args


def main():
    args = parse()
    # What was started is ended, what was measured is kept; and a shell's background jobs ignore SIGINT, which ends the tracers.
    for sig in signal.SIGTERM, signal.SIGINT:
        signal.signal(sig, signal.default_int_handler)
    chosen, sections = [set(filter(None, re.split('[, ]+', x))) for x in (args.rows, args.section)]
    folder = args.out or ('' if chosen or sections or args.quick else os.path.join(drive.HERE, 'results'))
    if folder:
        os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o755) # lttng's user
        os.environ['XDG_CACHE_HOME'] = os.environ['DYNTRACE_CACHE'] = os.path.join(work, 'cache')
        b = peers.Bench(args.build, work, args)
        parts = [(key, title, list(module.rows(b))) for key, title, module in SECTIONS if not sections or key in sections]
        if args.rows == 'list':
            for _k, title, rows in parts:
                print('\n'.join(f'{r.key:20} {r.what}' for r in rows))
            return 0
        if chosen:
            parts = [(k, t, [r for r in rows if r.key in chosen]) for k, t, rows in parts]
            parts = [p for p in parts if p[2]]
        store = stores.Store(folder)
        store.data['complete'] = True
        status = 0
        try:
            measure(b, jobs_of(b, parts, store, chosen, sections), args, store, parts)
        except KeyboardInterrupt:
            print('\ninterrupted: what was measured until now', file=sys.stderr)
            store.data['complete'], status = False, 130
        store.keep()
        table.keep(parts, store)
        print(' ' * 78, end='\r', file=sys.stderr)
        print(table.texts(parts, store)['table.md'])
        return status


if __name__ == '__main__':
    sys.exit(main())
