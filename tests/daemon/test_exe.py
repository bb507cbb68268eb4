#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""-x exe=FILE for a member of group dyntrace: all processes of it that the daemon traces for him, as they are and as they come."""
import os
import re
import subprocess
import time

import machine
from machine import ANN, BOB, ROOT, Daemon, Skip, as_user, dyntrace, has, popen, wait_for

FORKER = r'''
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
struct work { int nr; };
__attribute__((noipa)) int work(struct work *w) { return w->nr + 1; }
int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 0, i;
	struct work w = { 7 };
	for (i = 0; i < 60; i++) {
		work(&w);
		usleep(10000);
	}
	for (i = 0; i < n; i++)
		if (!fork()) {
			work(&w);
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
	if (argc > 2)
		execl("/bin/true", "true", NULL);
	return 0;
}
'''


def forker(name='forker'):
    exe = f'{machine.PLACE}/{name}'
    if not os.path.exists(exe):
        if not machine.shutil.which('cc'):
            raise Skip('there is no cc')
        subprocess.run(['cc', '-g', '-O1', '-x', 'c', '-', '-o', exe], input=FORKER, text=True, check=True)
        os.chmod(exe, 0o755)
    return exe


def start(uid, *args):
    return subprocess.Popen([forker(), *args], cwd='/', **as_user(uid))


SCRIPT = '''BEGIN { printf("begun\\n"); } pid$target:a.out:work:entry { @[pid] = count(); } END { printa("%d %@d\\n", @); }'''


def tracer(d, uid, script=SCRIPT):
    t = popen(d, uid, '-q', '-x', f'exe={forker()}', '-n', script)
    if t.stdout.readline() != 'begun\n':
        raise AssertionError(t.communicate())
    return t


def finish(t):
    time.sleep(0.3)
    t.send_signal(2)
    out, err = t.communicate(timeout=60)
    return {int(k): int(v) for k, v in re.findall(r'^(\d+) (\d+)$', out, re.M)}, err


def others_come_and_go():
    """bob's: two that run, later ones that fork and run another program."""
    with Daemon() as d:
        early = [start(BOB) for _ in range(2)]
        t = tracer(d, ANN)
        late = [start(BOB, '5', 'x') for _ in range(3)]
        for p in early + late:
            assert p.wait(60) == 0, 'a traced program failed'
        hits, err = finish(t)
        assert t.returncode == 0 and not err, err
        for p in early:
            assert 1 <= hits.pop(p.pid) <= 60
        for p in late:
            assert 40 <= hits.pop(p.pid) <= 60, hits
        assert len(hits) == 15 and set(hits.values()) == {1}, hits
        has(r'ann \(pid \d+\): trace process %d: permitted' % late[0].pid, d.log())
        wait_for(lambda: not d.notes(), 'notes that are gone')


def others_are_counted():
    """Who may not trace them gets to know that there are some."""
    exe = forker('counted')  # others may run with the usual name
    with subprocess.Popen([exe], cwd='/', **as_user(ROOT)) as p:
        p.send_signal(19)  # it would be over soon
        err = dyntrace(None, BOB, '-qx', f'exe={exe}', '-n', 'BEGIN { exit(0); }', status=0)[2]
        assert '1 process of other users with that name is not traced' in err and 'dyntraced does not run' in err, err
        p.kill()


def none_runs_yet():
    with Daemon() as d:
        t = tracer(d, ANN)
        p = start(BOB)
        assert p.wait(60) == 0
        hits, err = finish(t)
        assert not err and list(hits) == [p.pid] and hits[p.pid] >= 40, (hits, err)
        # What is not there is said when one comes.
        t = tracer(d, ANN, 'BEGIN { printf("begun\\n"); } pid$target:a.out:no_such:entry { }')
        p = start(BOB)
        err = t.communicate(timeout=30)[1]
        assert t.returncode == 1 and 'does not match any probes' in err, err
        assert p.wait(60) == 0


def types_of_those_that_run():
    with Daemon() as d:
        p = start(BOB)
        out, err = dyntrace(d, ANN, '-q', '-x', f'exe={forker()}', '-n',
                            'pid$target:a.out:work:entry { printf("nr %d\\n", args[0]->nr); exit(0); }', status=0)[1:]
        assert 'nr 7' in out, out + err
        assert p.wait(60) == 0


def one_user_at_a_time():
    """They share memory: those of another user are left out, and it is said."""
    with Daemon() as d:
        first = start(BOB)
        t = tracer(d, ANN)
        other = start(ROOT)
        third = start(BOB)
        for p in first, other, third:
            assert p.wait(60) == 0
        hits, err = finish(t)
        assert set(hits) == {first.pid, third.pid}, hits
        has(f'pid {other.pid} is not traced: .*another user', err)
        # root has them all.
        t = popen(d, ROOT, '-q', '-x', 'daemon=always', '-x', f'exe={forker()}', '-n', SCRIPT)
        assert t.stdout.readline() == 'begun\n'
        both = [start(BOB), start(ROOT)]
        for p in both:
            assert p.wait(60) == 0
        hits, err = finish(t)
        assert set(hits) == {p.pid for p in both}, (hits, err)


def who_has_no_right_sees_his_own():
    with Daemon('processes = own\n') as d:
        theirs = start(BOB)
        t = tracer(d, ANN)
        mine = start(ANN)
        for p in theirs, mine:
            assert p.wait(60) == 0
        hits, err = finish(t)
        assert set(hits) == {mine.pid}, (hits, err)
    with Daemon() as d:
        t = tracer(d, BOB)
        p, other = start(BOB), start(ROOT)
        assert p.wait(60) == 0 and other.wait(60) == 0
        hits, err = finish(t)
        assert set(hits) == {p.pid}, (hits, err)


def the_daemon_dies():
    """Those that came are repaired as those that were named."""
    with Daemon() as d:
        t = tracer(d, ANN)
        procs = [start(BOB) for _ in range(3)]
        wait_for(lambda: d.log().count('trace process') == 3, 'three processes')
        os.kill(d.workers()[0], 9)
        t.communicate(timeout=30)
        for p in procs:
            assert p.wait(60) == 0, 'a traced program failed'


def kernel_probes_besides():
    with Daemon() as d:
        err = dyntrace(d, ANN, '-q', '-x', f'exe={forker()}', '-n', 'pid$target:a.out:work:entry, syscall::write:entry { }', status=1)[2]
        has('-x exe is for probes of processes alone|BPF|types', err)


if __name__ == '__main__':
    machine.main([others_come_and_go, others_are_counted, none_runs_yet, types_of_those_that_run, one_user_at_a_time, who_has_no_right_sees_his_own,
                  the_daemon_dies, kernel_probes_besides])
