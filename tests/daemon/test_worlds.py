#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Scripts of both worlds for a member of group dyntrace: what its processes and the kernel do is one script, as for root."""
import os
import subprocess
import time

import machine
from machine import ANN, BOB, ROOT, Cat, Daemon, Skip, armed, dyntrace, has, popen, trace_cat, wait_for

WRITE = 'pid$target:libc.so.6:write'

# One run of cat: a line is read, and written by the libc's write().
SELF = WRITE + ''':entry { self->n = arg2; self->buf = arg1; n++; @both["user"] = count(); }
syscall::write:entry /self->n/ { printf("call %d %d %s", self->n, arg2 == self->n && arg1 == self->buf, stringof(copyin(arg1, 5)));
	@both["kernel"] = count(); from_kernel[pid] = arg2; self->k = arg0 + 10; }
''' + WRITE + ''':return /self->n/ { printf(" then %d %d %d\\n", self->k, from_kernel[pid], n); self->n = 0; }'''
SEEN = ''.join(f'call 6 1 hello then 11 6 {i}\n' for i in range(1, 4))


def need_kernel(err):
    if any(w in err for w in ('BPF', 'capabilities', 'describe its types', 'has no uprobes')):
        raise Skip(err.strip())


def variables_and_aggregations_of_both():
    """self->, a global, an array and an aggregation, from either side to the other; nothing comes into the process."""
    with Daemon() as d, Cat(BOB) as cat:
        rc, out, err = trace_cat(d, ANN, cat, SELF)
        need_kernel(err)
        assert rc == 0 and not err, err
        has(SEEN.replace('\n', r'\s+'), out)
        has(r'kernel +3\n +user +3\n', out)
        local = trace_cat(d, ROOT, cat, SELF, args=['-x', 'daemon=always'])[1]
        assert sorted(out.split()) == sorted(local.split()), out + local
        assert cat.is_clean()
        has(r'ann \(pid \d+\): trace the kernel: permitted', d.log())


def the_process_has_nothing_of_it():
    with Daemon() as d, Cat(BOB) as cat:
        p = popen(d, ANN, '-qn', SELF, '-p', str(cat.pid))
        wait_for(lambda: 'places armed' in d.log() or p.poll() is not None, 'armed probes')
        with open(f'/proc/{cat.pid}/maps', encoding='utf-8') as f:
            maps = f.read()
        assert 'dyntrace' not in maps and 'bpf' not in maps, maps
        p.send_signal(2)
        need_kernel(p.communicate(timeout=30)[1])
        assert p.returncode == 0


def through_the_kernel_where_asked():
    """A script about processes alone: counts as those of jumps, and nothing comes into the process."""
    script = WRITE + ':entry { @[arg2] = count(); n++; } END { printf("n %d\\n", n); }'
    with Daemon() as d, Cat(BOB) as cat:
        rc, jump, err = trace_cat(d, ANN, cat, script)
        assert rc == 0, err
        p = popen(d, ANN, '-qn', script, '-x', 'backend=uprobe', '-p', str(cat.pid))
        wait_for(lambda: d.log().count('places armed') == 2 or p.poll() is not None, 'armed probes')
        with open(f'/proc/{cat.pid}/maps', encoding='utf-8') as f:
            assert 'dyntrace' not in f.read()
        for _ in range(3):
            cat.say()
        p.send_signal(2)
        out, err = p.communicate(timeout=30)
        need_kernel(err)
        assert out.split() == jump.split(), jump + out + err
        has('nothing but uprobes', popen(d, ANN, '-qn', 'BEGIN { exit(0); }', '-x', 'backend=auto', '-x', 'daemon=always').communicate(timeout=30)[1])


def processes_of_several_users():
    """Nothing of it is in their memory, so they need not be of one user."""
    script = 'pid$1:libc.so.6:write:entry, pid$2:libc.so.6:write:entry { @[pid] = count(); } ' \
        'syscall::write:entry /pid == $1 || pid == $2/ { @[pid] = count(); }'
    with Daemon() as d, Cat(BOB) as cat, Cat(ROOT) as other:
        p = popen(d, ANN, '-qn', script, str(cat.pid), str(other.pid))
        wait_for(lambda: 'places armed' in d.log() or p.poll() is not None, 'armed probes')
        for c in cat, other:
            c.say()
        p.send_signal(2)
        out, err = p.communicate(timeout=30)
        need_kernel(err)
        assert sorted(out.split()) == sorted(f'{cat.pid} 2 {other.pid} 2'.split()), out + err


def a_command():
    """Its libraries are there when its probes are placed."""
    with Daemon() as d:
        rc, out, err = dyntrace(d, ANN, '-qn', SELF, '-c', '/bin/echo hello')
        need_kernel(err)
        assert rc == 0, err
        has(r'call 6 1 hello then 11 6 1\n', out)
        rc, out, err = dyntrace(d, ANN, '-qn', 'pid$target:libc.so.6:write:entry { @[ustack(2)] = count(); } '
                                'syscall::write:entry /pid == $target/ { @[ustack(2)] = count(); }', '-c', '/bin/echo hello')
        has(r'libc\.so\.6`write', out)
        # Its stacks, where it has no probes; it ends before anybody could look what its libraries are.
        rc, out, err = dyntrace(d, ANN, '-qn', 'syscall::write:entry /pid == $target/ { @[ustack(2)] = count(); }',
                                '-c', '/bin/echo hello')
        assert rc == 0 and '0x' in out, out + err


