# SPDX-License-Identifier: MIT
"""What a hit is made of: by micro/body_cost, a fraction of a second."""
import os
import subprocess


def measure(b):
    """[(hit, step, ns that it adds, ns with all until it)]"""
    path = os.path.join(b.build, 'bench', 'micro', 'body_cost')
    if not os.path.exists(path):
        return []
    r = subprocess.run(['taskset', '-c', '0', path, 'steps'], capture_output=True, text=True, timeout=300, check=False)
    lines = [line.split('\t') for line in r.stdout.splitlines() if line.count('\t') == 3]
    return [[hit, step, float(adds), float(total)] for hit, step, adds, total in lines]
