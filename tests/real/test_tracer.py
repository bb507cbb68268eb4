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


def installed():
    """As `meson install` puts it: the folder is there, pkg-config names it, the program looks there."""
    lib.need('cc', 'meson', 'pkg-config')
    if os.getuid():
        raise lib.Skip('files of root are needed')
    with Calls(threads=1, rounds=3) as c:
        top = c.path('top')
        subprocess.run(['meson', 'install', '-C', lib.BUILD, '--no-rebuild', '--destdir', top], check=True, capture_output=True)
        pc = subprocess.run(['find', top, '-name', 'dyntrace.pc'], capture_output=True, text=True, check=True).stdout.strip()
        env = dict(os.environ, PKG_CONFIG_PATH=os.path.dirname(pc), PKG_CONFIG_SYSROOT_DIR='')
        folder = top + subprocess.run(['pkg-config', '--variable=tracersdir', 'dyntrace'], env=env, capture_output=True, text=True, check=True).stdout.strip()
        assert os.path.isdir(folder), folder
        headers = os.path.dirname(subprocess.run(['find', top, '-name', 'tracer.h'], capture_output=True, text=True, check=True).stdout.strip())
        subprocess.run(['cc', '-shared', '-fPIC', '-I', os.path.dirname(headers), '-x', 'c', '-', '-o', f'{folder}/csv.so'], input=example(),
                       text=True, check=True)
        saved, lib.DYNTRACE = lib.DYNTRACE, subprocess.run(['find', top, '-path', '*/bin/dyntrace'], capture_output=True, text=True, check=True).stdout.strip()
        try:
            out = c.path('out.csv')
            c.add('work', '-n', 'w', 'csv', out)
            c.go()
            time.sleep(0.4)
            assert c.points()['w']['lines'] == 3
            c.run('detach', c.pid)
        finally:
            lib.DYNTRACE = saved


def not_loaded():
    lib.need('cc')
    if os.getuid():
        raise lib.Skip('files of root are needed')
    with Calls(threads=1, rounds=1) as c, Place(c) as place:
        c.run('add', f'{c.pid}:work', 'nosuch', status=1, says='there is no tracer nosuch; there are log')
        said = f'nosuch.so is not in {place.tracers}, {c.dir}/lib/dyntrace/tracers, {c.dir}/lib/x86_64-linux-gnu/dyntrace/tracers'
        c.run('add', f'{c.pid}:work', 'nosuch', status=1, says=said)
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
        # Nor does it take anything from those that are there.
        c.add('work', '-n', 'there', 'count')
        for tracer in 'nosuch', 'link', 'old', 'empty', 'text':
            c.run('add', f'{c.pid}:work', '-n', 'not', tracer, c.path('x'), status=1)
        assert list(c.points()) == ['there'], c.points()
        c.go()
        assert c.points()['there']['hits'] == 1, c.points()
        c.run('detach', c.pid)
        c.run('verify', c.pid)


if __name__ == '__main__':
    tap = lib.Tap()
    for test in (the_manual_s_example, installed, not_loaded):
        tap.run(test.__name__.replace('_', ' '), test)
    tap.done()
