#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whether the manual has an entry for everything that the compiler's tables know, and an example that uses it.

usage: mancover.py SOURCE

Functions and variables: a word of dyntrace-d.7 outside of its examples, and one in the code of an example.  Options: a
word of dyntrace.1 or dyntrace-d.7.  Speaks TAP.
"""
import os
import re
import sys

import man


def text_of(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def page(path):
    """What stands outside of .EX blocks, and in the examples' code."""
    lines = text_of(path).split('\n')
    prose, code, inside = [], [], False
    for line in lines:
        inside = line == '.EX' or inside and line != '.EE'
        if not inside and not line.startswith('.\\"'):
            prose.append(re.sub(r'\\f.', '', man.plain(line)))
    for ex in man.examples(lines):
        code += ex.code + ex.opts
    return '\n'.join(prose), '\n'.join(code)


def has(text, word):
    return re.search(r'(?<![A-Za-z0-9_])' + re.escape(word) + r'(?![A-Za-z0-9_])', text) is not None


def names(path, table):
    """First strings of the entries of a C table."""
    body = re.search(re.escape(table) + r'\[\] = \{(.*?)\n\};', text_of(path), re.S)
    if not body:
        raise SystemExit(f'{path}: there is no table {table}')
    return [n for n in re.findall(r'\{ "(\w+)"', body.group(1)) if not n.startswith('__')]


def check(what, missing):
    print(f"{'not ' if missing else ''}ok - {what}")
    for m in missing:
        print('# ' + m)
    return bool(missing)


def main():
    src = sys.argv[1]
    prose, code = page(os.path.join(src, 'man', 'dyntrace-d.7'))
    command = page(os.path.join(src, 'man', 'dyntrace.1'))[0]
    d = os.path.join(src, 'src', 'd')
    words = {'functions': names(os.path.join(d, 'func.c'), 'funcs'), 'variables': names(os.path.join(d, 'sym.c'), 'builtins')}
    failed = 0
    for kind, found in words.items():
        failed += check(f'{kind} have an entry', [n for n in found if not has(prose, n)])
        failed += check(f'{kind} have an example', [n for n in found if not has(code, n)])
    options = re.findall(r'^OPTION\((\w+)', text_of(os.path.join(src, 'src', 'cli', 'options.def')), re.M)
    failed += check('options have an entry', [o for o in options if not has(prose + command, o)])
    pragmas = ['option', 'attributes', 'binding', 'depends_on', 'error']
    failed += check('pragmas have an example', [p for p in pragmas if not re.search(r'#pragma D ' + p, code)])
    declared = ['inline', 'translator', 'provider', 'typedef', 'struct', 'union', 'enum', 'offsetof', 'sizeof', 'stringof', 'xlate']
    failed += check('declarations and operators have an example', [k for k in declared if not has(code, k)])
    print('1..7')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
