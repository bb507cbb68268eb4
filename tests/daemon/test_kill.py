#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kill -9 of the client, the worker, the daemon and the target, at every stage: nothing stays behind, others go on."""
import os
import shutil
import signal
import subprocess
import time

from machine import ANN, BOB, ROOT, SLOW, Cat, Daemon, Skip, WRITES, alive, armed, has, main, popen, trace_cat, wait_for
import machine

COUNT = WRITES + ' { @ = count(); }'


def status_of(pid):
    with open(f'/proc/{pid}/status', encoding='utf-8') as f:
        return f.read()


def is_well(cat, seconds=15):
    """It goes on, with its own code, and nothing of ours in it."""
    cat.say()
    wait_for(cat.is_clean, 'clean process', seconds)
    cat.say()


def start(d, cat, uid=ANN, script=COUNT):
    before = d.log().count('places armed')
    p = popen(d, uid, '-q', '-n', script, '-p', str(cat.pid))
    armed(d, before)
    cat.say()
    return p


def finish(p):
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=30)
    return p.returncode, out, err


def the_client():
    with Daemon() as d, Cat(BOB) as cat:
        p = start(d, cat)
        assert not cat.is_clean()
        p.kill()
        p.communicate()
        is_well(cat)
        wait_for(lambda: not d.workers(), 'end of the worker')
        assert not d.notes()


def the_client_at_any_moment():
    with Daemon() as d, Cat(BOB) as cat:
        for ms in range(0, 240, 8):
            p = popen(d, ANN, '-q', '-n', COUNT, '-p', str(cat.pid))
            time.sleep(ms / 1000)
            p.kill()
            p.communicate()
            cat.say()
        is_well(cat)
        wait_for(lambda: not d.workers(), 'end of the workers')
        assert not d.notes()
        assert trace_cat(d, ANN, cat, COUNT)[1].split() == ['3']


def the_worker():
    with Daemon() as d, Cat(BOB) as cat, Cat(ROOT) as other:
        q = start(d, other)
        p = start(d, cat)
        before = set(d.workers())
        victim = max(before)
        os.kill(victim, signal.SIGKILL)
        p.communicate(timeout=30)
        assert p.returncode == 1
        is_well(cat)
        wait_for(lambda: not any(n.startswith(f'{victim}.') for n in d.notes()), 'notes to go')
        has(f'process {cat.pid} repaired', d.log())
        other.say()
        assert finish(q)[1].split() == ['2']


def while_a_debugger_has_it():
    """What cannot be repaired at once is tried again, without a word each time, and nobody has to ask for it."""
    if not shutil.which('strace'):
        raise Skip('strace is needed')
    with Daemon() as d, Cat(BOB) as cat:
        p = start(d, cat)
        with open('/dev/null', 'w', encoding='utf-8') as null:
            debugger = subprocess.Popen(['strace', '-f', '-q', '-e', 'trace=none', '-p', str(cat.pid)], stderr=null)
        try:
            wait_for(lambda: f'TracerPid:\t{debugger.pid}\n' in status_of(cat.pid), 'strace to attach')
            os.kill(d.workers()[0], signal.SIGKILL)
            p.communicate(timeout=30)
            wait_for(lambda: 'could not be repaired' in d.log(), 'a repair that fails')
            cat.say()
            assert not cat.is_clean() and d.notes()
            time.sleep(4) # it is tried again, and fails again
            assert d.log().count('could not be repaired') == 1, d.log()
        finally:
            debugger.terminate()
            debugger.wait()
        is_well(cat, 20)
        wait_for(lambda: not d.notes(), 'notes to go')
        assert trace_cat(d, ANN, cat, COUNT)[1].split() == ['3']


def the_worker_at_any_moment():
    with Daemon() as d, Cat(BOB) as cat:
        for ms in range(20, 300, 14):
            p = popen(d, ANN, '-q', '-n', COUNT, '-p', str(cat.pid))
            time.sleep(ms / 1000)
            for w in d.workers():
                os.kill(w, signal.SIGKILL)
            p.send_signal(signal.SIGINT)
            p.communicate(timeout=30)
            wait_for(lambda: not d.notes(), 'repair')
            cat.say()
        is_well(cat)
        assert trace_cat(d, ANN, cat, COUNT)[1].split() == ['3']


def the_daemon_alone():
    with Daemon() as d, Cat(BOB) as cat:
        p = start(d, cat)
        d.proc.kill()
        d.proc.wait()
        _, err = p.communicate(timeout=30)
        assert p.returncode == 1 and 'dyntraced' in err, err
        is_well(cat)
        d.start()
        assert trace_cat(d, ANN, cat, COUNT)[1].split() == ['3']


def the_daemon_and_its_workers():
    with Daemon() as d, Cat(BOB) as cat:
        p = start(d, cat)
        workers = d.workers()
        os.kill(d.pid, signal.SIGSTOP)
        for w in workers:
            os.kill(w, signal.SIGKILL)
        d.proc.kill()
        d.proc.wait()
        p.communicate(timeout=30)
        assert not cat.is_clean() and d.notes()
        cat.say()
        os.truncate(d.log_path, 0)
        d.start()
        is_well(cat)
        has(f'process {cat.pid} repaired', d.log())
        wait_for(lambda: not d.notes(), 'notes to go')
        assert trace_cat(d, ANN, cat, COUNT)[1].split() == ['3']


