#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""-x exe=FILE: all processes of an executable, those that run and those that come."""
import os
import re
import shutil
import subprocess
import tempfile
import time

import lib
from servers import free_port, port_open

FORKER = r'''
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
__attribute__((noipa)) int work(int a) { return a + 1; }
int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 0, i;
	for (i = 0; i < 150 * SLOW; i++) {
		work(i);
		usleep(10000);
	}
	for (i = 0; i < n; i++)
		if (!fork()) {
			work(i);
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
	if (argc > 2)
		execl("/bin/true", "true", NULL);
	return 0;
}
'''


def compiled(work):
    exe = os.path.join(work, 'forker')
    subprocess.run(['gcc', '-O1', f'-DSLOW={lib.SLOW}', '-x', 'c', '-', '-o', exe], input=FORKER, text=True, check=True)
    os.chmod(work, 0o755)
    return exe


def counts(text):
    return dict((k, int(v)) for k, v in re.findall(r'^(\S+) (\d+)$', text, re.M))


def own_programs(before, as_user):
    """@before of them run when tracing begins; later ones come, fork, exec another program."""
    with tempfile.TemporaryDirectory() as work:
        exe = compiled(work)
        tool = [os.path.abspath(lib.DYNTRACE)]
        user = {}
        if as_user:
            if os.getuid():
                raise lib.Skip('needs root')
            tool[0] = shutil.copy(tool[0], work)
            shutil.copy(os.path.join(lib.BUILD, 'libdyntrace-agent.so'), work)
            user = {'user': 65534, 'group': 65534, 'extra_groups': []}
        early = [subprocess.Popen([exe], **user) for _ in range(before)]
        t = subprocess.Popen(tool + ['-q', '-x', f'exe={exe}', '-n', '''
            BEGIN { printf("begun\\n"); }
            pid$target:a.out:work:entry { @[pid] = count(); }
            END { printa("%d %@d\\n", @); }'''],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **user)
        try:
            assert t.stdout.readline() == 'begun\n', t.communicate()
            late = [subprocess.Popen([exe, '5', 'x'], **user) for _ in range(4)]
            for p in early + late:
                assert p.wait(60 * lib.SLOW) == 0, 'a traced program failed'
            time.sleep(0.2)
            t.send_signal(2)
            out, err = t.communicate(timeout=60 * lib.SLOW)
        finally:
            t.kill()
        assert t.returncode == 0 and not err, f'{t.returncode}: {err}'
        seen = counts(out)
        for p in early:
            assert seen.pop(str(p.pid), 0) > 5, f'{p.pid} is not in {out}'
        for p in late:
            assert seen.pop(str(p.pid), 0) > 20, f'{p.pid} is not in {out}'
        assert len(seen) == 20 and set(seen.values()) == {1}, f'the forked children: {seen}'


# More functions than are read anew for each run; which of them are called where is up to the order.
MANY = r'''
#include <stdio.h>
int first(void), last(void);
int main(void)
{
	puts("ready");
	fflush(stdout);
	getchar();
	for (int i = 0; i < 3; i++)
		first();
	for (int i = 0; i < 5; i++)
		last();
	return 0;
}
'''


def with_symbols(path, names):
    """At @path, in place of what was there: a program with many functions, in this order."""
    code = '.text\n' + ''.join(f'.globl {n}\n.type {n},@function\n{n}: mov $1,%eax\n nop\n ret\n.size {n},.-{n}\n' for n in names)
    with open(path + '.s', 'w', encoding='ascii') as f:
        f.write(code + '.section .note.GNU-stack,"",@progbits\n')
    with open(path + '.c', 'w', encoding='ascii') as f:
        f.write(MANY)
    subprocess.run(['gcc', '-O1', '-Wl,--build-id', '-o', path + '.new', path + '.c', path + '.s'], check=True)
    os.rename(path + '.new', path)


