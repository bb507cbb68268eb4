#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tracers that others write: the example of dyntrace-tracer(3), compiled and used, and those that are not to be loaded."""
import os
import re
import shutil
import subprocess
import time

import lib
from test_verbs import Calls

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')


def example():
    with open(os.path.join(TOP, 'man', 'dyntrace-tracer.3'), encoding='utf-8') as f:
        code = re.search(r'\.\\" example\n\.EX\n(.*?)\.EE\n', f.read(), re.S).group(1)
    return code.replace('\\e', '\\').replace('\\-', '-')


class Place:
    """A copy of the program with a folder of tracers beside it."""

    def __init__(self, c):
        self.dir = c.path('place')
        self.tracers = os.path.join(self.dir, 'tracers')
        os.makedirs(self.tracers, mode=0o755)
        os.chmod(self.tracers, 0o755)
        for name in ('dyntrace', 'libdyntrace-agent.so'):
            shutil.copy(os.path.join(lib.BUILD, name), self.dir)
        self.saved, lib.DYNTRACE = lib.DYNTRACE, os.path.join(self.dir, 'dyntrace')

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        lib.DYNTRACE = self.saved

    def compile(self, name, code):
        path = os.path.join(self.tracers, name + '.so')
        subprocess.run(['cc', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC', '-I', os.path.join(TOP, 'include'), '-x', 'c', '-',
                        '-o', path], input=code, text=True, check=True)
        os.chmod(path, 0o755)
        return path


def the_manual_s_example():
    lib.need('cc')
    with Calls(threads=1, rounds=3) as c, Place(c) as place:
        place.compile('csv', example())
        out = c.path('out.csv')
        c.add('work', '-e', '-n', 'w', 'csv', out)
        c.run('add', f'{c.pid}:work', 'csv', status=1, says='csv wants the name of a file')
        c.go()
        time.sleep(0.4)
        assert c.points()['w']['lines'] == 6
        with open(out, encoding='utf-8') as f:
            lines = f.read().splitlines()
        assert len(lines) == 6, lines
        assert all(re.match(r'\d+,work,return,0,-?\d+$' if i % 2 else r'\d+,work,entry,\d+,\d+$', s) for i, s in enumerate(lines)), lines
        c.run('rm', f'{c.pid}:w', says='^6 lines$')
        c.run('detach', c.pid)
        c.run('verify', c.pid)


def not_loaded():
    lib.need('cc')
    if os.getuid():
        raise lib.Skip('files of root are needed')
    with Calls(threads=1, rounds=1) as c, Place(c) as place:
        c.run('add', f'{c.pid}:work', 'nosuch', status=1, says='there is no tracer nosuch; there are log')
        c.run('add', f'{c.pid}:work', '../csv', status=1, says='there is no tracer')
        path = place.compile('open', example())
        os.chmod(path, 0o777)
        c.run('add', f'{c.pid}:work', 'open', c.path('x'), status=1, says="must be root's")
        os.chmod(path, 0o755)
        os.chmod(place.tracers, 0o777)
        c.run('add', f'{c.pid}:work', 'open', c.path('x'), status=1, says="must be root's")
        os.chmod(place.tracers, 0o755)
        os.chmod(place.dir, 0o777)
        c.run('add', f'{c.pid}:work', 'open', c.path('x'), status=1, says="must be root's")
        os.chmod(place.dir, 0o755)
        os.symlink(path, os.path.join(place.tracers, 'link.so'))
        c.run('add', f'{c.pid}:work', 'link', c.path('x'), status=1, says="must be root's")
        place.compile('old', example().replace('DYNTRACE_TRACER_VERSION, sizeof', 'DYNTRACE_TRACER_VERSION + 1, sizeof'))
        c.run('add', f'{c.pid}:work', 'old', c.path('x'), status=1, says='is no tracer of version 1')
        place.compile('empty', 'int nothing;')
        c.run('add', f'{c.pid}:work', 'empty', status=1, says='must export')
        with open(os.path.join(place.tracers, 'text.so'), 'w', encoding='utf-8') as f:
            f.write('no library')
        os.chmod(os.path.join(place.tracers, 'text.so'), 0o644)
        c.run('add', f'{c.pid}:work', 'text', status=1, says='cannot be loaded')
        c.run('list-tracepoints', c.pid, status=1, says='not attached')  # what failed has left nothing


if __name__ == '__main__':
    tap = lib.Tap()
    for test in (the_manual_s_example, not_loaded):
        tap.run(test.__name__.replace('_', ' '), test)
    tap.done()
