#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""So many pages of code at once that they are copied before they are written, a few at a time, while threads run them."""
import os
import re
import subprocess
import tempfile

import lib

FUNCS, THREADS = 1500, 4

# Each function has a page of its own: at the beginning, or at its end so that its window goes on in the next one's padding.
PROGRAM = r'''
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
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
int main(void)
{
	pthread_t t;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&t, NULL, run, NULL);
	puts("ready");
	fflush(stdout);
	for (char line[8]; fgets(line, sizeof(line), stdin); fflush(stdout))
		printf("%ld\n", (long)rounds);
	return 0;
}
'''


def armed_again_and_again():
    with tempfile.TemporaryDirectory(prefix='many-') as folder:
        source, exe = os.path.join(folder, 'many.c'), os.path.join(folder, 'many')
        with open(source, 'w', encoding='ascii') as f:
            f.write(PROGRAM)
        subprocess.run(['gcc', '-O1', '-pthread', f'-DFUNCS={FUNCS}', f'-DTHREADS={THREADS}', '-o', exe, source], check=True)
        with subprocess.Popen([exe], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
            assert p.stdout.readline() == 'ready\n'
            for _ in range(5):
                out = lib.dyntrace('-q', '-v', '-n', 'pid$target:many:many*:entry { @[probefunc] = count(); n++; } '
                                   'tick-50ms /n > 20000/ { exit(0); }', '-p', str(p.pid), env=lib.clean_env(DYNTRACE_CACHE='off'))
                assert f'armed at {FUNCS} places' in out.stderr, out.stderr
                counts = [int(n) for n in re.findall(r'many\d+\s+(\d+)', out.stdout)]
                # All are called equally often, but for the round in which each thread came and went.
                assert len(counts) == FUNCS and max(counts) - min(counts) <= 4 * THREADS, (len(counts), min(counts), max(counts))
                lib.assert_untouched(p.pid)
                p.stdin.write('\n')
                p.stdin.flush()
                assert int(p.stdout.readline()) > 0
            p.stdin.close()
            assert not p.wait(), p.returncode


if __name__ == '__main__':
    tap = lib.Tap()
    tap.run('armed again and again', armed_again_and_again)
    tap.done()
