#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""libdyntrace: the example of its manual page, compiled and run, and what it says when things go wrong."""
import ctypes
import json
import os
import re
import subprocess
import sys

import lib
import test_verbs

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'run'))
import man  # noqa: E402

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
FOLDER = os.path.join(lib.BUILD, 'src', 'keep')


def example():
    with open(os.path.join(TOP, 'man', 'libdyntrace.3'), encoding='utf-8') as f:
        code = re.search(r'\.\\" example\n\.EX\n(.*?)\.EE\n', f.read(), re.S).group(1)
    return '\n'.join(man.plain(line) for line in code.split('\n'))


def the_manual_s_example():
    lib.need('cc')
    with test_verbs.Calls(threads=1, rounds=1000) as c:
        src, exe = c.path('example.c'), c.path('example')
        with open(src, 'w', encoding='utf-8') as f:
            f.write(example())
        subprocess.run(['cc', '-Wall', '-Wextra', '-Werror', '-I', os.path.join(TOP, 'include'), src, '-o', exe, '-L', FOLDER, '-ldyntrace',
                        '-Wl,-rpath,' + os.path.abspath(FOLDER)], check=True)
        p = subprocess.Popen([exe, str(c.pid), 'work'], env=c.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(100):
            r = subprocess.run([lib.DYNTRACE, 'list-tracepoints', str(c.pid)], env=c.env, capture_output=True, text=True, check=False)
            if 'tp-0' in r.stdout:
                break
        c.go()
        out, err = p.communicate(timeout=30 * lib.SLOW)
        assert (p.returncode, out, err) == (0, 'work: 1000 entered, 1000 returned\n', ''), (p.returncode, out, err)
        c.run('verify', c.pid)
        r = subprocess.run([exe, str(c.pid), 'nosuch'], env=c.env, capture_output=True, text=True, check=False)
        assert r.returncode == 1 and 'nosuch' in r.stderr, r
        r = subprocess.run([exe, '999999999', 'work'], env=c.env, capture_output=True, text=True, check=False)
        assert r.returncode == 1 and 'process' in r.stderr, r


def as_installed():
    """What `meson install` puts where: pkg-config alone finds header and library, and the program beside it does the work."""
    lib.need('cc', 'meson', 'pkg-config')
    with test_verbs.Calls(threads=1, rounds=1000) as c:
        top = c.path('top')
        subprocess.run(['meson', 'install', '-C', lib.BUILD, '--no-rebuild', '--destdir', top], check=True, capture_output=True)
        find = subprocess.run(['find', top, '-name', 'dyntrace.pc', '-o', '-name', 'libdyntrace.so', '-o', '-path', '*/bin/dyntrace'], capture_output=True,
                              text=True, check=True).stdout.split()
        where = {os.path.basename(p): os.path.dirname(p) for p in find}
        prefix = os.path.dirname(where['dyntrace'])
        with open(f'{where["dyntrace.pc"]}/dyntrace.pc', encoding='utf-8') as f:
            text = re.sub(r'^prefix=.*', 'prefix=' + prefix, f.read(), flags=re.M)
        with open(f'{where["dyntrace.pc"]}/dyntrace.pc', 'w', encoding='utf-8') as f:
            f.write(text)
        env = dict(c.env, PKG_CONFIG_PATH=where['dyntrace.pc'], LD_LIBRARY_PATH=where['libdyntrace.so'], PATH=f'{where["dyntrace"]}:{c.env["PATH"]}')
        flags = subprocess.run(['pkg-config', '--cflags', '--libs', 'dyntrace'], env=env, capture_output=True, text=True, check=True).stdout.split()
        subprocess.run(['cc', '-x', 'c', '-', '-o', c.path('example'), *flags], input=example(), text=True, check=True)
        p = subprocess.Popen([c.path('example'), str(c.pid), 'work'], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        lib.wait_for(lambda: 'tp-0' in subprocess.run([lib.DYNTRACE, 'list-tracepoints', str(c.pid)], env=c.env, capture_output=True, text=True,
                                                      check=False).stdout, 'tracepoint')
        c.go()
        out, err = p.communicate(timeout=30)
        assert (p.returncode, out, err) == (0, 'work: 1000 entered, 1000 returned\n', ''), (p.returncode, out, err)
        c.run('verify', c.pid)


class Error(ctypes.Structure):
    _fields_ = [('code', ctypes.c_int), ('message', ctypes.c_char * 1024)]


def calls_from_elsewhere():
    so = ctypes.CDLL(os.path.join(FOLDER, 'libdyntrace.so'))
    with test_verbs.Calls(threads=1, rounds=10) as c:
        os.environ['XDG_RUNTIME_DIR'] = c.dir
        err, text = Error(), ctypes.c_char_p()
        tracer = (ctypes.c_char_p * 3)(b'hist', b'arg1', None)
        assert so.dyntrace_list(c.pid, ctypes.byref(text), ctypes.byref(err)) == -2 and b'not attached' in err.message
        assert so.dyntrace_attach(c.pid, ctypes.byref(err)) == 0, err.message
        assert so.dyntrace_add(c.pid, b'work', 0, b'mine', tracer, None, ctypes.byref(err)) == 0, err.message
        assert so.dyntrace_add(c.pid, b'work', 0, b'mine', tracer, None, ctypes.byref(err)) < 0 and b'already' in err.message
        assert so.dyntrace_add(c.pid, b'work', 2, None, tracer, None, None) < 0
        c.go()
        assert so.dyntrace_list(c.pid, ctypes.byref(text), ctypes.byref(err)) == 0
        point = json.loads(text.value)['tracepoints'][0]
        assert point['name'] == 'mine' and sum(b['count'] for b in point['buckets']) == 10, point
        assert so.dyntrace_detach(c.pid, ctypes.byref(err)) == 0, err.message
        assert so.dyntrace_remove(c.pid, b'mine', None, ctypes.byref(err)) == -2
        assert so.dyntrace_remove(c.pid, None, None, ctypes.byref(err)) == -22


def only_what_is_public():
    lib.need('nm')
    out = subprocess.run(['nm', '-D', '--defined-only', os.path.join(FOLDER, 'libdyntrace.so')], capture_output=True, text=True, check=True).stdout
    names = {line.split()[2] for line in out.splitlines() if line.split()[1] == 'T'}
    assert names == {f'dyntrace_{n}@@DYNTRACE_0.1' for n in ('attach', 'detach', 'add', 'remove', 'list')}, names


if __name__ == '__main__':
    tap = lib.Tap()
    for test in (the_manual_s_example, as_installed, calls_from_elsewhere, only_what_is_public):
        tap.run(test.__name__.replace('_', ' '), test)
    tap.done()
