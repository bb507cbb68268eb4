#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The units, the group and the folders that are installed, on a machine that systemd boots: see boot.py."""
import grp
import os
import re
import shutil
import signal
import subprocess
import sys

import boot
import machine
from machine import ANN, BOB, ROOT, Cat, Skip, WRITES, dyntrace, has, popen, trace_cat, wait_for

COUNT = WRITES + ' { @ = count(); }'


def systemctl(*args, status=0):
    r = subprocess.run(['systemctl', '--no-pager', *args], capture_output=True, text=True, timeout=90, check=False)
    assert status is None or r.returncode == status, f'systemctl {args}: {r.returncode}: {r.stdout}{r.stderr}{Service.log()[-1500:]}'
    return r.stdout.strip()


def prop(name, unit='dyntraced.service'):
    return systemctl('show', '-P', name, unit)


class Service:
    """What machine.py's functions ask of a daemon."""
    sock = '/run/dyntrace/dyntraced.sock'

    @staticmethod
    def log():
        subprocess.run(['journalctl', '--sync'], capture_output=True, check=False)
        r = subprocess.run(['journalctl', '--no-pager', '-o', 'cat', '-u', 'dyntraced.service', '-t', 'dyntraced'], capture_output=True, text=True, check=False)
        return r.stdout


D = Service()


def main_pid():
    return int(prop('MainPID'))


def tracing(uid, cat):
    """A client whose probes are placed."""
    before = D.log().count('places armed')
    p = popen(D, uid, '-q', '-n', COUNT, '-p', str(cat.pid))
    wait_for(lambda: D.log().count('places armed') > before or p.poll() is not None, 'armed probes')
    cat.say()
    assert not cat.is_clean()
    return p


def units_are_right():
    where = os.path.dirname(prop('FragmentPath'))
    r = subprocess.run(['systemd-analyze', 'verify', '--man=no', f'{where}/dyntraced.service', f'{where}/dyntraced.socket'], capture_output=True,
                       text=True, check=False)
    # Units of this small machine that others refer to are not there.
    said = [s for s in (r.stdout + r.stderr).splitlines() if 'dyntrace' in s]
    assert not said, said
    r = subprocess.run(['systemd-analyze', 'security', '--no-pager', 'dyntraced.service'], capture_output=True, text=True, check=False)
    exposure = float(re.search(r'exposure level for dyntraced.service: ([0-9.]+)', r.stdout).group(1))
    assert exposure < 4, r.stdout


def group_and_folder_are_made():
    grp.getgrnam('dyntrace')
    st = os.stat('/run/dyntrace')
    assert (st.st_uid, st.st_gid, st.st_mode & 0o7777) == (0, 0, 0o755), st
    assert os.stat('/run/dyntrace/targets').st_mode & 0o7777 == 0o700


def the_socket_starts_it():
    systemctl('enable', 'dyntraced.socket')
    systemctl('start', 'dyntraced.socket')
    st = os.stat(D.sock)
    assert (st.st_uid, st.st_gid, st.st_mode & 0o777) == (0, machine.GROUP, 0o660), st
    assert prop('ActiveState') == 'inactive'
    with Cat(BOB) as cat:
        assert trace_cat(D, ANN, cat, COUNT)[1].split() == ['3']
        assert prop('ActiveState') == 'active' and prop('NotifyAccess') == 'main'
        err = dyntrace(D, BOB, '-n', COUNT, '-p', str(os.getpid()), status=1)[2]
        has('not permitted|dyntraced', err)
        assert cat.is_clean()
    # Once, in the journal, with who and what and which.
    said = re.findall(r'^ann \(pid \d+\): trace process \d+: permitted$', D.log(), re.M)
    assert len(said) == 1, D.log()


def stop_disarms():
    with Cat(BOB) as cat, Cat(ROOT) as other:
        p, q = tracing(ANN, cat), tracing(ANN, other)
        systemctl('stop', 'dyntraced.service')
        assert cat.is_clean() and other.is_clean()
        for c in p, q:
            err = c.communicate(timeout=30)[1]
            assert c.returncode == 1, err
            has('dyntraced ends', err)
        assert prop('Result') == 'success' and prop('ActiveState') == 'inactive'
        wait_for(lambda: not os.listdir('/run/dyntrace/targets'), 'notes to go')
        # The socket stays, and starts it once more.
        assert trace_cat(D, ANN, cat, COUNT)[1].split() == ['3']


