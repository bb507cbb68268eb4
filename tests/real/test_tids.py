#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which thread is this: `tid`, where libcs and runtimes of all kinds make threads that end and whose blocks others get, against
what the kernel tells the program.  Each program is begun by dyntrace, which then has seen no thread of it, and attached to."""
import re
import subprocess
import tempfile
import time

import lib

C = r'''
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef ALIKE /* like what the libc begins with, but for where the answer goes, or what is asked */
#define ASK(reg, where) "mov $0xda,%" reg "\n syscall\n mov %" where "\n ret\n"
__asm__(".text\n" ASK("eax", "eax,0x50(%rsp)") ASK("eax", "eax,0x50(%rip)") ASK("eax", "r8d,0x50(%rbx)") ASK("r8d", "eax,0x50(%rbx)"));
#endif
__attribute__((noipa)) long cwork(long tid) { return tid + 1; }
#ifdef SHARER /* a process that shares the memory: it has a block and an id of its own, as the first thread has, and is no thread */
#include <sched.h>
#include <stdint.h>
#include <sys/wait.h>
static uint64_t block[1024] __attribute__((aligned(64))), stack[4096] __attribute__((aligned(64)));
static int share(void *unused)
{
	register long nr __asm__("rax") = SYS_getpid;
	__asm__ volatile("syscall" : "+r"(nr) : : "rcx", "r11", "memory");
	cwork(nr);
	for (nr = SYS_exit;;)
		__asm__ volatile("syscall" : "+r"(nr) : "D"(0) : "rcx", "r11", "memory");
	return unused != NULL;
}
static void begin_sharer(void)
{
	block[0] = block[2] = (uint64_t)block;
	int pid = clone(share, stack + 4000, CLONE_VM | CLONE_SETTLS | CLONE_CHILD_SETTID | SIGCHLD, NULL, NULL, block, (char *)block + 0x2d0);
	waitpid(pid, NULL, 0);
	sleep(3); /* its place is another's by then */
}
#else
static void begin_sharer(void) {}
#endif
static void *run(void *arg)
{
	for (int i = 0; i < 20; i++) {
		cwork(syscall(SYS_gettid));
		usleep(100);
	}
	return arg;
}
int main(int argc, char **argv)
{
	pthread_t t[6];
	if (argc > 1)
		getchar();
	begin_sharer();
	for (int r = 0; r < 10; r++) {
		for (int i = 0; i < 6; i++)
			pthread_create(&t[i], NULL, run, argv);
		for (int i = 0; i < 6; i++)
			pthread_join(t[i], NULL);
	}
	puts("done");
}
'''
GO = r'''
package main
@IMPORTS@
import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

//go:noinline
func Work(tid int) int { return tid + 1 }

func main() {
	if len(os.Args) > 1 {
		os.Stdin.Read(make([]byte, 1))
	}
	for r := 0; r < 10; r++ {
		var wg sync.WaitGroup
		for i := 0; i < 6; i++ {
			wg.Add(1)
			go func() {
				defer wg.Done()
				runtime.LockOSThread() // which ends with it
				for k := 0; k < 20; k++ {
					Work(syscall.Gettid())
					@ALSO@
					time.Sleep(100 * time.Microsecond)
				}
			}()
		}
		wg.Wait()
	}
	fmt.Println("done")
}
'''
IMPORTS = r'''
/*
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>
__attribute__((noipa)) long cwork(long tid) { return tid + 1; }
static long id(void) { return syscall(SYS_gettid); }
*/
import "C"
'''
CALLS = 10 * 6 * 20


class Folder:
    """Programs, built once."""

    def __init__(self):
        self.dir = tempfile.TemporaryDirectory()

    def c(self, compiler, *flags):
        lib.need(compiler)
        with open(f'{self.dir.name}/p.c', 'w', encoding='ascii') as f:
            f.write(C)
        subprocess.run([compiler, '-O2', *flags, '-o', f'{self.dir.name}/p', f'{self.dir.name}/p.c', '-pthread'], check=True, capture_output=True)
        return f'{self.dir.name}/p'

    def go(self, cgo, *flags):
        lib.need('go', 'gcc')
        text = GO.replace('@IMPORTS@', IMPORTS if cgo else '').replace('@ALSO@', 'C.cwork(C.id())' if cgo else '')
        with open(f'{self.dir.name}/p.go', 'w', encoding='ascii') as f:
            f.write(text)
        subprocess.run(['go', 'build', *flags, '-o', f'{self.dir.name}/p', f'{self.dir.name}/p.go'], check=True, capture_output=True,
                       env=lib.clean_env(CGO_ENABLED=str(int(cgo)), GOCACHE=f'{self.dir.name}/cache', HOME=self.dir.name))
        return f'{self.dir.name}/p'


def counted(text):
    return {k: int(v) for k, v in re.findall(r'^([\w.]+ \w+) (\d+)$', text, re.M)}


def looks_right(exe, functions, more=0):
    """Each call has the thread's number for an argument."""
    probes = ' '.join(f'pid$target:a.out:{f}:entry {{ @[probefunc, arg0 == tid ? "same" : "other"] = count(); }}' for f in functions)
    script = f'{probes} END {{ printa("%s %s %@d\\n", @); }}'
    want = {f'{f} same': CALLS + more for f in functions}
    r = lib.dyntrace('-q', '-n', script, '-c', exe)
    assert 'done\n' in r.stdout and counted(r.stdout) == want, (r.stdout, r.stderr)
    proc = subprocess.Popen([exe, 'attached'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(0.3) # its runtime begins
        with lib.Tracing('-q', '-n', script + ' BEGIN { printf("begun\\n"); }', '-p', proc.pid) as t:
            t.wait_begun()
            out, _ = proc.communicate('go\n', timeout=60 * lib.SLOW)
            t.out, t.err = t.proc.communicate(timeout=60 * lib.SLOW)
            assert out == 'done\n' and counted(t.out) == want, (out, t.out, t.err)
    finally:
        proc.kill()
        proc.wait()


def c_program(folder, symbols, *how):
    exe = folder.c(*how)
    if not symbols:
        lib.need('strip')
        subprocess.run(['strip', '-K', 'cwork', exe], check=True)
    looks_right(exe, ['cwork'], '-DSHARER' in how)


def go_program(folder, cgo, *how):
    """Also without symbols, where Go's own names stay."""
    lib.need('strip')
    exe = folder.go(cgo, *how)
    looks_right(exe, ['main.Work', 'cwork'] if cgo else ['main.Work'])
    subprocess.run(['strip', exe], check=True)
    looks_right(exe, ['main.Work'])


def all_of_cgo(folder):
    """Go code in a position-independent program that C's linker made is known as such: with all of it armed it runs on."""
    exe = folder.go(True, '-buildmode=pie')
    for _ in range(3):
        r = lib.dyntrace('-q', '-n', 'pid$target:a.out::entry, pid$target:a.out::return { @[probename] = count(); }', '-c', exe)
        assert 'done\n' in r.stdout and re.search(r'entry +\d{5}', r.stdout), (r.stdout[-300:], r.stderr[-500:])


def main():
    tap, folder = lib.Tap(), Folder()
    for name, symbols, how in (('glibc', True, ['gcc']), ('glibc, static', True, ['gcc', '-static']),
                               ('glibc, static, no symbols', False, ['gcc', '-static']), ('glibc, code alike', True, ['gcc', '-DALIKE']),
                               ('glibc, beside a process in its memory', True, ['gcc', '-DSHARER']),
                               ('glibc, static, no symbols, code alike', False, ['gcc', '-static', '-DALIKE']), ('musl', True, ['musl-gcc']),
                               ('musl, static', True, ['musl-gcc', '-static']), ('musl, static, no symbols', False, ['musl-gcc', '-static'])):
        tap.run(name, c_program, folder, symbols, *how)
    static = ['-ldflags', '-linkmode external -extldflags -static']
    for name, cgo, how in (('Go', False, []), ('Go, position-independent', False, ['-buildmode=pie']), ('cgo', True, []),
                           ('cgo, position-independent', True, ['-buildmode=pie']), ('cgo, static', True, static)):
        tap.run(name, go_program, folder, cgo, *how)
    tap.run('all of cgo, position-independent', all_of_cgo, folder)
    tap.done()


if __name__ == '__main__':
    main()
