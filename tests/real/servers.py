# SPDX-License-Identifier: MIT
"""Servers that tests trace: a port of their own, begun and ended."""
import contextlib
import signal
import socket
import subprocess

import lib


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def port_open(port):
    with socket.socket() as s:
        return s.connect_ex(('127.0.0.1', port)) == 0


@contextlib.contextmanager
def server(argv, ready, cwd, user=None, stop=signal.SIGTERM):
    """From when @ready(), to @stop."""
    proc = subprocess.Popen(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                            env=lib.clean_env(PATH='/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'), user=user,
                            extra_groups=[] if user else None)
    try:
        lib.wait_for(ready, f'{argv[0]} to answer')
        yield proc
    finally:
        proc.send_signal(stop)
        try:
            proc.wait(20 * lib.SLOW)
        except subprocess.TimeoutExpired:
            proc.kill()
            proc.wait()
