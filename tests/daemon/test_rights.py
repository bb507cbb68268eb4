#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who may trace what through dyntraced, and that the answers are those of a run without it."""
import os
import shutil
import socket
import subprocess

from machine import ANN, BOB, Cat, Daemon, PLACE, ROOT, Skip, WRITES, alive, armed, dyntrace, has, main, popen, trace_cat, wait_for
import machine

SCRIPT = WRITES + ''' { @[execname, arg2] = count(); printf("%s %d\\n", copyinstr(arg1, 5), arg2); self->n = arg2; n++;
	@s[ustack(3)] = sum(arg2); @q = quantize(arg2); }
pid$target:libc.so.6:write:return /self->n/ { printf("%d of %d\\n", arg1, self->n); self->n = 0; }
BEGIN { printf("%s %d\\n", execname, uid); } END { printf("%d\\n", n); }'''


def plain(text):
    return text.replace('40001', 'UID').replace('dyntrace 0\n', 'dyntrace UID\n')


def member_traces_another_users_process():
    with Daemon() as d, Cat(BOB) as cat:
        rc, out, err = trace_cat(d, ANN, cat, SCRIPT)
        assert rc == 0 and not err, err
        local = trace_cat(d, ROOT, cat, SCRIPT.replace('BEGIN', 'BEGIN'), args=['-x', 'daemon=always'])[1]
        assert plain(out) == plain(local), out + local
        has(r'hell 6\n6 of 6\n.*\n3\n', out)
        assert cat.is_clean()
        has(r'ann \(pid \d+\): trace process %d: permitted' % cat.pid, d.log())


def the_same_without_the_daemon():
    with Daemon() as d, Cat(ROOT) as cat:
        through = trace_cat(d, ROOT, cat, SCRIPT, args=['-x', 'daemon=always'])
        p = popen(None, ROOT, '-q', '-x', 'daemon=never', '-n', SCRIPT, '-p', str(cat.pid))
        begun = p.stdout.readline()
        for _ in range(3):
            cat.say()
        p.send_signal(2)
        assert through[1] == begun + p.communicate(timeout=30)[0]


def commands_exits_and_failures():
    with Daemon() as d:
        for script, status in ((WRITES + ' { exit(7); }', 7), (WRITES + ' { @ = count(); }', 0),
                               (WRITES + ' { trace(*(int *)8); }', 0), ('pid$target::no_such:entry { }', 1),
                               ('ERROR { printf("E %d", arg4); } ' + WRITES + ' { trace(*(int *)8); }', 0)):
            runs = [dyntrace(d, ANN, '-x', 'daemon=' + how, '-qn', script, '-c', '/bin/echo hello', status=status)
                    for how in ('always', 'never')]
            assert status == 1 or runs[0][1] == runs[1][1], runs
            def no_pid(s):
                return ''.join(c for c in s if not c.isdigit())
            assert no_pid(runs[0][2]) == no_pid(runs[1][2]), runs


def a_refused_command_has_done_nothing():
    with Daemon() as d:
        for _ in range(20):
            assert not dyntrace(d, ANN, '-x', 'daemon=always', '-qn', 'pid$target::no_such:entry { }', '-c', '/bin/echo hello', status=1)[1]
            assert not d.notes(), 'its memory was waited for'
        assert dyntrace(d, ANN, '-x', 'daemon=always', '-Zqn', 'pid$target::no_such:entry { }', '-c', '/bin/echo hello', status=0)[1] == 'hello\n\n'


def a_script_runs_another_program():
    with Daemon() as d:
        for args, status in ((['-Zn', 'pid$target::no_such:entry { }'], 0), (['-n', 'pid$target::no_such:entry { }'], 1)):
            has(r'process \d+ is a shell, "/bin/sh -c true; true": what it runs',
                dyntrace(d, ANN, '-x', 'daemon=always', *args, '-c', '/bin/sh -c "true; true"', status=status)[2])


NO_MEMBER = ('dyntrace: not permitted: you are not in group dyntrace (root: usermod -aG dyntrace USER, who then logs in again); '
             'processes of your own need no dyntraced\n')


def others_get_one_sentence():
    with Daemon() as d, Cat(ROOT) as cat:
        _, out, err = dyntrace(d, BOB, '-n', WRITES + ' { }', '-p', str(cat.pid), status=1)
        assert err == NO_MEMBER and not out, err


def a_socket_that_is_open_to_all_does_not_help():
    with Daemon() as d, Cat(ROOT) as cat:
        os.chmod(d.sock, 0o666)
        _, out, err = dyntrace(d, BOB, '-n', WRITES + ' { }', '-p', str(cat.pid), status=1)
        assert err == NO_MEMBER and not out, err
        has(r'bob \(pid \d+\): refused: not permitted', d.log())