def the_target():
    with Daemon() as d, Cat(BOB) as cat:
        p = start(d, cat)
        cat.proc.kill()
        out, err = p.communicate(timeout=30)
        assert out.split() == ['2'] or out.split() == ['1'], out
        has('has ended', err)
        wait_for(lambda: not d.workers(), 'end of the worker')
        assert not d.notes()


def the_target_at_any_moment():
    with Daemon() as d:
        for ms in range(0, 200, 10):
            with Cat(BOB) as cat:
                p = popen(d, ANN, '-q', '-n', COUNT, '-p', str(cat.pid))
                time.sleep(ms / 1000)
                cat.proc.kill()
                said = p.communicate(timeout=30)
                assert p.returncode in (0, 1), (ms, p.returncode, said)
        wait_for(lambda: not d.workers(), 'end of the workers')
        assert not d.notes()


def sigterm_disarms():
    with Daemon() as d, Cat(BOB) as cat:
        p = start(d, cat)
        cat.say()
        cat.say()
        assert d.stop() == 0
        assert cat.is_clean()
        out, err = p.communicate(timeout=30)
        assert p.returncode == 1
        has('dyntraced ends', err)
        assert out.split() == ['3'], 'what was gathered is shown: ' + out
        assert not d.notes() and not os.path.exists(d.sock)


def a_stopped_client_hurts_nobody():
    with Daemon() as d, Cat(BOB) as cat, Cat(ROOT) as other:
        p = start(d, cat, script=WRITES + ' { printf("%d\\n", arg2); }')
        p.send_signal(signal.SIGSTOP)
        for _ in range(2000):
            cat.say()
        assert trace_cat(d, ANN, other, COUNT)[1].split() == ['3']
        p.send_signal(signal.SIGCONT)
        time.sleep(0.5)
        assert len(finish(p)[1].split()) == 2001
        is_well(cat)


def a_command_whose_client_is_killed():
    with Daemon() as d:
        p = popen(d, ANN, '-x', 'daemon=always', '-qn', 'pid$target:libc.so.6:read:entry { }', '-c', '/bin/sleep 300')
        armed(d)
        kid = int(subprocess.run(['pgrep', '-P', str(p.pid)], capture_output=True, text=True, check=True).stdout)
        p.kill()
        p.wait()  # its pipes are the command's, too
        wait_for(lambda: not d.workers(), 'end of the worker')
        assert alive(kid)
        v = subprocess.run([f'{machine.PLACE}/dyntrace', 'verify', '-p', str(kid)], capture_output=True, text=True, check=False)
        os.kill(kid, signal.SIGKILL)
        assert v.returncode == 0, v.stdout + v.stderr


def memory_that_stays():
    """A thread stands in our code when tracing ends, as long as it likes: that is said, and our memory goes when the thread has gone."""
    with Daemon('destructive = yes\n') as d, Cat(BOB) as cat:
        p = popen(d, ANN, '-qwn', WRITES + ' { stop(); exit(0); }', '-p', str(cat.pid))
        armed(d)
        cat.proc.stdin.write(b'x\n')
        cat.proc.stdin.flush()
        _, err = p.communicate(timeout=30 * SLOW)
        has(f'process {cat.pid}: its code is as before, but memory of ours stays mapped, .* dyntraced takes it away once none is', err)
        assert d.notes() and not cat.is_clean()
        os.kill(cat.pid, signal.SIGCONT)
        assert cat.proc.stdout.readline() == b'x\n'
        is_well(cat)
        wait_for(lambda: not d.notes(), 'end of the repair')
        has(f'process {cat.pid} repaired', d.log())


def a_stopped_daemon_deafens_nobody():
    """Who interrupts a client is heard while dyntraced is stopped: what was gathered is shown, what could not be done said, and done later."""
    with Daemon() as d, Cat(BOB) as cat:
        for whole in True, False:
            p = start(d, cat)
            stopped = [d.pid] * whole + d.workers()
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            cat.say()
            cat.say()
            p.send_signal(signal.SIGINT)
            if not whole: # the daemon looks as ever: it may only be busy
                wait_for(lambda p=p: 'has not answered yet' in p.stderr.readline() or p.poll() is not None, 'word of it')
                p.send_signal(signal.SIGTERM)
            out, err = p.communicate(timeout=30 * SLOW)
            assert p.returncode == 1 and 'dyntraced does not answer' in err and ('(SIGSTOP)' in err) == whole, (whole, p.returncode, err)
            assert out.split() == ['3'] if whole else not out and 'is not shown' in err, (whole, out, err) # who asks twice is shown nothing
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
            is_well(cat)
        os.kill(d.pid, signal.SIGSTOP)
        p = popen(d, ANN, '-qn', COUNT, '-p', str(cat.pid))
        said = p.stderr.readline()
        assert f'dyntraced (process {d.pid}) does not answer' in said and '^C' in said and p.poll() is None, (p.returncode, said)
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=30 * SLOW)
        assert p.returncode == 1 and 'does not answer, since it is stopped' in err, (p.returncode, err)
        os.kill(d.pid, signal.SIGCONT)
        assert trace_cat(d, ANN, cat, COUNT)[1].split() == ['3']


if __name__ == '__main__':
    main([the_client, the_client_at_any_moment, the_worker, while_a_debugger_has_it, the_worker_at_any_moment, the_daemon_alone, the_daemon_and_its_workers,
          the_target, the_target_at_any_moment, sigterm_disarms, a_stopped_client_hurts_nobody, memory_that_stays, a_stopped_daemon_deafens_nobody, a_command_whose_client_is_killed])
