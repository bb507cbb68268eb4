#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""User stacks against gdb's: programs that block again and again in the same place.  The stack of the last
entry into the blocking function must be gdb's backtrace of the process as it stands blocked there."""
import os
import re
import subprocess
import tempfile
import time

import lib

FRAMES = 60


def bases(pid):
    """{base name: load bias} of the mapped files; 0 for executables that are not position-independent."""
    found = {}
    for start, _, _, off, path in lib.maps(pid):
        if path.startswith('/') and off == 0 and os.path.basename(path) not in found:
            with open(f'/proc/{pid}/root{path}', 'rb') as f:
                head = f.read(18)
            found[os.path.basename(path)] = (0 if head[16:18] == b'\2\0' else start, path)
    return found


def symbol_addresses(path, cache={}):
    """{name: [vaddr]} from the file and, by build-id, its debug file."""
    if path in cache:
        return cache[path]
    files = [path]
    notes = subprocess.run(['readelf', '-n', path], capture_output=True, text=True, check=False).stdout
    m = re.search(r'Build ID: ([0-9a-f]{40})', notes)
    if m:
        debug = f'/usr/lib/debug/.build-id/{m.group(1)[:2]}/{m.group(1)[2:]}.debug'
        if os.path.exists(debug):
            files.append(debug)
    syms = {}
    for f in files:
        for line in subprocess.run(['readelf', '-sW', f], capture_output=True, text=True, check=False).stdout.splitlines():
            p = line.split()
            if len(p) >= 8 and p[0][:-1].isdigit() and p[6] != 'UND':
                syms.setdefault(p[7].split('@')[0], []).append(int(p[1], 16))
    cache[path] = syms
    return syms


def gdb_stack(pid):
    """[(pc, text)] of the main thread."""
    r = subprocess.run(['gdb', '-batch', '-nx', '-p', str(pid), '-ex', 'set width 0', '-ex', 'set print frame-info location-and-address',
                        '-ex', 'set backtrace past-main on', '-ex', 'thread 1', '-ex', 'echo STACK\\n', '-ex', f'bt {FRAMES}'], capture_output=True, text=True, timeout=120 * lib.SLOW, check=False)
    frames = [(int(m.group(1), 16), m.group(0)) for m in re.finditer(r'^#\d+\s+(0x[0-9a-f]+) in .*$', r.stdout.partition('STACK')[2], re.M)]
    assert frames, r.stdout[-1500:] + r.stderr[-1500:]
    return frames


def frame_matches(text, addr, where):
    """Whether dyntrace's `mod`sym+0x10` (or `mod`0x...`, `0x...`) means address @addr."""
    m = re.match(r'^0x([0-9a-f]+)$', text)
    if m:
        return int(m.group(1), 16) == addr
    mod, _, rest = text.partition('`')
    if mod not in where:
        return False
    bias, path = where[mod]
    m = re.match(r'^0x([0-9a-f]+)$', rest)
    if m:
        return addr in (int(m.group(1), 16), int(m.group(1), 16) + bias)
    name, _, off = rest.partition('+')
    off = int(off or '0', 16)
    return any(a + bias + off == addr for a in symbol_addresses(path).get(name, ()))


def compare(pid, function):
    """Frames above @function must be the same in both; dyntrace may see more where gdb gives up, never less."""
    r = lib.dyntrace('-q', '-n', f'pid$target:libc.so*:{function}:entry {{ @[ustack({FRAMES})] = count(); }} tick-1500ms {{ exit(0); }}',
                     '-p', str(pid))
    stacks = [[l.strip() for l in s.strip().splitlines()] for s in re.split(r'\n\s*\n', r.stdout) if '`' in s]
    stacks = [[l for l in s if not re.match(r'^\d+$', l)] for s in stacks]
    assert stacks, f'no stack: {r.stdout[-500:]} {r.stderr[-500:]}'
    gdb = gdb_stack(pid)
    where = bases(pid)
    best = None
    for stack in stacks:
        # Frame 0 is the function itself: gdb stands behind its system call.
        wrong = [(g, w[1]) for g, w in zip(stack[1:], gdb[1:]) if not frame_matches(g, w[0], where)]
        if len(stack) < len(gdb):
            wrong.append(('(ends)', gdb[len(stack)][1]))
        if best is None or len(wrong) < len(best):
            best = wrong
    assert best == [], 'frames differ:\n' + '\n'.join(f'dyntrace {g}   gdb {w}' for g, w in best[:10]) + \
        '\nall of dyntrace:\n' + '\n'.join(stacks[0])


def blocked(argv, function, **kw):
    lib.need('gdb', argv[0])
    with tempfile.TemporaryDirectory() as work:
        proc = subprocess.Popen(argv, cwd=work, env=lib.clean_env(), stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, **{'stdin': subprocess.DEVNULL, **kw})
        try:
            time.sleep(1)
            assert proc.poll() is None
            compare(proc.pid, function)
            lib.assert_untouched(proc.pid)
        finally:
            proc.kill()
            proc.wait()


PYTHON = '''
import time
def deep(n):
    if n:
        return sorted([1, 2], key=lambda x: deep(n - 1) if x == 1 else 0)
    while True:
        time.sleep(0.2)
deep(4)
'''


def main():
    tap = lib.Tap()
    tap.run('python3 in time.sleep', lambda: blocked(['/usr/bin/python3', '-c', PYTHON], 'clock_nanosleep'))
    tap.run('redis-server in epoll_wait', lambda: blocked(['redis-server', '--port', '0', '--unixsocket', 'sock', '--save', ''], 'epoll_wait'))
    tap.run('bash in waitpid', lambda: blocked(['/bin/bash', '-c', 'f() { while true; do sleep 0.2; :; done; }; f'], 'waitpid'))
    tap.run('perl in select', lambda: blocked(['/usr/bin/perl', '-e', 'sub f { select(undef, undef, undef, 0.2) while 1 } f()'], 'select'))
    tap.done()


if __name__ == '__main__':
    main()
