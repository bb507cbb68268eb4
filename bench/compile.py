#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What compiling costs: `dyntrace -e`, the whole process, over scripts of growing size.

usage: compile.py BUILD [--check]

Prints a table and keeps it in results/compile.md.  --check: no table, but an error where a bound is missed: an ordinary
script in 10 ms, 10,000 clauses in 2 s, ten times the script in less than thirty times the time and memory.
"""
import os
import sys
import tempfile

ORDINARY = '''#pragma D option quiet
struct req { int fd; char name[16]; };
inline int LIMIT = 1000;
BEGIN { printf("%s\\n", "start"); }
profile-97 { self->ts = timestamp; @sizes["all", execname] = quantize(self->ts / LIMIT); @calls[pid] = count(); }
profile-99 /self->ts/ { this->d = timestamp - self->ts; @lat[strjoin(probefunc, "x")] = avg(this->d); self->ts = 0; }
tick-1s /n++ > 10/ { printa(@sizes); trunc(@sizes); }
END { printa("%s %@d\\n", @lat); exit(0); }
'''


def clauses(n):
    return ''.join(f'BEGIN /x{i % 50} == {i}/ {{ x{i % 50} = {i}; @a["k", {i % 7}] = count(); '
                   f'printf("%d %s\\n", x{i % 50}, "text{i}"); }}\n' for i in range(n))


def body(line, n):
    return 'BEGIN {\n' + ''.join(line.replace('#', str(i)) + '\n' for i in range(n)) + '}\n'


SHAPES = {
    'clauses': (clauses, [1000, 10000]),
    'clauses with an aggregation each': (lambda n: ''.join(f'BEGIN {{ @a{i}[{i}] = sum({i}); }}\n' for i in range(n)), [400, 4000]),
    'keys of one aggregation': (lambda n: ''.join(f'BEGIN {{ @a[{i}, "key{i}"] = count(); }}\n' for i in range(n)), [1000, 10000]),
    'operands': (lambda n: 'BEGIN { x = 1; y = ' + ' + '.join(['x'] * n) + '; }\n', [500, 5000]),
    'comparisons of strings in a predicate': (lambda n: 'BEGIN /' + ' || '.join(f'execname == "p{i}"' for i in range(n)) +
                                              '/ { trace(1); }\n', [500, 5000]),
    'declarations': (lambda n: ''.join(f'int g{i}; self int s{i}; this int t{i};\n' for i in range(n)) + 'BEGIN { exit(0); }\n',
                     [1000, 10000]),
    'structures': (lambda n: ''.join(f'struct s{i} {{ int a; char b[8]; struct s{i} *p; }}; typedef struct s{i} t{i}; '
                                     f'enum e{i} {{ A{i} }};\n' for i in range(n)) + 'BEGIN { exit(0); }\n', [1000, 10000]),
    'inline constants': (lambda n: 'inline int c0 = 1;\n' + ''.join(f'inline int c{i} = c{i - 1} + 1;\n' for i in range(1, n)) +
                         'BEGIN { exit(0); }\n', [1000, 10000]),
    'strings': (lambda n: body('s = "a string number #";', n), [1000, 10000]),
    'statements': (lambda n: body('this->x = #; trace(this->x);', n), [600, 6000]),
    'members': (lambda n: 'struct s {\n' + ''.join(f'int m{i};\n' for i in range(n)) + '} *p;\n' +
                body('x = p->m#;', n), [600, 6000]),
    'descriptions of a clause': (lambda n: ',\n'.join(['BEGIN'] * n) + ' { trace(1); }\n', [1000, 10000]),
    'mistakes': (lambda n: ''.join(f'BEGIN {{ trace(u{i}); }}\n' for i in range(n)), [1000, 10000]),
}


def once(exe, path):
    """Milliseconds of the processor and KiB of one process; its status."""
    pid = os.posix_spawn(exe, [exe, '-q', '-e', '-s', path], os.environ,
                         file_actions=[(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)])
    _, status, usage = os.wait4(pid, 0)
    return (usage.ru_utime + usage.ru_stime) * 1e3, usage.ru_maxrss, os.waitstatus_to_exitcode(status)


def measure(exe, text, rounds=5):
    with tempfile.NamedTemporaryFile('w', suffix='.d') as f:
        f.write(text)
        f.flush()
        runs = sorted(once(exe, f.name) for _ in range(rounds))
    return runs[0] if runs[0][2] not in (0, 1) else runs[rounds // 2]


def main():
    exe = os.path.abspath(os.path.join(sys.argv[1], 'dyntrace'))
    check = '--check' in sys.argv[2:]
    lines, bad = [], []
    rows = [('an ordinary script', 8, measure(exe, ORDINARY, 11))]
    for name, (make, sizes) in SHAPES.items():
        got = [(name, n, measure(exe, make(n))) for n in sizes]
        rows += got
        (t0, m0, s0), (t1, m1, s1) = got[0][2], got[1][2]
        if t1 > 30 * max(t0, 5) or m1 > 30 * m0 or t1 > 2000:
            bad.append(f'{name}: {t0:.0f} ms, then {t1:.0f} ms; {m0} KiB, then {m1} KiB')
        if (s0 or s1) != (name == 'mistakes'):
            bad.append(f'{name}: status {s0}, {s1}')
    if rows[0][2][0] > 10 or rows[0][2][2]:
        bad.append(f'an ordinary script: {rows[0][2][0]:.1f} ms, status {rows[0][2][2]}')
    for name, n, (ms, kib, _) in rows:
        lines.append(f'| {name} | {n} | {ms:.1f} | {kib / 1024:.1f} |')
    table = f'`dyntrace -e`, the whole process; median of 5 runs, time on a processor; up to 18 MiB are those of the program that measures; Linux {os.uname().release}\n\n' \
        '| script | of them | ms of CPU | MiB |\n| --- | --- | --- | --- |\n' + '\n'.join(lines) + '\n'
    if not check:
        print(table, end='')
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'results', 'compile.md'), 'w') as f:
            f.write(table)
    for b in bad:
        print('out of bounds: ' + b)
    if check:
        print(f"{'not ' if bad else ''}ok 1 - compiling takes time and memory in proportion\n1..1")
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