def kept_symbols():
    """Those of last time, for processes that run and that come; not those of a file that was there before."""
    lib.need('gcc')
    with tempfile.TemporaryDirectory() as work:
        exe, cache = os.path.join(work, 'many'), os.path.join(work, 'cache')
        env = {k: v for k, v in os.environ.items() if k != 'DYNTRACE_CACHE'} | {'XDG_CACHE_HOME': cache}

        def start():
            p = subprocess.Popen([exe], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            assert p.stdout.readline() == 'ready\n'
            return p

        def seen():
            running = [start()]
            try:
                with lib.Tracing('-q', '-x', f'exe={exe}', '-n', '''BEGIN { printf("begun\\n"); }
                        pid$target:a.out:first:entry, pid$target:a.out:last:entry { @[pid, probefunc, ufunc(uregs[R_RIP])] = count(); }
                        END { printa("%d %s %A %@d\\n", @); }''', env=env) as t:
                    t.wait_begun()
                    running.append(start())
                    t.wait_armed(running[-1].pid)
                    for p in running:
                        p.communicate('go\n', timeout=60 * lib.SLOW)
                    status, out, err = t.stop()
                    assert status == 0 and not err, (status, out, err)
            finally:
                for p in running:
                    p.kill()
                    p.wait()
            want = sorted(f'{p.pid} {f} many`{f} {n}' for p in running for f, n in (('first', 3), ('last', 5)))
            assert sorted(out.split('\n'))[-4:] == want, (out, want)
        more = [f'f{i}' for i in range(12000)]
        with_symbols(exe, ['first', *more, 'last'])
        seen()
        kept = [f for _, _, files in os.walk(cache) for f in files]
        assert kept, 'nothing was kept'
        seen()
        with_symbols(exe, [*more[:100], 'last', *more[100:], 'first'])
        seen()
        seen()
        assert len([f for _, _, files in os.walk(cache) for f in files]) >= len(kept)


def nginx():
    """A master and workers that run already, then the same once more."""
    lib.need('nginx', 'ab')
    if os.getuid():
        raise lib.Skip('needs root')
    with tempfile.TemporaryDirectory() as work:
        exe = shutil.copy(os.path.realpath(shutil.which('nginx')), os.path.join(work, 'nginx')) # others of this machine are not ours
        def start(name):
            port = free_port()
            home = os.path.join(work, name)
            os.makedirs(os.path.join(home, 'logs'))
            with open(os.path.join(home, 'conf'), 'w', encoding='ascii') as f:
                f.write(f'daemon off; worker_processes 2; pid {home}/pid; error_log {home}/error;\n'
                        'events { } http { access_log off; client_body_temp_path body; proxy_temp_path proxy;\n'
                        'fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n'
                        f'server {{ listen 127.0.0.1:{port}; return 200 "well\\n"; }} }}\n')
            p = subprocess.Popen([exe, '-p', home, '-c', 'conf'], stderr=subprocess.DEVNULL)
            lib.wait_for(lambda: port_open(port), 'nginx')
            return p, port

        def load(port):
            return subprocess.run(['ab', '-q', '-n', '500', '-c', '4', f'http://127.0.0.1:{port}/'], check=True,
                                  capture_output=True, text=True).stdout

        first, port1 = start('a')
        second = None
        try:
            with lib.Tracing('-q', '-x', f'exe={exe}', '-n', '''
                    pid$target:libc*:writev:entry { @[pid == $target ? "master" : "worker"] = count(); @p["processes", pid] = count(); }
                    END { printa("%s %@d\\n", @); printa("%s %d\\n", @p); }''') as t:
                t.wait_armed(first.pid)
                second, port2 = start('b')
                t.wait_armed(second.pid)
                time.sleep(0.5)
                for port in port1, port2:
                    out = load(port)
                    assert 'Failed requests:        0' in out, out
                status, out, err = t.stop()
                assert status == 0 and not err, f'{status}: {err}'
                assert counts(out).get('worker') == 1000, out
                assert len(re.findall('^processes ', out, re.M)) >= 2, out
            for port in port1, port2:
                assert 'Failed requests:        0' in load(port)
            for p in first, second:
                lib.assert_untouched(p.pid)
        finally:
            for p in first, second:
                if p:
                    p.terminate()
                    p.wait(30 * lib.SLOW)


def redis():
    """Servers that start while it is traced already; none was there before."""
    lib.need('redis-server', 'redis-cli')
    with tempfile.TemporaryDirectory() as work:
        exe = shutil.copy(os.path.realpath(shutil.which('redis-server')), os.path.join(work, 'redis-server'))
        servers = []
        try:
            with lib.Tracing('-q', '-x', f'exe={exe}', '-n', '''BEGIN { printf("begun\\n"); }
                    pid$target:libc*:read:entry { @[pid] = count(); }
                    END { printa("%d %@d\\n", @); }''') as t:
                assert t.proc.stdout.readline() == 'begun\n'
                for i in range(2):
                    sock = os.path.join(work, f'sock{i}')
                    servers.append(subprocess.Popen([exe, '--port', '0', '--unixsocket', sock, '--save', '', '--dir', work],
                                                    stdout=subprocess.DEVNULL))
                    lib.wait_for(lambda: os.path.exists(sock), 'redis')
                    t.wait_armed(servers[-1].pid)
                    for _ in range(20):
                        subprocess.run(['redis-cli', '-s', sock, 'ping'], check=True, capture_output=True)
                status, out, err = t.stop()
                assert status == 0 and not err, f'{status}: {err}'
                seen = counts(out)
                for p in servers:
                    assert seen.get(str(p.pid), 0) >= 20, out
        finally:
            for p in servers:
                p.terminate()
                p.wait(30 * lib.SLOW)


def no_file():
    r = lib.dyntrace('-x', 'exe=/nonexistent', '-n', 'pid$target:::entry { }', check=False)
    assert r.returncode == 1 and 'exe=/nonexistent' in r.stderr, r.stderr
    r = lib.dyntrace('-x', 'exe=/etc/passwd', '-n', 'pid$target:::entry { }', check=False)
    assert r.returncode == 1 and 'no executable' in r.stderr, r.stderr


def no_probe():
    """What none of its processes has is told when the first comes."""
    with tempfile.TemporaryDirectory() as work:
        exe = compiled(work)
        with lib.Tracing('-q', '-x', f'exe={exe}', '-n', 'BEGIN { printf("begun\\n"); } pid$target:a.out:wrok:entry { }') as t:
            assert t.proc.stdout.readline() == 'begun\n'
            p = subprocess.Popen([exe])
            out, err = t.proc.communicate(timeout=30 * lib.SLOW)
            assert p.wait(30 * lib.SLOW) == 0
            assert t.proc.returncode == 1 and 'does not match any probes' in err, f'{t.proc.returncode}: {err}'


def main():
    tap = lib.Tap()
    tap.run('none runs yet', own_programs, 0, False)
    tap.run('some run already', own_programs, 3, False)
    tap.run('none runs yet, not root', own_programs, 0, True)
    tap.run('some run already, not root', own_programs, 3, True)
    tap.run('symbols that are kept', kept_symbols)
    tap.run('nginx', nginx)
    tap.run('redis', redis)
    tap.run('no such file', no_file)
    tap.run('no such probe', no_probe)
    tap.done()


if __name__ == '__main__':
    main()
