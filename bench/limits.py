# SPDX-License-Identifier: MIT
"""The least that a probe can cost: sequences by hand in micro/, measured here with everything else."""
import os
import re
import subprocess

LINE = re.compile(r'^(\S.{25})\s*(-?[\d.]+)\s+(-?[\d.]+)\s+(-?[\d.]+)')


def measure(b):
    """{what body_cost calls it: ns over the untraced call of the limit}"""
    path = os.path.join(b.build, 'bench', 'micro', 'body_cost')
    found = {}
    try:
        r = subprocess.run(['taskset', '-c', '0', path], capture_output=True, text=True, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return found
    for line in r.stdout.splitlines():
        m = LINE.match(line)
        if m and float(m[2]):
            found[m[1].strip()] = float(m[2])
    return found


def breakdown(b):
    """[(hit, step, ns that it adds, ns with all until it)]"""
    path = os.path.join(b.build, 'bench', 'micro', 'body_cost')
    if not os.path.exists(path):
        return []
    r = subprocess.run(['taskset', '-c', '0', path, 'steps'], capture_output=True, text=True, timeout=300, check=False)
    lines = [line.split('\t') for line in r.stdout.splitlines() if line.count('\t') == 3]
    return [[hit, step, float(adds), float(total)] for hit, step, adds, total in lines]