def without_a_daemon_it_says_so():
    with Cat(ROOT) as cat:
        err = dyntrace(None, ANN, '-n', WRITES + ' { }', '-p', str(cat.pid), status=1)[2]
        has('dyntraced does not run.*not permitted to trace process', err)
        err = dyntrace(None, ANN, '-x', 'daemon=always', '-n', 'BEGIN { }', status=1)[2]
        has('dyntraced does not run', err)
        for args in ['add', f'{cat.pid}:main', 'count'], ['list-symbols', str(cat.pid)], ['verify', str(cat.pid)], ['attach', str(cat.pid)]:
            err = dyntrace(None, BOB, *args)[2]
            has('not permitted.*dyntraced does not run.*members of group dyntrace', err)
    with Daemon() as d, Cat(ROOT) as cat:
        for args in ['add', f'{cat.pid}:main', 'count'], ['list-symbols', str(cat.pid)]:
            assert dyntrace(d, BOB, *args, status=1)[2].count('you are not in group dyntrace') == 1


def only_own_processes():
    with Daemon('processes = own\n') as d:
        with Cat(BOB) as cat:
            has('not permitted to trace process', dyntrace(d, ANN, '-n', WRITES + ' { }', '-p', str(cat.pid), status=1)[2])
            assert cat.is_clean()
        with Cat(ANN) as cat:
            assert trace_cat(d, ANN, cat, WRITES + ' { n++; } END { printf("%d\\n", n); }', args=['-x', 'daemon=always'])[1] == '3\n\n'
        # A program that its user may not read is not his to look into.
        closed = f'{PLACE or machine.PLACE}/closed-cat'
        shutil.copy('/bin/cat', closed)
        os.chmod(closed, 0o711)
        with Cat(ANN, closed) as cat:
            has('not permitted to trace process', dyntrace(d, ANN, '-n', WRITES + ' { }', '-p', str(cat.pid), status=1)[2])
        has('not permitted to trace the kernel', dyntrace(d, ANN, '-n', 'syscall::write:entry { }', status=1)[2])


def processes_of_several_users():
    script = 'pid$1:libc.so.6:write:entry, pid$2:libc.so.6:write:entry { @ = count(); }'
    with Daemon() as d, Cat(BOB) as cat, Cat(ROOT) as other, Cat(BOB) as third:
        err = dyntrace(d, ANN, '-qn', script, str(cat.pid), str(other.pid), status=1)[2]
        has('belongs to another user than others', err)
        assert cat.is_clean() and other.is_clean()
        for uid, pids in (ANN, (cat, third)), (ROOT, (cat, other)):
            before = d.log().count('places armed')
            p = popen(d, uid, '-q', '-x', 'daemon=always', '-n', script, *[str(c.pid) for c in pids])
            armed(d, before)
            for c in pids:
                c.say()
            p.send_signal(2)
            assert p.communicate(timeout=30)[0].split() == ['2']


def a_program_with_other_rights_is_not_followed():
    bob = f'{machine.PLACE}/bobs-echo'
    shutil.copy('/bin/echo', bob)
    os.chown(bob, BOB, BOB)
    os.chmod(bob, 0o4755)
    script = 'pid$target:libc.so.6:write:entry { printf("%s\\n", execname); }'
    with Daemon() as d:
        if os.statvfs(machine.PLACE).f_flag & os.ST_NOSUID:
            raise Skip('files here cannot be set-uid')
        _, out, _ = dyntrace(d, ANN, '-x', 'daemon=always', '-x', 'followfork', '-qn', script, '-c',
                             f'/bin/sh -c "/bin/echo one; {bob} two; /bin/echo three"')
        has('two', out)
        assert out.split('\n').count('echo') == 2 and 'bobs-echo' not in out.replace(bob, ''), out
        has('follow process .* belongs to another user', d.log())


def destructive_actions():
    script = WRITES + ' { copyoutstr("HELLO", arg1, 5); }'
    with Daemon() as d, Cat(BOB) as cat:
        has('Destructive actions not allowed by dyntraced.conf', dyntrace(d, ANN, '-w', '-n', script, '-p', str(cat.pid), status=1)[2])
        assert cat.is_clean()
    with Daemon('destructive = yes\n') as d, Cat(BOB) as cat:
        has('raise.. and stop.. cannot be used', dyntrace(d, ANN, '-x', 'daemon=always', '-wn', 'BEGIN { stop(); }', status=1)[2])
        p = popen(d, ANN, '-qwn', 'pid$target:libc.so.6:write:entry { raise(10); exit(0); }', '-p', str(cat.pid))
        armed(d)
        cat.proc.stdin.write(b'x\n')
        cat.proc.stdin.flush()
        p.communicate(timeout=30)
        assert cat.proc.wait(20) == -10


def the_kernel_for_members():
    with Daemon() as d:
        rc, out, err = dyntrace(d, ANN, '-qn', 'syscall::write:entry /pid == $target/ { @[execname, arg2] = count(); }', '-c',
                                '/bin/echo hello')
        if 'BPF' in err or 'capabilities' in err or 'describe its types' in err:
            raise Skip(err.strip())
        assert rc == 0, err
        has(r'echo +6 +1\n', out)


