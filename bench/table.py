#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tables: figures, times, bars.

usage: table.py FOLDER    makes them again of FOLDER/results.json
"""
import os
import statistics
import sys

import pairs
import scale
import store as stores

TIMES = ('*times*, here and in all tables: the peer\'s figure divided by dyntrace\'s, so how many times cheaper or sooner dyntrace is; of '
         'what should be high (events a second), dyntrace\'s divided by the peer\'s. Both were measured in the same run.')


def number(x):
    if x == float('inf'):
        return 'ours is nothing'
    return f'{x:,.2f}' if abs(x) < 10 else f'{x:,.1f}' if abs(x) < 100 else f'{x:,.0f}'


def spread(values):
    text = number(statistics.median(values))
    return text + (f' ({number(min(values))} to {number(max(values))})' if len(values) > 1 else '')


def figure(store, key, who):
    values = store.values(key, who)
    if not values:
        why = store.data['why'].get(key, {}).get(who)
        return '**not measured**' + (f': {why}'.replace('|', '/').replace('\n', ' ')[:160] if why else '')
    text = spread(values)
    lost = store.lost(key, who)
    return text + (f', events lost in {lost} of {len(values)}' if lost else '')


def middle(store, key, who):
    values = store.values(key, who)
    return statistics.median(values) if values else None


def verdict(met):
    return 'yes' if met else '**no**'


def own_bar(row, store):
    """(over the limit, what is demanded, whether it holds); '' where nothing is."""
    if row.limit:
        over, limit = store.values(row.key, 'over'), middle(store, row.key, 'limit')
        if not over:
            return '', f'+ {row.limit[1]}', '?'
        return spread(over), f'+ {row.limit[1]} (limit {number(limit)})', verdict(statistics.median(over) <= row.limit[1])
    own = middle(store, row.key, 'dyntrace')
    if row.most is None:
        return '', '', ''
    demanded = f'at least {number(-row.most)}' if row.most < 0 else f'at most {number(row.most)}'
    return '', demanded, '?' if own is None else verdict(own >= -row.most if row.most < 0 else own <= row.most)


def bar_of(row, who):
    return next((t for w, t in row.bars.items() if who == w), None)


def ratios(row, store, who):
    """Of figures of the same moment where there are such, or the ratio of the medians."""
    paired = store.values(row.key, 'times, ' + who)
    own, theirs = middle(store, row.key, 'dyntrace'), middle(store, row.key, who)
    if paired or own is None or theirs is None:
        return paired
    bar = bar_of(row, who)
    over, under = (own, theirs) if bar is not None and bar < 0 else (theirs, own)
    return [over / under if under > 0 else float('inf')]


def beyond(row, store, who, bar):
    """Where not even the sequence by hand would hold the bar: how many times as much as that the peer costs."""
    limit, theirs = middle(store, row.key, 'limit'), middle(store, row.key, who)
    return f' (limit {number(theirs / limit)})' if limit and theirs and 0 < theirs < bar * limit else ''


def times_of(row, store, who):
    """(how many times, what is demanded, whether it holds)"""
    found, bar = ratios(row, store, who), bar_of(row, who)
    demanded = '' if bar is None else f'{abs(bar):g}{beyond(row, store, who, bar)}'
    if not found:
        return '', demanded, '?' if demanded else ''
    return spread(found), demanded, verdict(statistics.median(found) >= abs(bar)) if demanded else ''


def in_quick_moments(row, store):
    """The row as it is where the machine was quick: of the measures whose untraced call was as quick as in the quickest one."""
    key = pairs.quick(row.key)
    untraced = store.values(key, 'untraced')
    chosen = [i for i, v in enumerate(untraced) if v <= pairs.QUICK * min(untraced)]
    some = stores.Store()
    for who, values in store.data['figures'].get(key, {}).items():
        if len(values) == len(untraced):
            some.data['figures'].setdefault(row.key, {})[who] = [values[i] for i in chosen]
    return some, len(chosen), len(store.values(row.key, 'untraced'))


def quick_moments(rows, store):
    found = [(r, *in_quick_moments(r, store)) for r in rows if store.values(pairs.quick(r.key), 'untraced')]
    if not found:
        return
    yield from ('## Hits in quick moments', '', 'The same runs, but of them only the turns in which the untraced call was as quick as it can be '
                '(README.md); *of* says in how many of the measures there were such.', '',
                cells('what', 'of', 'dyntrace', 'over the limit', 'bar', 'holds', 'peer', 'its figure', 'times', 'bar', 'holds'),
                '| --- | --- | --: | --: | --- | --- | --- | --: | --: | --- | --- |')
    for row, some, cnt, of in found:
        peers = [w for w in row.bars if some.values(row.key, w)] or ['']
        for who in peers:
            yield cells(row.what, f'{cnt} of {of}', figure(some, row.key, 'dyntrace'), *own_bar(row, some), who, figure(some, row.key, who) if who else '',
                        *(times_of(row, some, who) if who else ('', '', '')))
    yield ''


def cells(*words):
    return '| ' + ' | '.join(str(w) for w in words) + ' |'


def section(title, rows, store):
    """One of the long tables: all rows, all peers."""
    yield from (f'## {title}', '', cells('what', 'who', 'figure', 'over the limit', 'bar', 'holds', 'times', 'bar', 'holds'),
                '| --- | --- | --: | --: | --- | --- | --: | --: | --- |')
    for row in rows:
        over, bar, holds = own_bar(row, store)
        yield cells(f'{row.what}; {row.unit}', 'dyntrace', figure(store, row.key, 'dyntrace'), over, bar, holds, '', '', '')
        for who, _fn in row.measures[1:]:
            yield cells('', who, figure(store, row.key, who), '', '', '', *times_of(row, store, who))
    yield ''


# The rows of issue 7's table: what, the key of the row here, the peer of its bar.
ISSUE = [
    ('count on entry, `@ = count()`', 'count', 'bpftrace, at a nop of five bytes'),
    ('count by a key, `@[arg0] = count()`, 1,000 keys', 'key', 'bpftrace'),
    ('… and `@[probefunc] = count()`', 'func', 'bpftrace'),
    ('predicate false, `/arg0 == -1/`', 'predicate', 'bpftrace'),
    ('record: time and two arguments', 'record', 'LTTng-UST, static tracepoint'),
    ('entry and return recorded', 'both', 'uftrace, recompiled'),
    ('entry to return as `quantize`', 'quantize', 'bpftrace'),
    ('`@[ustack()] = count()`, 12 frames, frame pointers', 'ustack', 'bpftrace'),
    ('… `.eh_frame` only', 'ustack-eh', None),
    ('printf of a record to a file', 'printf', 'bpftrace'),
    ('events that a consumer sustains: time and two arguments, 10 s, none lost', 'sustained', 'LTTng-UST'),
    ('arm every function of libLLVM-14 in a running process: those with names', 'arm-named', None),
    ('… target stopped', 'stop-named', None),
    ('… also those that only `.eh_frame` knows', 'arm-all', None),
    ('… target stopped', 'stop-all', None),
    ('… 111 of them, armed and disarmed', 'arm-some', 'bpftrace'),
    ('disarm the same: those with names', 'disarm-named', None),
    ('… all', 'disarm-all', None),
    ('first event after the command, one probe into a running process', 'first-event', 'bpftrace'),
    ('target stopped while one probe is placed, 4 threads', 'stop-one', None),
    ('resident memory in the target for one probe', 'mem-one', None),
    ('… a probe of all of libLLVM-14, besides the copied pages', 'mem-all', None),
    ('redis-server under redis-benchmark, every `dict*` function counted: processor time a request', 'redis', 'bpftrace'),
    ('whole programs, every entry and return counted, slowdown: sqlite3', 'sqlite3', 'uftrace -P'),
    ('… redis-server', 'redis-all', 'uftrace -P'),
    ('… python3', 'python3', 'uftrace -P'),
    ('… gcc', 'gcc', 'uftrace -P'),
    ('overhead budget: `-x budget=5%`, a hot function, slowdown', 'budget', None),
    ('… what is counted differs from the truth by', 'budget-truth', None),
    ('… without a budget', 'budget-none', None),
]


def issue(rows, store):
    by_key = {r.key: r for r in rows}
    yield from ('## The bars', '', cells('what', 'unit', 'dyntrace', 'over the limit', 'bar', 'holds', 'peer', 'its figure', 'times', 'bar', 'holds'),
                '| --- | --- | --: | --: | --- | --- | --- | --: | --: | --: | --- |')
    for what, key, peer in ISSUE:
        row = by_key.get(key)
        if not row:
            continue
        theirs = (peer, figure(store, key, peer), *times_of(row, store, peer)) if peer else ('', '', '', '', '')
        yield cells(what, row.unit, figure(store, key, 'dyntrace'), *own_bar(row, store), *theirs)
    yield ''


def breakdown(store):
    parts = store.data['breakdown']
    if not parts:
        return
    yield from ('## What a hit is made of', '', 'ns over the untraced call, by `micro/body_cost steps`: what each step adds when the hit '
                'is made one step longer; the median of its rounds. The body stands in the trampoline, as where few places are armed (ADR 47).', '',
                cells('hit', 'step', 'adds, ns', 'in all, ns'), '| --- | --- | --: | --: |')
    for hit, step, adds, total in parts:
        yield cells(hit, step, number(adds), number(total))
    yield ''


def head(store):
    d = store.data
    state = '' if d['complete'] else ' **The run was cut: what is missing was not measured.**'
    often = f' (of hits beside limits and peers: {d["rounds"] * d["often"]})' if d['often'] > 1 else ''
    return [f'Median (lowest to highest) of {d["rounds"]} rounds{often}, one run of {d["minutes"]:.0f} minutes, begun {d["begun"]}; {d["machine"]}.{state}', '',
            TIMES + ' How it is measured, and what the limit is: README.md.', '']


def moments(rows, store):
    """How different the moments were."""
    found = [f'{r.key} {spread(v)}' for r in rows for v in [store.values(r.key, 'untraced')] if v]
    if found:
        yield from ('Untraced calls, ns: ' + '; '.join(found) + '.', '')


def texts(parts, store):
    """{file: content}.  @parts: (section's key, title, rows)."""
    rows = [r for _k, _t, rs in parts for r in rs]
    files = {}
    for name, keys in (('hit.md', ('hits', 'budget', 'sustain', 'programs')), ('arm.md', ('arm',)), ('kernel.md', ('kernel',))):
        lines = [line for key, title, rs in parts if key in keys and rs for line in section(title, rs, store)]
        if lines:
            files[name] = lines + list(moments(rows if name == 'hit.md' else [], store))
    curves = {c: [tuple(p) for p in ps] for c, ps in store.data['curves'].items() if len(ps) > 1}
    if curves:
        files['scale.md'] = [scale.text(curves)]
    if store.data['breakdown']:
        files['breakdown.md'] = list(breakdown(store))
    table = list(issue(rows, store)) + list(quick_moments(rows, store)) if rows else []
    table += [line for name in ('scale.md', 'breakdown.md', 'hit.md', 'arm.md', 'kernel.md') for line in files.get(name, [])]
    files['table.md'] = table
    done = {name: '\n'.join(head(store) + lines).rstrip() + '\n' for name, lines in files.items()}
    if curves:
        done['scale.svg'] = scale.svg(curves)
    return done


def keep(parts, store):
    if not store.folder:
        return
    for name, content in texts(parts, store).items():
        with open(os.path.join(store.folder, name), 'w', encoding='utf-8') as f:
            f.write(content)


def main():
    import bench # the rows
    store = stores.load(os.path.join(sys.argv[1], 'results.json'))
    store.folder = sys.argv[1]
    keep(bench.rows_without_tools(), store)


if __name__ == '__main__':
    main()
