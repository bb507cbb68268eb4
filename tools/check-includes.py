#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds every #include between rooms against the table in ARCHITECTURE.md.  Speaks TAP.

usage: check-includes.py [ROOT]
"""
import os
import re
import sys


def table(root):
    rooms = {}
    with open(os.path.join(root, 'ARCHITECTURE.md'), encoding='utf-8') as f:
        for line in f:
            cells = [c.strip() for c in line.strip().strip('|').split('|')]
            if len(cells) == 3 and re.match(r'^[a-z]+( \(resident\))?$', cells[0]):
                rooms[cells[0].split()[0]] = set(filter(None, re.split(r',\s*', cells[2])))
    return rooms


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), '..')
    rooms = table(root)
    src = os.path.join(root, 'src')
    folders = sorted(d for d in os.listdir(src) if os.path.isdir(os.path.join(src, d)))
    for n, room in enumerate(folders, 1):
        wrong = [] if room in rooms else [f'room {room} is not in the table']
        for folder, _, files in os.walk(os.path.join(src, room)):
            for name in (f for f in files if f.endswith(('.c', '.h', '.S', '.def'))):
                path = os.path.join(folder, name)
                with open(path, encoding='utf-8') as f:
                    for m in re.finditer(r'^\s*#\s*include\s+"([^"/]+)/([^"]+)"', f.read(), re.M):
                        used, header = m.groups()
                        if used in folders and used != room and used not in rooms.get(room, ()):
                            wrong.append(f'{os.path.relpath(path, root)} includes {used}/{header}')
                        if used in folders and used != room and header.endswith('_int.h'):
                            wrong.append(f'{os.path.relpath(path, root)} includes the private {used}/{header}')
        print(f"{'not ' if wrong else ''}ok {n} - {room} uses only what it may")
        for w in wrong:
            print('# ' + w)
    print(f'1..{len(folders)}')


if __name__ == '__main__':
    main()
