#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The scripts of an area of tests/run, with dyntraced in between: the same output is expected.

usage: via.py TESTS-RUN-FOLDER AREA
"""
import fnmatch
import os
import subprocess
import sys

import machine

# What is different by nature: who else is traced with system(), how soon a speculation is free again, what a killed client leaves,
# when a process that ends is looked for.
NOT = ['tst.system.sh', 'tst.busy.d', 'tst.usdt-sema.sh', 'tst.ending.sh']


def main():
    folder, area = sys.argv[1:]
    machine.take_signals()
    machine.begin()
    try:
        status = run(folder, area)
    finally:
        machine.end()
    sys.exit(status)


def run(folder, area):
    names = sorted(n for n in os.listdir(f'{folder}/{area}')
                   if not any(fnmatch.fnmatch(n, p) for p in NOT) and (n.startswith(('tst.', 'err.')) and n.endswith(('.d', '.sh'))))
    with machine.Daemon() as d:
        env = dict(os.environ, DYNTRACED_SOCKET=d.sock, DTRACE_OPT_DAEMON='always')
        p = subprocess.run([f'{folder}/run.py', f'{machine.BUILD}/dyntrace', f'{folder}/{area}'] + names, env=env, check=False)
        status = p.returncode
        if 'died' in d.log():
            print('Bail out! a worker died')
            status = 1
    return status


if __name__ == '__main__':
    main()
