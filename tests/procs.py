# SPDX-License-Identifier: MIT
"""Programs that tests begin: which live, what is waited for, how they end."""
import contextlib
import ctypes
import os
import signal
import sys
import time

SLOW = int(os.environ.get('DYNTRACE_SLOW', '1')) # times as much time for all that is waited for


def take_signals():
    """A shell's background jobs ignore some of them (nohup another), and so would the programs that are started here."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    end_in_order()


def end_in_order():
    """What was begun is ended, as at Ctrl-C."""
    for sig in signal.SIGTERM, signal.SIGHUP:
        signal.signal(sig, lambda *_: sys.exit(1))


def ends_with_us():
    """For Popen's preexec_fn: a daemon goes when the test does, whatever ends that."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM) # PR_SET_PDEATHSIG


def stat(pid):
    """(name, what /proc/PID/stat says behind it: state, parent, group...); OSError: there is no such process."""
    with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as f:
        head, rest = f.read().rsplit(')', 1)
    return head.split('(', 1)[1], rest.split()


def alive(pid):
    try:
        return stat(pid)[1][0] not in 'ZX'
    except OSError:
        return False


def end_group(leader):
    """Ends all that a program has begun in its group: their names. The group's number is nobody else's as long as somebody
    is in it."""
    names = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        with contextlib.suppress(OSError):
            name, rest = stat(pid)
            if int(rest[2]) == leader and rest[0] not in 'ZX':
                names.append(name)
    if names:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(leader, signal.SIGKILL)
    return names


def wait_for(get, what, timeout=30):
    """The first true value of @get()."""
    end = time.monotonic() + timeout * SLOW
    while time.monotonic() < end:
        got = get()
        if got:
            return got
        time.sleep(0.02)
    raise AssertionError(f'timed out after {timeout} s, waiting for {what}')
