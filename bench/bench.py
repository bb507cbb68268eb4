#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What tracing costs, beside peers, in one run: see README.md here.

usage: bench.py BUILD [--rounds N] [--quick] [--rows KEY,...] [--section NAME,...] [--out FILE]
"""
import argparse
import os
import signal
import sys
import tempfile

from drive import HERE, Target, say, tracer # noqa: F401  kernel.py and others take them from here
import hits
import limits
import peers
import programs
import scale
import sustain
import table

SECTIONS = [('hits', 'A hit', hits), ('sustain', 'The consumer', sustain), ('programs', 'Whole programs', programs)]


def measure(b, rows, args, costs):
    """Round by round, so that a slow moment of the machine meets all rows."""
    for n in range(args.rounds):
        for row in rows:
            for who, fn in row.measures:
                got = costs.setdefault((row.key, who), [])
                if (n and not got) or not b.has(who): # what could not be done once cannot be done
                    continue
                say(f'round {n + 1} of {args.rounds}: {row.key}: {who}')
                try:
                    cost = fn()
                except (OSError, RuntimeError, ValueError, IndexError) as e:
                    print(f'{row.key}: {who}: {e}', file=sys.stderr)
                    cost = None
                if cost is not None and cost == cost: # not NaN: a moment in which the target was not run at all
                    got.append(cost)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument('build')
    ap.add_argument('--rounds', type=int, default=5)
    ap.add_argument('--seconds', type=float, default=1.0)
    ap.add_argument('--quick', action='store_true', help='one short round')
    ap.add_argument('--rows', default='', help='only these rows, by their keys; "list" prints them')
    ap.add_argument('--section', default='', help='only these: hits, sustain, programs, scale')
    ap.add_argument('--out', default='', help='usually results/hit.md; not kept where only some rows are measured')
    args = ap.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler) # what was started is ended, what was measured is shown
    if args.quick:
        args.rounds, args.seconds = 1, min(args.seconds, 0.4)
    chosen, sections = [set(filter(None, x.split(','))) for x in (args.rows, args.section)]
    with tempfile.TemporaryDirectory() as work:
        b = peers.Bench(args.build, work, args)
        costs, parts = {}, []
        for name, title, module in SECTIONS:
            rows = [] if sections and name not in sections else list(module.rows(b))
            if args.rows == 'list':
                print('\n'.join(f'{r.key:12} {r.what}' for r in rows))
                continue
            rows = [r for r in rows if not chosen or r.key in chosen]
            if rows:
                parts.append((title, rows))
                try:
                    measure(b, rows, args, costs)
                except KeyboardInterrupt:
                    print('interrupted: what was measured until now', file=sys.stderr)
                    break
        if args.rows == 'list':
            return
        limit = limits.measure(b) if any(r.limit for _t, rows in parts for r in rows) else {}
        text = table.text(parts, costs, limit, args.rounds)
        print(' ' * 78, end='\r', file=sys.stderr)
        print(text)
        if (not chosen and not sections) or 'scale' in sections:
            curves = scale.measure(b)
            print(scale.text(curves))
            if curves and not args.quick:
                scale.keep(curves)
    out = args.out or ('' if chosen or sections or args.quick else os.path.join(HERE, 'results', 'hit.md'))
    if out:
        os.makedirs(os.path.dirname(os.path.abspath(out)), exist_ok=True)
        with open(out, 'w', encoding='utf-8') as f:
            f.write(text)


if __name__ == '__main__':
    main()
