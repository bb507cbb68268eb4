#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Files as strings of C.  usage: embed-text.py OUTPUT FILE...

For share/scripts/NAME.d: const char embedded_NAME[].
"""
import os
import sys


def literal(line):
    return '\t"' + line.replace('\\', '\\\\').replace('"', '\\"') + '\\n"'


def main():
    out = ['/* Made by embed-text.py. */']
    for path in sys.argv[2:]:
        name = os.path.basename(path).rsplit('.', 1)[0]
        with open(path, encoding='utf-8') as f:
            lines = f.read().split('\n')[:-1]
        out += [f'extern const char embedded_{name}[];', f'const char embedded_{name}[] =', *map(literal, lines)]
        out[-1] += ';'
    with open(sys.argv[1], 'w', encoding='utf-8') as f:
        f.write('\n'.join(out) + '\n')


if __name__ == '__main__':
    main()
