# SPDX-License-Identifier: MIT
"""The table: figures, ratios, bars."""
import platform
import statistics

from peers import Lost


def number(x):
    return f'{x:,.1f}' if abs(x) < 100 else f'{x:,.0f}'


def figure(values):
    text = number(statistics.median(values))
    if len(values) > 1:
        text += f' ({number(min(values))} to {number(max(values))})'
    return text + (', events lost' if any(isinstance(v, Lost) for v in values) else '')


def verdict(met):
    return 'yes' if met else '**no**'


def own_bar(row, own, limit):
    """(what is demanded of our figure, whether it is met); nothing is: ''."""
    if row.limit and row.limit[0] in limit:
        base = limit[row.limit[0]]
        return f'limit {number(base)} and {row.limit[1]}', verdict(own <= base + row.limit[1])
    if row.limit:
        return f'the limit and {row.limit[1]}', 'limit not measured'
    if row.most is not None:
        return (f'at least {number(-row.most)}', verdict(own >= -row.most)) if row.most < 0 else (
            f'at most {number(row.most)}', verdict(own <= row.most))
    return '', ''


def bar_of(row, who):
    return next((t for w, t in row.bars.items() if who == w or who.startswith(w + ',')), None)


def peer_line(row, who, values, own):
    theirs, times = statistics.median(values), bar_of(row, who)
    if times is not None and times < 0: # more is better
        ratio = own / theirs if theirs else float('inf')
        return f'| | {who} | {figure(values)} | ours {ratio:.1f} times | {-times} times | {verdict(ratio >= -times)} |'
    ratio = theirs / own if own > 0 else float('inf')
    shown = f'{ratio:,.1f}' if ratio < 1e6 else 'ours is nothing'
    if times is None:
        return f'| | {who} | {figure(values)} | {shown} | | |'
    return f'| | {who} | {figure(values)} | {shown} | {times} | {verdict(ratio >= times)} |'


def lines(row, costs, limit):
    own = costs.get((row.key, row.measures[0][0]), [])
    if not own:
        yield f'| {row.what} | dyntrace | not measured | | | |'
        return
    mid = statistics.median(own)
    demanded, met = own_bar(row, mid, limit)
    yield f'| {row.what}; {row.unit} | dyntrace | {figure(own)} | | {demanded} | {met} |'
    for who, _fn in row.measures[1:]:
        values = costs.get((row.key, who), [])
        if values:
            yield peer_line(row, who, values, mid)
        else:
            yield f'| | {who} | {"" if who.startswith("no peer") else "cannot, or is not installed"} | | {bar_of(row, who) or ""} | |'


def text(parts, costs, limit, rounds):
    out = [f'Median (lowest to highest) of {rounds} rounds, one run; Linux {platform.release()}. Ratio: how many times dyntrace\'s '
           'figure it is. How it is measured, and what the limit is: README.md.', '']
    for title, rows in parts:
        out += [f'## {title}', '', '| what | who | figure | ratio | bar | met |', '| --- | --- | --- | --- | --- | --- |']
        for row in rows:
            out += list(lines(row, costs, limit))
        out.append('')
    if limit:
        out += ['Limits, ns over the untraced call: ' + ', '.join(f'{k} {number(v)}' for k, v in limit.items()) + '.', '']
    return '\n'.join(out)
