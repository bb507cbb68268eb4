#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Scenario tests: scripts run by the program, their output compared.

usage: run.py DYNTRACE AREA-FOLDER [--bless] [PATTERN...]

In the folder:
  tst.WHAT.d        runs with status 0; stdout is tst.WHAT.out, stderr is tst.WHAT.err (none: only "matched" lines)
  err.D_TAG.why.d   fails with status 1 and [D_TAG] on stderr; all of stderr is err.D_TAG.why.err if that exists
  tst.WHAT.sh       a shell script that finds the program as $dyntrace, small targets in $triggers; status, stdout and
                    stderr as above
Lines in them:
  @@opts: ...       more options (or, for a script, nothing)
  @@args: ...       macro arguments
  @@exit: N         another status
  @@stdin: ...      ignored by all but scripts that read it
  @@timeout: S      other than 20 s

Addresses become {ptr}, the number of a CPU N, so do not rely on them.  Speaks TAP.  --bless rewrites what is expected; look at the diff.
"""
import argparse
import difflib
import fnmatch
import os
import re
import shlex
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from procs import SLOW, end_group, end_in_order  # noqa: E402


def options(path):
    found = {}
    with open(path, encoding='utf-8', errors='replace') as f:
        for m in re.finditer(r'@@(\w+):[ \t]*(.*?)[ \t]*(?:\*/)?$', f.read(), re.M):
            found[m.group(1)] = m.group(2)
    return found


def plain(data):
    text = data.decode('utf-8', 'replace')
    text = re.sub(r'0x[0-9a-f]+', '{ptr}', text)
    text = re.sub(r'\bon CPU \d+', 'on CPU N', text)
    return re.sub(r'at BPF pc \d+', 'at BPF pc NNN', text)


def read(path):
    if not os.path.exists(path):
        return None
    with open(path, encoding='utf-8') as f:
        return f.read()


class Case:
    def __init__(self, exe, folder, name):
        self.exe, self.folder, self.name = exe, folder, name
        self.base = os.path.join(folder, name.rsplit('.', 1)[0])
        self.opts = options(os.path.join(folder, name))
        self.tag = name.split('.')[1] if name.startswith('err.D_') else None
        self.status = int(self.opts.get('exit', 1 if name.startswith('err.') else 0))

    def command(self):
        if self.name.endswith('.sh'):
            return ['sh', self.name]
        cmd = [self.exe] + shlex.split(self.opts.get('opts', '')) + (['-xerrtags'] if self.tag else [])
        return cmd + ['-s', self.name] + shlex.split(self.opts.get('args', ''))

    def run(self):
        env = dict(os.environ, _DTRACE_TESTING='1', LC_ALL='C', TZ='UTC', dyntrace=self.exe)
        env.setdefault('triggers', os.path.join(os.path.dirname(self.exe), 'tests', 'trigger'))
        p = subprocess.Popen(self.command(), cwd=self.folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, start_new_session=True)
        status = None
        try:
            out, err = p.communicate(timeout=float(self.opts.get('timeout', 20)) * SLOW)
            status = p.returncode
        except subprocess.TimeoutExpired:
            end_group(p.pid)
            out, err = p.communicate()
        finally: # also where it is interrupted
            end_group(p.pid)
        return status, plain(out), plain(err)

    def differences(self, got):
        status, out, err = got
        if status is None:
            return ['no end in time'] + out.splitlines()[-5:] + err.splitlines()[-5:]
        wrong = [] if status == self.status else [f'status {status}, not {self.status}'] + err.splitlines()
        if self.tag and f'[{self.tag}]' not in err:
            wrong += [f'no [{self.tag}] on stderr'] + err.splitlines()
        want_out, want_err = read(self.base + '.out'), read(self.base + '.err')
        if not self.tag or want_out is not None:
            wrong += self.compare('stdout', want_out or '', out)
        if want_err is not None:
            wrong += self.compare('stderr', want_err, err)
        elif not self.tag:
            rest = ''.join(l for l in err.splitlines(True) if not re.search(r"' matched \d+ probes?$", l.rstrip('\n')))
            wrong += self.compare('stderr', '', rest)
        return wrong

    @staticmethod
    def compare(what, want, got):
        return list(difflib.unified_diff(want.splitlines(), got.splitlines(), what + ' expected', what, lineterm=''))

    def bless(self, got):
        _, out, err = got
        quiet = all(re.search(r"' matched \d+ probes?$", l) for l in err.splitlines())
        for ext, text, wanted in (('.out', out, bool(out)), ('.err', err, not quiet)):
            if wanted:
                with open(self.base + ext, 'w', encoding='utf-8') as f:
                    f.write(text)
            elif os.path.exists(self.base + ext):
                os.unlink(self.base + ext)


def main():
    end_in_order()
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument('exe')
    ap.add_argument('folder')
    ap.add_argument('patterns', nargs='*')
    ap.add_argument('--bless', action='store_true')
    args = ap.parse_intermixed_args()
    exe = os.path.abspath(args.exe)
    names = sorted(n for n in os.listdir(args.folder) if re.match(r'(tst|err)\..*\.(d|sh)$', n))
    if args.patterns:
        names = [n for n in names if any(fnmatch.fnmatch(n, '*' + p + '*') for p in args.patterns)]
    failed = 0
    for i, name in enumerate(names, 1):
        case = Case(exe, args.folder, name)
        got = case.run()
        m = re.search(r'^SKIP: (.*)', got[1], re.M)
        if m:
            print(f'ok {i} - {name} # SKIP {m.group(1)}', flush=True)
            continue
        if args.bless and got[0] is not None:
            case.bless(got)
        wrong = case.differences(got)
        failed += bool(wrong)
        print(f"{'not ' if wrong else ''}ok {i} - {name}")
        for line in wrong[:60]:
            print('# ' + line)
        if wrong:
            print('# again: ' + ' '.join([sys.argv[0], args.exe, args.folder, name]))
        sys.stdout.flush()
    print(f'1..{len(names)}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