def restart_and_reload():
    before = main_pid()
    with Cat(BOB) as cat:
        p = tracing(ANN, cat)
        systemctl('restart', 'dyntraced.service')
        p.communicate(timeout=30)
        assert p.returncode == 1 and cat.is_clean() and main_pid() != before
    chill = ['-x', 'daemon=always', '-wn', 'BEGIN { chill(1); exit(0); }']
    has('Destructive', dyntrace(D, ANN, *chill, status=1)[2])
    with open('/etc/dyntraced.conf', 'w', encoding='utf-8') as f:
        f.write('destructive = yes\n')
    systemctl('reload', 'dyntraced.service')
    wait_for(lambda: 'read again' in D.log(), 'reload')
    dyntrace(D, ANN, *chill, status=0)
    os.unlink('/etc/dyntraced.conf')
    systemctl('reload', 'dyntraced.service')


def killed(how):
    with Cat(BOB) as cat:
        p = tracing(ANN, cat)
        before, restarts = main_pid(), int(prop('NRestarts'))
        how(before)
        p.communicate(timeout=30)
        assert p.returncode == 1
        wait_for(lambda: main_pid() not in (0, before) and prop('ActiveState') == 'active', 'restart')
        assert int(prop('NRestarts')) == restarts + 1
        cat.say()
        wait_for(cat.is_clean, 'repair')
        assert trace_cat(D, ANN, cat, COUNT)[1].split() == ['3']
        wait_for(lambda: not os.listdir('/run/dyntrace/targets'), 'notes to go')


def kill_9_of_the_main_process():
    killed(lambda pid: os.kill(pid, signal.SIGKILL))


def kill_9_of_all_of_it():
    def at_once(_):
        """None of them sees the others die: it could repair, and be killed before it says so."""
        for sig in 'STOP', 'KILL':
            systemctl('kill', '-s', sig, '--kill-who=all', 'dyntraced.service')
    killed(at_once)
    wait_for(lambda: re.search(r'process \d+ repaired', D.log()), 'word of the repair') # the journal is behind

def a_second_one_is_refused():
    r = subprocess.run(['dyntraced'], capture_output=True, text=True, timeout=20, check=False)
    assert r.returncode == 1 and f'process {main_pid()} holds' in r.stderr, r.stderr


def the_kernel_within_its_bounds():
    """BPF and perf events, with the rights that the unit leaves: as without it."""
    # By name: the kernel's numbers of processes are not this machine's.
    script = 'syscall::write:entry /execname == "echo"/ { @[execname, arg2] = count(); stack(); exit(0); } profile-97 { n++; }'
    runs = [dyntrace(D, uid, '-x', 'daemon=' + how, '-qn', script, '-c', '/bin/sh -c "sleep 0.2; /bin/echo hello >/dev/null"')
            for uid, how in ((ROOT, 'never'), (ANN, 'always'))]
    if runs[0][0]:
        raise Skip(runs[0][2].strip())
    # The functions of the stack; the tracepoint's own are in it or not, as it has one listener or more.
    glue = '(?m)^ +vmlinux`(?:__traceiter|__bpf_trace|perf_|bpf_|trace_call_bpf).*\n'
    seen = [(status, re.sub(r'\+0x[0-9a-f]+$', '', re.sub(glue, '', out), flags=re.M)) for status, out, _ in runs]
    assert seen[1] == seen[0] and 'echo' in seen[1][1] and 'vmlinux`' in seen[1][1], runs


def providers_within_its_bounds():
    """What root can have by himself, a member can have of the service."""
    for probe in ('proc:::exit', 'sched:::on-cpu', 'io:::start', 'tcp:::send', 'ip:::send', 'udp:::send', 'rawtp:sched::sched_switch', 'lockstat:::spin-spin',
                  'profile-97', 'syscall:::entry', 'cpc:::cpu_clock-all-1000000'):
        script = probe + ' { @ = count(); } tick-200ms { exit(0); }'
        runs = [dyntrace(D, uid, '-x', 'daemon=' + how, '-qn', script) for uid, how in ((ROOT, 'never'), (ANN, 'always'))]
        assert runs[0][0] == runs[1][0], (probe, runs)


def uprobes_within_its_bounds():
    script = 'BEGIN { printf("begun\\n"); } pid$target:libc.so.6:write:entry { @ = count(); }'

    def count(cat, how):
        p = popen(D, ROOT, '-q', '-x', 'daemon=' + how, '-x', 'backend=uprobe', '-n', script, '-p', str(cat.pid))
        begun = p.stdout.readline() # or it has ended
        if begun:
            cat.say()
            p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=30)
        return p.returncode == 0 and out.split() == ['1'], begun + out + err
    with Cat(ROOT) as cat:
        ok, said = count(cat, 'never')
        if not ok:
            raise Skip('no uprobes here: ' + said.strip())
        ok, said = count(cat, 'always')
        assert ok, said


