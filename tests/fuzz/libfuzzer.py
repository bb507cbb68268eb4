#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A fuzz target under libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer, for a bounded time.

usage: libfuzzer.py SOURCE BUILD TARGET SECONDS [--keep]

The targets are built with clang in BUILD/fuzz, whatever BUILD was made with.  What is found lies in
BUILD/fuzz/found-TARGET and is taken up again by the next run; --keep puts the smallest set of inputs that covers as
much into tests/fuzz/corpus/TARGET.  Speaks TAP; without clang or its libFuzzer the test is skipped.
"""
import argparse
import fcntl
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

C_ARGS = '-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION -fsanitize=fuzzer-no-link -fno-sanitize-recover=undefined'
MAX_LEN = {'parse': 4096, 'consume': 4096, 'ir': 8192, 'reloc': 64, 'proto': 2048, 'trace': 8192}
SEARCH_SECONDS = 100
KEPT_MAX = 1024  # bytes of an input that is kept


def skip(target, why):
    print(f'ok 1 - libFuzzer: {target} # SKIP {why}\n1..1')
    sys.exit(0)


def fail(target, text):
    print(f'not ok 1 - libFuzzer: {target}')
    print('\n'.join('# ' + line for line in text.split('\n')[-60:]))
    print('1..1')
    sys.exit(1)


def find_clang():
    for name in ['clang', 'clang-14', 'clang-15', 'clang-16']:
        path = shutil.which(name)
        if path:
            return path
    return None


def has_libfuzzer(clang):
    with tempfile.TemporaryDirectory() as tmp:
        src = os.path.join(tmp, 'x.c')
        with open(src, 'w') as f:
            f.write('int LLVMFuzzerTestOneInput(const unsigned char *p, unsigned long n) { return p && n ? 0 : 0; }\n')
        p = subprocess.run([clang, '-fsanitize=fuzzer,address,undefined', src, '-o', src + '.out'], capture_output=True)
    return p.returncode == 0


def build(source, folder, target, clang):
    """The target's program, made in @folder; several tests may ask at once."""
    os.makedirs(folder, exist_ok=True)
    goal = f'tests/fuzz/fuzz_{target}_libfuzzer'
    with open(os.path.join(folder, '.lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(folder, 'build.ninja')):
            p = subprocess.run(['meson', 'setup', folder, source, '-Db_sanitize=address,undefined', '-Db_lundef=false',
                                '-Doptimization=1', f'-Dc_args={C_ARGS}'], env=dict(os.environ, CC=clang),
                               capture_output=True, text=True)
            if p.returncode:
                fail(target, p.stdout + p.stderr)
        p = subprocess.run(['ninja', '-C', folder, '-j2', goal], capture_output=True, text=True)
        if p.returncode:
            fail(target, p.stdout + p.stderr)
    return os.path.join(folder, goal)


def write(folder, name, data):
    with open(os.path.join(folder, name), 'wb') as f:
        f.write(data)


def seeds(source, target, exe, folder):
    """Our own scripts; and the targets' own valid inputs."""
    os.makedirs(folder, exist_ok=True)
    subprocess.run([exe, '-seeds=' + folder], capture_output=True)
    scripts = glob.glob(os.path.join(source, 'tests', 'golden', '*', '*.d')) + \
        glob.glob(os.path.join(source, 'tests', 'run', '*', '*.d'))
    for i, path in enumerate(sorted(scripts)):
        with open(path, 'rb') as f:
            text = f.read()
        if target == 'parse' and len(text) < MAX_LEN['parse']:
            write(folder, f'script{i}', b'0' + text)
        elif target == 'consume' and len(text) < KEPT_MAX:
            write(folder, f'script{i}', b'\0\0' + text + b'\0\0\x80\0\x08\xff\xff\xff\xff\0\0\0\0')


def words(source):
    """A dictionary: the words that the compiler's tables know, and what mistakes are made of."""
    found = set()
    for name in ['func', 'vartab', 'sym', 'token', 'parse_words', 'pragma', 'macro', 'std', 'type']:
        path = os.path.join(source, 'src', 'd', name + '.c')
        if os.path.exists(path):
            with open(path, encoding='utf-8') as f:
                found |= set(re.findall(r'"([A-Za-z_$#@][A-Za-z_0-9 $]{1,20})"', f.read()))
    return ''.join(f'"{w}"\n' for w in sorted(found))


def dictionary(source, folder):
    path = os.path.join(folder, 'd.dict')
    with open(os.path.join(source, 'tests', 'fuzz', 'd.dict'), encoding='utf-8') as f:
        text = f.read()
    with open(path + f'.{os.getpid()}', 'w', encoding='utf-8') as f:
        f.write(text + words(source))
    os.rename(path + f'.{os.getpid()}', path)
    return path


def run(exe, args, seconds):
    env = dict(os.environ, UBSAN_OPTIONS='print_stacktrace=1', ASAN_OPTIONS='detect_leaks=1:allocator_may_return_null=1')
    try:
        p = subprocess.run([exe] + args, env=env, capture_output=True, timeout=seconds + 240)
        return p.returncode, p.stderr.decode('utf-8', 'replace')
    except subprocess.TimeoutExpired as e:
        return 1, (e.stderr or b'').decode('utf-8', 'replace') + '\nit did not end'


def keep(exe, target, found, kept, seed_dir):
    """Smallest set that covers what found, kept and the seeds do, without what the seeds do."""
    with tempfile.TemporaryDirectory() as tmp:
        run(exe, ['-merge=1', '-use_counters=0', '-timeout=20', tmp, seed_dir, kept, found], 3600)
        known = {open(p, 'rb').read() for p in glob.glob(os.path.join(seed_dir, '*'))}
        for old in glob.glob(os.path.join(kept, '*')):
            os.unlink(old)
        for path in glob.glob(os.path.join(tmp, '*')):
            with open(path, 'rb') as f:
                data = f.read()
            if data not in known and len(data) <= KEPT_MAX:
                write(kept, os.path.basename(path), data)
    print(f'# {len(os.listdir(kept))} inputs are kept in {kept}')


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument('source')
    ap.add_argument('build')
    ap.add_argument('target')
    ap.add_argument('seconds', type=int)
    ap.add_argument('--keep', action='store_true')
    a = ap.parse_args()
    clang = find_clang()
    if not clang:
        skip(a.target, 'clang is not installed')
    if not has_libfuzzer(clang):
        skip(a.target, "clang's libFuzzer is not installed (libclang-rt-14-dev)")
    folder = os.path.join(os.path.abspath(a.build), 'fuzz')
    source = os.path.abspath(a.source)
    exe = build(source, folder, a.target, clang)
    found, seed_dir = os.path.join(folder, 'found-' + a.target), os.path.join(folder, 'seeds-' + a.target)
    kept = os.path.join(source, 'tests', 'fuzz', 'corpus', a.target)
    os.makedirs(found, exist_ok=True)
    os.makedirs(kept, exist_ok=True)
    seeds(source, a.target, exe, seed_dir)
    args = [f'-max_total_time={a.seconds}', f'-max_len={MAX_LEN.get(a.target, 4096)}', '-timeout=25', '-rss_limit_mb=2000',
            '-len_control=20', f'-artifact_prefix={folder}/bad-{a.target}-', '-print_final_stats=1']
    if a.seconds < SEARCH_SECONDS: # the same inputs each time: it judges a change; the long run looks for more
        args.append('-seed=1')
    if a.target in ('parse', 'consume'):
        args.append('-dict=' + dictionary(source, folder))
    status, text = run(exe, args + [found, kept, seed_dir], a.seconds)
    if a.keep:
        keep(exe, a.target, found, kept, seed_dir)
    if status:
        fail(a.target, text + f'\nagain: {exe} {folder}/bad-{a.target}-...')
    m = re.search(r'stat::number_of_executed_units:\s*(\d+)', text)
    print(f'ok 1 - libFuzzer: {a.target}: no input of {m.group(1) if m else "?"} was bad\n1..1')


if __name__ == '__main__':
    main()