def the_workers_memory_is_nobodys():
    with Daemon() as d:
        with open(f'/proc/{d.pid}/maps', encoding='utf-8') as f:
            addr = '0x' + f.readline().split('-')[0]
        _, out, err = dyntrace(d, ANN, '-x', 'daemon=always', '-qn',
                               f'BEGIN {{ trace(*(int *){addr}); }} BEGIN {{ exit(0); }}', status=0)
        has('invalid address', err)
        assert not out.strip(), out


def limits():
    with Daemon('clients-of-a-user = 2\nprobes = 50\nmemory = 4m\n') as d, Cat(BOB) as cat:
        procs = [popen(d, ANN, '-x', 'daemon=always', '-n', 'tick-1s { }') for _ in range(2)]
        armed(d, 1)
        has('as many clients of yours', dyntrace(d, ANN, '-n', WRITES + ' { }', '-p', str(cat.pid), status=1)[2])
        dyntrace(d, ROOT, '-x', 'daemon=always', '-n', 'BEGIN { exit(0); }', status=0)
        for p in procs:
            p.terminate()
            assert p.wait(20) == 0
            p.communicate()
        wait_for(lambda: not d.workers(), 'end of workers')
        p = popen(d, ANN, '-qn', 'pid$target:libc.so.6::entry { }', '-p', str(cat.pid))
        err = p.communicate(timeout=60)[1]
        assert p.returncode == 1, err
        assert cat.is_clean()
        # Memory that nobody reads, and that fills.
        script = 'tick-1ms { ' + ('s = "%s"; trace(s); ' % ('x' * 250)) * 12 + '}'
        err = dyntrace(d, ANN, '-x', 'daemon=always', '-x', 'bufsize=64m', '-x', 'switchrate=60s', '-qn', script, status=1)[2]
        has('more than the 4 MiB of memory', err)


def a_second_one_says_who_is_there():
    with Daemon() as d:
        p = subprocess.run([f'{machine.PLACE}/dyntraced', '--run-dir', d.dir], capture_output=True, text=True, timeout=20, check=False)
        assert p.returncode == 1 and f'process {d.pid} holds' in p.stderr, p.stderr


def daemonize_and_sighup():
    d = Daemon('destructive = maybe\n')
    p = subprocess.run([f'{machine.PLACE}/dyntraced', '--daemonize', '--run-dir', d.dir, '-f', d.conf], capture_output=True,
                       text=True, timeout=20, check=False)
    assert p.returncode == 1 and 'line 1' in p.stderr, p.stderr
    with open(d.conf, 'w', encoding='utf-8') as f:
        f.write('# nothing\n')
    p = subprocess.run([f'{machine.PLACE}/dyntraced', '--daemonize', '--run-dir', d.dir, '-f', d.conf], capture_output=True,
                       text=True, timeout=20, check=False)
    assert p.returncode == 0, p.stderr
    with open(f'{d.dir}/dyntraced.lock', encoding='utf-8') as f:
        pid = int(f.read())
    try:
        has('Destructive', dyntrace(d, ANN, '-x', 'daemon=always', '-wn', 'BEGIN { chill(1); exit(0); }', status=1)[2])
        with open(d.conf, 'w', encoding='utf-8') as f:
            f.write('destructive = yes\n')
        os.kill(pid, 1)
        wait_for(lambda: dyntrace(d, ANN, '-x', 'daemon=always', '-wn', 'BEGIN { chill(1); exit(0); }')[0] == 0, 'reload')
    finally:
        os.kill(pid, 15)
    wait_for(lambda: not alive(pid), 'end')
    assert not os.path.exists(d.sock)


def systemd_protocols():
    d = Daemon()
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(f'{d.dir}/notify')
    listen = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listen.bind(d.sock)
    listen.listen(8)
    os.chown(d.sock, 0, machine.GROUP)
    os.chmod(d.sock, 0o660)
    pid = os.fork()
    if not pid:
        machine.ends_with_us()
        os.dup2(listen.fileno(), 3)
        os.set_inheritable(3, True)
        os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()), NOTIFY_SOCKET=f'{d.dir}/notify')
        os.execv(f'{machine.PLACE}/dyntraced', ['dyntraced', '--run-dir', d.dir, '-f', d.conf])
    listen.close()
    assert notify.recv(100) == b'READY=1'
    dyntrace(d, ANN, '-x', 'daemon=always', '-n', 'BEGIN { exit(0); }', status=0)
    os.kill(pid, 15)
    assert notify.recv(100) == b'STOPPING=1'
    os.waitpid(pid, 0)
    assert os.path.exists(d.sock)  # systemd's, not ours


if __name__ == '__main__':
    main([member_traces_another_users_process, the_same_without_the_daemon, commands_exits_and_failures, a_refused_command_has_done_nothing, a_script_runs_another_program, others_get_one_sentence,
          a_socket_that_is_open_to_all_does_not_help, without_a_daemon_it_says_so, only_own_processes, processes_of_several_users,
          a_program_with_other_rights_is_not_followed, destructive_actions,
          the_kernel_for_members, the_workers_memory_is_nobodys, limits, a_second_one_says_who_is_there, daemonize_and_sighup,
          systemd_protocols])
