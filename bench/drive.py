# SPDX-License-Identifier: MIT
"""Targets and tracers: start, pin, sample, end."""
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))


class Target:
    """The hot loop, pinned to one processor; collects the ns per call that it prints."""

    def __init__(self, argv, env=None):
        self.values = []
        self.proc = subprocess.Popen(['taskset', '-c', '0', *argv], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL, text=True, env=env)
        self.pid = self.proc.pid
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.proc.stdout:
            try:
                self.values.append(float(line))
            except ValueError:
                pass

    def sample(self, seconds, least=5):
        """The median of @seconds, of @least figures at least where the machine is busy."""
        first = len(self.values) + 1
        end = time.monotonic() + seconds
        while time.monotonic() < end or (len(self.values) - first < least and time.monotonic() < end + max(10 * seconds, 15)):
            time.sleep(0.05)
            if self.proc.poll() is not None:
                break
        got = self.values[first:]
        return statistics.median(got) if got else float('nan')

    def end(self):
        self.proc.kill()
        self.proc.wait()


class Tracer:
    """A program that traces, on the other processor; ended as somebody at a terminal would."""

    def __init__(self, argv, out=subprocess.DEVNULL, env=None, cpus='1'):
        self.errs = tempfile.TemporaryFile()
        self.proc = subprocess.Popen(['taskset', '-c', cpus, *argv], stdin=subprocess.DEVNULL, stdout=out,
                                     stderr=self.errs, env=env, start_new_session=True)
        self.pid = self.proc.pid

    def runs(self):
        return self.proc.poll() is None

    def cpu_seconds(self):
        """Processor time so far, of its children, too."""
        return sum(cpu_seconds(p) for p in family(self.pid))

    def end(self, patience=60):
        if self.proc.poll() is None: # once: taskset, unshare and sh have become it, and a second one would hurry it
            quiet_kill(self.pid, 2)
        try:
            self.proc.wait(patience)
        except subprocess.TimeoutExpired:
            for p in family(self.pid):
                quiet_kill(p, 9)
            self.proc.wait()
        self.errs.seek(0)
        return self.errs.read().decode(errors='replace')


def quiet_kill(pid, sig):
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass


def family(pid):
    """The process and its descendants."""
    found = [pid]
    try:
        for task in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{task}/children', encoding='ascii') as f:
                for child in f.read().split():
                    found += family(int(child))
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def comm(pid):
    try:
        with open(f'/proc/{pid}/comm', encoding='utf-8', errors='replace') as f:
            return f.read().strip()
    except OSError:
        return ''


def cpu_seconds(pid):
    """Of the process: from the scheduler, in ns, since ticks are too coarse."""
    total = 0
    try:
        for task in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{task}/schedstat', encoding='ascii') as f:
                total += int(f.read().split()[0])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return total / 1e9


def rss_kib(pid):
    try:
        with open(f'/proc/{pid}/status', encoding='ascii') as f:
            for line in f:
                if line.startswith('VmRSS'):
                    return int(line.split()[1])
    except FileNotFoundError:
        pass
    return 0


def say(text):
    print(f'{text[:76]:<78}', end='\r', file=sys.stderr, flush=True)