def all_of_a_library():
    """Much memory, many places, types and lines of the program."""
    with Cat(BOB) as cat:
        before = D.log().count('places armed')
        p = popen(D, ANN, '-q', '-b', '16m', '-n', 'pid$target:libc.so.6::entry { @[probefunc] = count(); @s[ustack(4)] = count(); }', '-p', str(cat.pid))
        wait_for(lambda: D.log().count('places armed') > before or p.poll() is not None, 'armed probes', 90)
        for _ in range(20):
            cat.say()
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=60)
        assert p.returncode == 0 and re.search(r'\bwrite +20\n', out) and 'cat`' in out, out[-500:] + err[-500:]
        assert cat.is_clean()


def a_program_in_a_container():
    """Files that only its own mounts have."""
    code = 'mount -t tmpfs none /mnt && cp /bin/cat /mnt/hidden && exec /mnt/hidden'
    p = subprocess.Popen(['unshare', '-m', '-p', '--fork', '--mount-proc', '--kill-child', 'sh', '-c', code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        pid = wait_for(lambda: next((k for k in machine.children(p.pid, 'hidden')), 0), 'program')
        cat = Cat.__new__(Cat)
        cat.proc, cat.pid = p, pid
        cat.say()
        assert trace_cat(D, ANN, cat, COUNT)[1].split() == ['3']
        assert trace_cat(D, ANN, cat, 'pid$target:a.out::entry { @ = count(); }', says=1)[0] == 0
        assert cat.is_clean()
    finally:
        p.kill()
        p.communicate()


def programs_that_offer_themselves():
    lib = subprocess.run(['find', '/usr/local/lib', '/usr/lib', '-name', 'libdyntrace-agent.so'], capture_output=True, text=True, check=False).stdout.split()[0]
    env = dict(os.environ, LD_PRELOAD=lib)
    p = subprocess.Popen(['/bin/cat'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, cwd='/', **machine.as_user(BOB))
    try:
        cat = Cat.__new__(Cat)
        cat.proc, cat.pid = p, p.pid
        cat.say()
        wait_for(lambda: os.path.exists(f'/run/dyntrace/offers/{p.pid}'), 'offer')
        rc, out, err = trace_cat(D, ANN, cat, COUNT, args=['-x', 'inject=agent'])
        assert rc == 0 and out.split() == ['3'], out + err
    finally:
        p.kill()
        p.communicate()


def it_goes_with_the_socket():
    with Cat(BOB) as cat:
        p = tracing(ANN, cat)
        systemctl('stop', 'dyntraced.socket', 'dyntraced.service')
        p.communicate(timeout=30)
        assert cat.is_clean()
        has('dyntraced does not run', dyntrace(D, ANN, '-n', COUNT, '-p', str(cat.pid), status=1)[2])
    systemctl('enable', '--now', 'dyntraced.service')
    assert prop('ActiveState') == 'active' and prop('ActiveState', 'dyntraced.socket') == 'active'
    assert systemctl('is-enabled', 'dyntraced.socket') == 'enabled'
    systemctl('stop', 'dyntraced.service')


TESTS = [group_and_folder_are_made, units_are_right, the_socket_starts_it, stop_disarms, restart_and_reload, kill_9_of_the_main_process,
         kill_9_of_all_of_it, a_second_one_is_refused, the_kernel_within_its_bounds, providers_within_its_bounds, uprobes_within_its_bounds, all_of_a_library,
         a_program_in_a_container, programs_that_offer_themselves, it_goes_with_the_socket]


def begin():
    subprocess.run(['usermod', '-aG', 'dyntrace', 'ann'], check=True)
    machine.GROUP = grp.getgrnam('dyntrace').gr_gid
    machine.PLACE = os.path.dirname(shutil.which('dyntrace'))


def outside():
    try:
        with boot.boot([f'ann:x:{ANN}:{ANN}::/:/bin/sh', f'bob:x:{BOB}:{BOB}::/:/bin/sh']) as pid:
            status = boot.again(pid, os.path.abspath(__file__))
    except boot.Cannot as e:
        print(f'1..1\nok 1 - boot # SKIP {e}')
        status = 0
    sys.exit(status)


if __name__ == '__main__':
    if os.environ.get('DYNTRACE_BOOTED'):
        machine.main(TESTS, begin, lambda: None)
    outside()
