# SPDX-License-Identifier: MIT
"""What is compared is measured in the same moment: one process calls all functions in turn (pairs.c), each tracer has one of its own.

What a hit costs is the median, over the turns, of what a call took more than one of the same function that nobody traces.
"""
import re
import signal
import statistics
import subprocess
import tempfile
import threading
import time

import drive
import peers
from peers import BYTE, CPU
from store import Lost

LAP = 32 # turns in which each tracer has once gone through its buffer of 32 MiB, whose pages are new the first time
ENOUGH = 25 # turns, where the machine is busy
LEAST = 0.01 # ns, where a ratio needs that it is not nothing
QUICK = 1.06 # in a quick moment the untraced call takes at most so many times what it takes at least
FEW = 8 # turns, of which less is not said


class Process:
    """pairs.c, calling @functions in turn.  @by: what starts it."""

    def __init__(self, by, exe, mode, functions, env=None):
        self.functions, self.turns, self.pid = functions, [], 0
        self.there, self.errs = threading.Event(), tempfile.TemporaryFile()
        self.proc = subprocess.Popen([*by, exe, mode, *functions], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                     stderr=self.errs, text=True, env=env)
        threading.Thread(target=self.read, daemon=True).start()
        if not self.there.wait(20):
            self.end()
            raise RuntimeError(f'{exe} does not start')

    def read(self):
        for line in self.proc.stdout:
            m = re.match(r'pid (\d+)$', line)
            if m:
                self.pid = int(m[1])
                self.there.set()
            fields = line.split()
            try:
                values = [float(x) for x in fields]
            except ValueError:
                continue
            if len(values) == 3 * len(self.functions):
                self.turns.append({f: values[3 * i:3 * i + 3] for i, f in enumerate(self.functions)})

    def wait_turns(self, cnt, seconds=120.0):
        """@cnt more of them; whether it went on that long."""
        last, end = len(self.turns) + cnt, time.monotonic() + seconds
        while len(self.turns) < last and time.monotonic() < end and self.proc.poll() is None:
            time.sleep(0.02)
        return len(self.turns) >= last

    def wait_probed(self, functions, seconds):
        """Until each of them begins with another byte than in the first turn."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.proc.poll() is None:
            first, last = self.turns[0], self.turns[-1]
            if all(first[f][BYTE] != last[f][BYTE] for f in functions):
                return
            time.sleep(0.02)
        raise RuntimeError('no probe came to ' + ', '.join(functions))

    def sample(self, seconds):
        """The turns of so many seconds, but for the one that is under way."""
        self.wait_turns(1)
        first = len(self.turns)
        time.sleep(seconds)
        self.wait_turns(first + ENOUGH - len(self.turns), 20 * seconds)
        if len(self.turns) - first < 3:
            raise RuntimeError('the target does not go on')
        return self.turns[first:]

    def end(self, sig=signal.SIGTERM):
        """What it (or what has started it) said to stderr."""
        drive.quiet_kill(self.pid or self.proc.pid, sig)
        try:
            self.proc.wait(20)
        except subprocess.TimeoutExpired:
            drive.quiet_kill(self.pid or self.proc.pid, signal.SIGKILL)
            self.proc.kill()
            self.proc.wait()
        self.errs.seek(0)
        return self.errs.read().decode(errors='replace')


def difference(turns, column, a, b):
    """How much more a call of @a takes than one of @b in the same turn."""
    return statistics.median(t[a][column] - t[b][column] for t in turns)


def quick(key):
    """The key of what was measured in quick moments."""
    return key + ', quick'


def quick_turns(turns, base):
    """Those in which the untraced call was as quick as it can be, whatever the traced ones were."""
    most = QUICK * min(t[base][CPU] for t in turns)
    return [t for t in turns if t[base][CPU] <= most]


def figures(key, turns, sides, limit, lost):
    """{(key, who or 'untraced', 'limit', 'over' it, 'times, WHO'): figure}"""
    cost = {s.who: difference(turns, s.column, s.function, s.base) for s in sides}
    found = {(key, w): Lost(c) if w in lost else c for w, c in cost.items()}
    own = cost.get('dyntrace')
    if own is None:
        return found
    found[key, 'untraced'] = statistics.median(t[sides[0].base][CPU] for t in turns)
    if limit:
        found[key, 'limit'] = difference(turns, CPU, limit, sides[0].base)
        found[key, 'over'] = difference(turns, CPU, sides[0].function, limit)
    for s in sides[1:]:
        found[key, 'times, ' + s.who] = cost[s.who] / max(own, LEAST)
    return found


def traced(b, process, exe, mode, sides):
    """The turns while all @sides trace."""
    process.wait_turns(3)
    for s in sides:
        s.begin(b, process.pid, exe)
    process.wait_probed([s.function for s in sides if s.patches], 60)
    if mode == 'bursts':
        process.wait_turns(LAP)
    process.sample(b.seconds / 2) # first hits
    turns = process.sample(b.seconds)
    ended = [s for s in sides if not s.runs()]
    if ended:
        raise RuntimeError(f'{ended[0].who} ended: ' + ended[0].end().strip()[-200:])
    return turns


def together(b, key, sides, mode='slices', limit=None):
    """A measure of all @sides, which trace one process at once: {(key, who): figure, or the error}.  @sides: dyntrace first, if it is
    among them; last whose program all take, and who starts it, if one has wishes.  @limit: the function that does dyntrace's least."""
    def measure():
        here = [s for s in sides if not s.missing(b)]
        found = {(key, s.who): RuntimeError(s.missing(b)) for s in sides if s not in here}
        if not here:
            return found
        path = b.program(here[-1].program)
        # Each once, dyntrace's base beside its limit and its own function: later ones that are compared with the same base take that.
        turn = list(dict.fromkeys(f for s in here for f in (s.base, limit if s is here[0] else None, s.function) if f))
        last = max(s.last for s in here)
        process, said = None, {}
        try:
            for s in here:
                s.prepare(b)
            process = Process(here[-1].by, path, mode, turn, here[-1].env)
            turns = traced(b, process, path, mode, here)
        finally:
            own = process.end(last) if process and last else ''
            said = {s.who: s.end() + (own if s.last else '') for s in here}
            if process and not last:
                process.end()
        lost = {w for w, text in said.items() if peers.lost_of(text)}
        found.update(figures(key, turns, here, limit, lost))
        some = quick_turns(turns, here[0].base)
        if (key, 'untraced') in found and len(some) >= FEW:
            found.update(figures(quick(key), some, here, limit, lost))
        return found
    return measure
