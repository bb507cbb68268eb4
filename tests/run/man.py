#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The examples of a manual page, run as tests.

usage: man.py DYNTRACE PAGE [--bless] [PATTERN...]

In the page's source:
  .\\" example NAME [OPTIONS [-- ARGUMENTS]]
  .EX
  a D program
  .EE
  .\\" output          (optional: without it only the exit status counts)
  .EX
  what it prints
  .EE
Options are those of the command; -q is always there.  `error` as the first option: the program is wrong, and the
output is its messages.  Speaks TAP.  --bless puts what is printed now into the page; look at the diff.
"""
import argparse
import fnmatch
import os
import re
import shlex
import subprocess
import sys
import tempfile

FROM_ROFF = [(r'\(aq', "'"), (r'\(dq', '"'), (r'\(rs', '\\'), (r'\(ha', '^'), (r'\(ti', '~'), (r'\(ga', '`'),
             (r'\-', '-'), (r'\&', ''), (r'\e', '\\')]


def plain(line):
    out, i = '', 0
    while i < len(line):
        for roff, text in FROM_ROFF:
            if line.startswith(roff, i):
                out += text
                i += len(roff)
                break
        else:
            out += line[i]
            i += 1
    return out


def roff(line):
    line = line.replace('\\', r'\e').replace('-', r'\-').replace("'", r'\(aq').replace('^', r'\(ha')
    line = line.replace('~', r'\(ti').replace('`', r'\(ga')
    return r'\&' + line if line[:1] in ('.',) or line.startswith(r'\(aq') else line


class Example:
    def __init__(self, head, code):
        words = shlex.split(head)
        self.name = words[0]
        args = words[1:]
        self.wrong = args[:1] == ['error']
        args = args[self.wrong:]
        cut = args.index('--') if '--' in args else len(args)
        self.opts, self.args = args[:cut], args[cut + 1:]
        self.code = code
        self.output = None      # lines
        self.span = None        # of them in the page

    def run(self, exe):
        with tempfile.TemporaryDirectory() as tmp:
            with open(os.path.join(tmp, 'example.d'), 'w', encoding='utf-8') as f:
                f.write('\n'.join(self.code) + '\n')
            env = dict(os.environ, LC_ALL='C', TZ='UTC', PATH=os.path.dirname(exe) + ':' + os.environ['PATH'])
            p = subprocess.run([exe, '-q'] + self.opts + ['-s', 'example.d'] + self.args, cwd=tmp, env=env, timeout=20 * int(os.environ.get('DYNTRACE_SLOW', '1')),
                               stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return p.returncode, p.stdout, p.stderr

    def said(self, got):
        text = got[2] if self.wrong else got[1]
        return re.sub(r'0x[0-9a-f]{5,}', '0x...', text).strip('\n').split('\n')


def block(lines, i):
    """The .EX block at line i: its lines, the index behind .EE."""
    if lines[i] != '.EX':
        raise SystemExit(f'line {i + 1}: .EX is wanted')
    end = lines.index('.EE', i)
    return lines[i + 1:end], end + 1


def examples(lines):
    found, i = [], 0
    while i < len(lines):
        m = re.match(r'\.\\" example (.*)', lines[i])
        if not m:
            i += 1
            continue
        code, i = block(lines, i + 1)
        ex = Example(m.group(1), [plain(l) for l in code])
        if i < len(lines) and lines[i] == r'.\" output':
            text, end = block(lines, i + 1)
            ex.output, ex.span = [plain(l) for l in text], (i + 2, end - 1)
            i = end
        found.append(ex)
    return found


def wrong_with(ex, got):
    if got[0] != (1 if ex.wrong else 0):
        return [f'status {got[0]}'] + (got[1] + got[2]).split('\n')
    said = ex.said(got)
    if ex.output is not None and said != ex.output:
        return ['wanted:'] + ex.output + ['said:'] + said
    return []


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument('exe')
    ap.add_argument('page')
    ap.add_argument('patterns', nargs='*')
    ap.add_argument('--bless', action='store_true')
    args = ap.parse_intermixed_args()
    exe = os.path.abspath(args.exe)
    with open(args.page, encoding='utf-8') as f:
        lines = f.read().split('\n')
    todo = [e for e in examples(lines) if not args.patterns or any(fnmatch.fnmatch(e.name, p) for p in args.patterns)]
    failed, edits = 0, []
    for i, ex in enumerate(todo, 1):
        got = ex.run(exe)
        if args.bless and ex.span:
            edits.append((ex.span, [roff(l) for l in ex.said(got)]))
            ex.output = ex.said(got)
        wrong = wrong_with(ex, got)
        failed += bool(wrong)
        print(f"{'not ' if wrong else ''}ok {i} - {ex.name}", flush=True)
        for line in wrong:
            print('# ' + line)
        if wrong:
            print('# again: ' + ' '.join([sys.argv[0], args.exe, args.page, ex.name]))
    for (start, end), text in reversed(edits):
        lines[start:end] = text
    if edits:
        with open(args.page, 'w', encoding='utf-8') as f:
            f.write('\n'.join(lines))
    print(f'1..{len(todo)}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
