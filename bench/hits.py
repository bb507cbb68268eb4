# SPDX-License-Identifier: MIT
"""What a hit costs: the rows of hits."""
import pairs
import peers

ENTRY = 'pid$target::work:entry'
RETURN = 'pid$target::work:return'


class Row:
    """@measures: (who, function that gives the figure, or {(key, who): figure} where it finds several, or None: another measure's does).
    @limit: (the function in micro/limits.S, ns that we may cost more).  @most: we may at most; below 0: at least.
    @bars: {who: how many times as much they must cost}; below 0: how many times as much we must manage.
    @rounds: in how many rounds it is measured at most; 0: in all.  @often: what dyntrace costs several times in each."""

    def __init__(self, key, what, measures, bars=None, limit=None, most=None, unit='ns a hit', rounds=0, often=False):
        self.key, self.what, self.measures, self.bars = key, what, measures, bars or {}
        self.limit, self.most, self.unit, self.rounds = limit, most, unit, rounds
        self.often = often


def rows(b):
    def ours(d, function='work', *opts, program='pairs'):
        return peers.dyntrace(b, d, function, function + '_base', opts, program)

    def row(key, what, sides, limit=None, mode='slices', alone=(), **more):
        """@alone: what cannot trace the same process as the others."""
        measures = [(s.who, None) for s in sides]
        measures[0] = (sides[0].who, pairs.together(b, key, sides, mode, limit and limit[0]))
        measures += [(s.who, pairs.together(b, key, [s])) for s in alone]
        return Row(key, what, measures, limit=limit, often=True, **more)

    nop5, bpf = 'uprobe:TARGET:nop5', peers.bpftrace
    records = '-x', 'bufsize=%d' % peers.BUFFER_BYTES
    yield row('count', 'count on entry, `@ = count()`', [
        ours(ENTRY + ' { @ = count(); }'),
        bpf(nop5 + ' { @ = count(); }', note=', at a nop of five bytes'),
        bpf('uprobe:TARGET:push { @ = count(); }', 'push', 'push_base', ', at a push'),
        bpf('uprobe:TARGET:work_peer { @ = count(); }', 'work_peer', 'work_base', ', at what is single-stepped'),
    ], ('limit_count', 2), bars={'bpftrace, at a nop of five bytes': 400}, alone=[
        peers.GdbFast('nop5', 'nop5_base'),
        peers.Ltrace('work_peer', 'work_base'),
    ])
    yield row('key', 'count by key, `@[arg0] = count()`, 1,000 keys', [
        ours(ENTRY + ' { @[arg0] = count(); }'),
        bpf(nop5 + ' { @[arg0] = count(); }'),
    ], ('limit_key', 20), bars={'bpftrace': 40})
    yield row('func', 'count by key, `@[probefunc] = count()`', [
        ours(ENTRY + ' { @[probefunc] = count(); }'),
        bpf(nop5 + ' { @[probe] = count(); }'),
    ], ('limit_count', 3), bars={'bpftrace': 40})
    yield row('predicate', 'predicate false, `/arg0 == -1/`', [
        ours(ENTRY + '/arg0 == -1/ { @ = count(); }'),
        bpf(nop5 + ' /arg0 == -1/ { @ = count(); }'),
    ], ('limit_predicate', 1), bars={'bpftrace': 500})
    yield row('record', 'record: time and two arguments', [
        ours(ENTRY + ' { trace(timestamp); trace(arg0); trace(arg1); }', 'work', *records),
        peers.LttngSide('traceable', 'traceable_base'),
    ], ('limit_record', 5), 'bursts', bars={'LTTng-UST, static tracepoint': 8}, alone=[
        bpf(nop5 + ' { printf("%ld %ld %ld\\n", nsecs, arg0, arg1); }'),
    ])
    yield row('both', 'entry and return recorded', [
        ours(ENTRY + ' { trace(timestamp); } ' + RETURN + ' { trace(timestamp); }', 'work', *records),
        peers.Uftrace('profiled', 'work_base'),
    ], ('limit_both', 8), 'bursts', bars={'uftrace, recompiled': 5})
    yield row('quantize', 'entry to return as `quantize`', [
        ours(ENTRY + ' { self->t = timestamp; } ' + RETURN + '/self->t/ { @ = quantize(timestamp - self->t); self->t = 0; }'),
        bpf(nop5 + ' { @s[tid] = nsecs; } uretprobe:TARGET:nop5 /@s[tid]/ { @ = hist(nsecs - @s[tid]); delete(@s[tid]); }'),
    ], ('limit_span', 10), bars={'bpftrace': 60})
    leaf = 'pid$target::leaf:entry { @[ustack(12)] = count(); }'
    yield row('ustack', '`@[ustack(12)] = count()`, 12 frames, frame pointers', [
        ours(leaf, 'leaf', program='pairs-frames'),
        bpf('uprobe:TARGET:leaf_peer { @[ustack(12)] = count(); }', 'leaf_peer', 'leaf_base', program='pairs-frames'),
    ], bars={'bpftrace': 30}, most=100)
    yield row('ustack-eh', '`@[ustack(12)] = count()`, 12 frames, only `.eh_frame`', [
        ours(leaf, 'leaf', program='pairs-noframes'),
    ], most=600)
