#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""So many pages of code at once that they are copied before they are written, a few at a time, while threads run them."""
import collections
import contextlib
import os
import re
import subprocess
import tempfile

import lib

FUNCS, THREADS = 1500, 4
MAPPINGS = 20000 # more than can be read in the time that it stands for at once
PAGE = 4096

# Each function has a page of its own: at the beginning, or at its end so that its window goes on in the next one's padding.
PROGRAM = r'''
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#define STR_(x) #x
#define STR(x) STR_(x)
__asm__(".altmacro\n"
	".macro one n\n.balign 4096\n.fill 4080 * (\\n % 2), 1, 0x90\n.globl many\\n\n.type many\\n, @function\n"
	"many\\n: lea 1(%rdi), %rax\nxor %edx, %edx\nadd %rdx, %rax\nret\n.size many\\n, . - many\\n\n"
	".pushsection .data.rel.ro\n.quad many\\n\n.popsection\n.endm\n"
	".pushsection .data.rel.ro\n.globl table\ntable:\n.popsection\n"
	".text\n.set i, 0\n.rept " STR(FUNCS) "\none %i\n.set i, i + 1\n.endr\n.noaltmacro\n");
extern long (*const table[FUNCS])(long);
static _Atomic long rounds;
static void *run(void *arg)
{
	for (;; rounds++)
		for (long i = 0, at = 0; i < FUNCS; i++) {
			at = table[(i * 7) % FUNCS](at);
			if (at != i + 1)
				abort();
		}
	return arg;
}
int main(int argc, char **argv)
{
	pthread_t t;
	long mappings = argc > 1 ? atol(argv[1]) : 0;
	char *p = mappings ? mmap(NULL, mappings * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : NULL;
	if (p == MAP_FAILED)
		abort();
	for (long i = 1; i < mappings; i += 2)
		if (mprotect(p + i * 4096, 4096, PROT_READ))
			abort();
	for (int i = 0; i < THREADS; i++)
		pthread_create(&t, NULL, run, NULL);
	puts("ready");
	fflush(stdout);
	for (char line[8]; fgets(line, sizeof(line), stdin); fflush(stdout))
		printf("%ld\n", (long)rounds);
	return 0;
}
'''


@contextlib.contextmanager
def program(*args):
    """The program's process, which has begun and ends well."""
    with tempfile.TemporaryDirectory(prefix='many-') as folder:
        source, exe = os.path.join(folder, 'many.c'), os.path.join(folder, 'many')
        with open(source, 'w', encoding='ascii') as f:
            f.write(PROGRAM)
        subprocess.run(['gcc', '-O1', '-pthread', f'-DFUNCS={FUNCS}', f'-DTHREADS={THREADS}', '-o', exe, source], check=True)
        with subprocess.Popen([exe, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
            try:
                assert p.stdout.readline() == 'ready\n'
                yield p
                p.stdin.close()
                assert not p.wait(), p.returncode
            finally:
                p.kill()


def runs_on(p):
    lib.assert_untouched(p.pid)
    p.stdin.write('\n')
    p.stdin.flush()
    assert int(p.stdout.readline()) > 0


def armed_again_and_again():
    with program() as p:
        for _ in range(5):
            out = lib.dyntrace('-q', '-v', '-n', 'pid$target:many:many*:entry { @[probefunc] = count(); n++; } '
                               'tick-50ms /n > 20000/ { exit(0); }', '-p', str(p.pid), env=lib.clean_env(DYNTRACE_CACHE='off'))
            assert f'armed at {FUNCS} places' in out.stderr, out.stderr
            counts = [int(n) for n in re.findall(r'many\d+\s+(\d+)', out.stdout)]
            # All are called equally often, but for the round in which each thread came and went.
            assert len(counts) == FUNCS and max(counts) - min(counts) <= 4 * THREADS, (len(counts), min(counts), max(counts))
            runs_on(p)


ARM = ['-q', '-v', '-n', 'pid$target:many:many*:entry { n++; } BEGIN { exit(0); }']


def among_many_mappings():
    with program(str(MAPPINGS)) as p:
        out = lib.dyntrace(*ARM, '-p', str(p.pid), env=lib.clean_env(DYNTRACE_CACHE='off'))
        assert f'armed at {FUNCS} places' in out.stderr, out.stderr
        runs_on(p)


def stops_of_pages(trace):
    """page: under how many stops it was written to, of a trace of writes and of ptrace(2)."""
    stop, seen = 0, collections.defaultdict(set)
    for line in trace:
        write = re.search(r'pwrite64\(\d+</proc/\d+/[^>]*mem>.*, (\d+), (\d+)(\) += \d| <unfinished)', line)
        if write:
            cnt, addr = int(write[1]), int(write[2])
            for page in range(addr // PAGE, (addr + cnt - 1) // PAGE + 1):
                seen[page].add(stop)
        stop += 'PTRACE_INTERRUPT' in line
    return {page: len(stops) for page, stops in seen.items()}


def copied_before_the_last_stop():
    """Each page is written to under three stops: copied, changed, restored."""
    lib.need('strace')
    with program() as p, tempfile.NamedTemporaryFile('r', encoding='utf-8', errors='replace') as log:
        env = lib.clean_env(DYNTRACE_CACHE='off', ASAN_OPTIONS='detect_leaks=0') # leaks are looked for with ptrace, which strace has
        subprocess.run(['strace', '-f', '-qq', '-y', '-o', log.name, '-e', 'trace=pwrite64,ptrace', lib.DYNTRACE, *ARM, '-p', str(p.pid)],
                       env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=120 * lib.SLOW, check=True)
        stops = stops_of_pages(log)
        code = next(m for m in lib.maps(p.pid) if 'x' in m[2] and m[4].endswith('/many'))
        many = sum(n >= 3 for page, n in stops.items() if code[0] <= page * PAGE < code[1])
        assert many >= FUNCS, f'{many} pages of {FUNCS}, others: {collections.Counter(stops.values())}'
        runs_on(p)


if __name__ == '__main__':
    tap = lib.Tap()
    tap.run('armed again and again', armed_again_and_again)
    tap.run('among many mappings', among_many_mappings)
    tap.run('copied before the last stop', copied_before_the_last_stop)
    tap.done()