LATER = r'''
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	char line[64];
	double (*f)(double) = NULL;
	while (fgets(line, sizeof(line), stdin)) {
		if (line[0] == 'l')
			f = (double (*)(double))dlsym(dlopen("libm.so.6", RTLD_NOW), "cbrt");
		if (f)
			f(line[1] - '0');
		fputs(line, stdout);
		fflush(stdout);
		if (line[0] == 'x')
			execv(argv[0], argv);
	}
	return argc > 9;
}
'''


def later_program(name='later'):
    exe = f'{machine.PLACE}/{name}'
    if not os.path.exists(exe):
        if not machine.shutil.which('cc'):
            raise Skip('there is no cc')
        subprocess.run(['cc', '-O1', '-x', 'c', '-', '-o', exe, '-ldl'], input=LATER, text=True, check=True)
        os.chmod(exe, 0o755)
    return exe


def libraries_that_come_later():
    script = 'pid$target::cbrt:entry { self->in++; @ = count(); } syscall::write:entry /self->in/ { @w = count(); }'
    with Daemon() as d, Cat(BOB, later_program()) as cat:
        p = popen(d, ANN, '-Z', '-qn', script, '-p', str(cat.pid))
        wait_for(lambda: 'places armed' in d.log() or p.poll() is not None, 'armed probes')
        cat.say(b'l8\n')
        time.sleep(1)
        for _ in range(3):
            cat.say(b'c8\n')
        p.send_signal(2)
        out, err = p.communicate(timeout=30)
        need_kernel(err)
        assert out.split() == ['3', '3'], out + err


def another_program_has_no_probes():
    """The places are in files, which the next program has, too: it is nobody's who was asked for."""
    script = 'pid$target:libc.so.6:fputs:entry { @u = count(); } syscall::write:entry /pid == $target/ { @k = count(); }'
    with Daemon() as d, Cat(BOB, later_program()) as cat:
        p = popen(d, ANN, '-qn', script + ' tick-60s { }', '-p', str(cat.pid))
        wait_for(lambda: 'places armed' in d.log() or p.poll() is not None, 'armed probes')
        cat.say()
        cat.say(b'x\n')
        time.sleep(0.5)
        cat.say()
        cat.say()
        p.send_signal(2)
        out, err = p.communicate(timeout=30)
        need_kernel(err)
        assert out.split()[0] == '2', out + err


def probes_of_the_program():
    """USDT beside system calls."""
    for name, text in ('sale.d', 'provider sale { probe tea(int n); };\n'), \
            ('sale.c', '#include <stdio.h>\n#include "sale.h"\nint main(void) { char l[64]; int n = 0; while (fgets(l, sizeof(l), stdin)) {'
             ' SALE_TEA(++n); fputs(l, stdout); fflush(stdout); } return 0; }\n'):
        with open(f'{machine.PLACE}/{name}', 'w', encoding='ascii') as f:
            f.write(text)
    if not machine.shutil.which('cc'):
        raise Skip('there is no cc')
    subprocess.run([f'{machine.PLACE}/dyntrace', '-h', '-s', 'sale.d'], cwd=machine.PLACE, check=True)
    subprocess.run(['cc', '-O1', '-o', 'sale', 'sale.c'], cwd=machine.PLACE, check=True)
    os.chmod(f'{machine.PLACE}/sale', 0o755)
    script = 'sale$target:::tea { self->n = arg0; } syscall::write:entry /self->n/ { printf("tea %d\\n", self->n); self->n = 0; }'
    with Daemon() as d, Cat(BOB, f'{machine.PLACE}/sale') as cat:
        rc, out, err = trace_cat(d, ANN, cat, script)
        need_kernel(err)
        if 'is not traced' in err:
            raise Skip(err.strip())
        assert rc == 0 and out.split() == 'tea 2 tea 3 tea 4'.split(), out + err
        assert cat.is_clean()


def where_the_kernel_is_not_permitted():
    with Daemon('kernel = no\n') as d, Cat(BOB) as cat:
        has('not permitted to trace the kernel', dyntrace(d, ANN, '-qn', SELF, '-p', str(cat.pid), status=1)[2])
    with Daemon('processes = own\nkernel = yes\n') as d, Cat(BOB) as cat:
        has('not permitted to trace process', dyntrace(d, ANN, '-qn', SELF, '-p', str(cat.pid), status=1)[2])
    with Daemon('probes = 20\n') as d, Cat(BOB) as cat:
        err = trace_cat(d, ANN, cat, 'pid$target:libc.so.6:str*:entry, syscall::write:entry { n++; }')[2]
        need_kernel(err)
        has('too many probes.*places are not traced', err)
    with Daemon() as d, Cat(BOB) as cat:
        rc, out, err = trace_cat(d, ANN, cat, SELF, args=['-x', 'followfork'])
        has('children are not followed', err)


def what_dies_leaves_nothing():
    with Daemon() as d, Cat(BOB) as cat:
        p = popen(d, ANN, '-qn', SELF, '-p', str(cat.pid))
        wait_for(lambda: 'places armed' in d.log() or p.poll() is not None, 'armed probes')
        if p.poll() is None:
            os.kill(d.workers()[0], 9)
        err = p.communicate(timeout=30)[1]
        need_kernel(err)
        wait_for(cat.is_clean, 'clean process')
        cat.say()
        before = d.log().count('places armed')
        p = popen(d, ANN, '-qn', SELF, '-p', str(cat.pid))
        armed(d, before)
        p.kill()
        p.communicate()
        wait_for(lambda: not d.workers() and cat.is_clean(), 'clean process')
        cat.say()


if __name__ == '__main__':
    machine.main([variables_and_aggregations_of_both, the_process_has_nothing_of_it, through_the_kernel_where_asked, processes_of_several_users, a_command,
                  libraries_that_come_later, another_program_has_no_probes, probes_of_the_program, where_the_kernel_is_not_permitted,
                  what_dies_leaves_nothing])
