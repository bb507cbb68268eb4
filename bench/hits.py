# SPDX-License-Identifier: MIT
"""What a hit costs: the rows of hits."""
import peers

BURST = 'burst 50000' # records: in bursts that fit into anybody's buffers, so that none are lost
ENTRY = 'pid$target::work:entry'
RETURN = 'pid$target::work:return'


class Row:
    """@measures: (who, function that gives the figure, or {(key, who): figure} where it finds several, or None: another row's does).
    @limit: (what micro/body_cost calls it, ns that we may cost more).  @most: we may at most; below 0: at least.
    @bars: {who: how many times as much they must cost}; below 0: how many times as much we must manage.
    @rounds: in how many rounds it is measured at most; 0: in all."""

    def __init__(self, key, what, measures, bars=None, limit=None, most=None, unit='ns a hit', rounds=0):
        self.key, self.what, self.measures, self.bars = key, what, measures, bars or {}
        self.limit, self.most, self.unit, self.rounds = limit, most, unit, rounds


def rows(b):
    """Each measure: (who, function)."""
    def ours(d, kind='plain', target=None, *opts):
        return ('dyntrace', peers.dyntrace(b, d, kind, target, *opts))

    def bpf(d, kind='nop5', note='', target=None):
        return (f'bpftrace{note}', peers.bpftrace(b, d, kind, target))

    nop5, push = 'uprobe:TARGET:work_nop5', 'uprobe:TARGET:work_push'
    yield Row('count', 'count on entry, `@ = count()`', [
        ours(ENTRY + ' { @ = count(); }'),
        bpf(nop5 + ' { @ = count(); }', note=', at a nop of five bytes'),
        bpf(push + ' { @ = count(); }', 'push', ', at a push'),
        bpf('uprobe:TARGET:work { @ = count(); }', 'plain', ', at what is single-stepped'),
        ('gdb fast tracepoint', peers.gdb_fast(b, 'work_nop5', 'nop5')),
        ('ltrace -x', peers.ltrace(b, 'work')),
    ], {'bpftrace, at a nop of five bytes': 400}, ('@ = count()', 2))
    yield Row('key', 'count by key, `@[arg0] = count()`, 1,000 keys', [
        ours(ENTRY + ' { @[arg0] = count(); }'),
        bpf(nop5 + ' { @[arg0] = count(); }'),
    ], {'bpftrace': 40}, ('@[arg0] = count()', 20))
    yield Row('func', 'count by key, `@[probefunc] = count()`', [
        ours(ENTRY + ' { @[probefunc] = count(); }'),
        bpf(nop5 + ' { @[probe] = count(); }'),
    ], {'bpftrace': 40}, ('@[probefunc] = count()', 3))
    yield Row('predicate', 'predicate false, `/arg0 == -1/`', [
        ours(ENTRY + '/arg0 == -1/ { @ = count(); }'),
        bpf(nop5 + ' /arg0 == -1/ { @ = count(); }'),
    ], {'bpftrace': 500}, ('/arg0 == -1/', 1))
    yield Row('record', 'record: time and two arguments', [
        ours(ENTRY + ' { trace(timestamp); trace(arg0); trace(arg1); }', BURST, None, '-x', 'bufsize=32m'),
        ('LTTng-UST, static tracepoint', peers.lttng(b, BURST)),
        bpf(nop5 + ' { printf("%ld %ld %ld\\n", nsecs, arg0, arg1); }'),
    ], {'LTTng-UST, static tracepoint': 8}, ('record: time, 2 args', 5))
    yield Row('both', 'entry and return recorded', [
        ours(ENTRY + ' { trace(timestamp); } ' + RETURN + ' { trace(timestamp); }', BURST, None, '-x', 'bufsize=32m'),
        ('uftrace, recompiled', peers.uftrace(b, BURST + ' 60')),
    ], {'uftrace, recompiled': 5}, ('entry and return recorded', 8))
    yield Row('quantize', 'entry to return as `quantize`', [
        ours(ENTRY + ' { self->t = timestamp; } ' + RETURN + '/self->t/ { @ = quantize(timestamp - self->t); self->t = 0; }'),
        bpf(nop5 + ' { @s[tid] = nsecs; } uretprobe:TARGET:work_nop5 /@s[tid]/ { @ = hist(nsecs - @s[tid]); delete(@s[tid]); }'),
    ], {'bpftrace': 60}, ('entry to return, quantize', 10))
    leaf = 'pid$target::leaf:entry { @[ustack(12)] = count(); }'
    yield Row('ustack', '`@[ustack(12)] = count()`, 12 frames, frame pointers', [
        ours(leaf, 'deep', b.frames),
        bpf('uprobe:TARGET:leaf { @[ustack(12)] = count(); }', 'deep', target=b.frames),
    ], {'bpftrace': 30}, most=100)
    yield Row('ustack-eh', '`@[ustack(12)] = count()`, 12 frames, only `.eh_frame`', [
        ours(leaf, 'deep', b.noframes),
        ('no peer does it', lambda: None),
    ], most=600)
