# SPDX-License-Identifier: MIT
"""The least that a probe can cost: sequences by hand in micro/, measured here with everything else.

A program there prints lines "NAME MEDIAN LOWEST HIGHEST", ns over the untraced call.
"""
import os
import re
import subprocess

LINE = re.compile(r'^limit:? ?(.*?)\s+(-?[\d.]+)\s+(-?[\d.]+)\s+(-?[\d.]+)')


def measure(b):
    """{name: median ns}"""
    found = {}
    for name in ('limits', 'body_cost'):
        path = os.path.join(b.build, 'bench', 'micro', name)
        if not os.path.exists(path):
            continue
        try:
            r = subprocess.run(['taskset', '-c', '0', path], capture_output=True, text=True, timeout=300, check=False)
        except subprocess.TimeoutExpired:
            continue
        for line in r.stdout.splitlines():
            m = LINE.match(line)
            if m:
                found.setdefault(m[1] or 'count', float(m[2]))
    return found
