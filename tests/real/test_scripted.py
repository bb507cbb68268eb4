#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Providers of the kernel beside what is known of a script: a tree of processes, traffic on a loopback of its own, a loop
device, counters.  The second opinions are /proc/net/snmp, /sys/block and perf stat."""
import collections
import os
import re
import subprocess
import sys
import tempfile

import kernlib
import lib

# ---- proc: a scripted tree ----

TREE = '''
import os, signal, sys, threading
sys.stdin.readline()
def child(what):
    pid = os.fork()
    if not pid:
        what()
        os._exit(0)
    return pid
def wait(pid):
    os.waitpid(pid, 0)
def fails(path, err):
    try:
        os.execv(path, [path])
    except OSError as e:
        assert e.errno == err
        os._exit(4)
for i in range(4):
    wait(child(lambda: os._exit(i)))
for i in range(3):
    wait(child(lambda: os.execv("/bin/true", ["/bin/true"])))
for i in range(2):
    wait(child(lambda: fails("/nonexistent/program", 2)))
wait(child(lambda: fails("/etc/passwd", 13)))
pid = child(signal.pause)
os.kill(pid, signal.SIGKILL)
wait(pid)
signal.signal(signal.SIGUSR1, lambda *a: None)
for i in range(7):
    os.kill(os.getpid(), signal.SIGUSR1)
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
for i in range(3):
    os.kill(os.getpid(), signal.SIGUSR2)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
for i in range(2):
    os.kill(os.getpid(), signal.SIGHUP)
    signal.sigtimedwait([signal.SIGHUP], 5)
# Last: who was joined may still be there, and would take a signal that is blocked elsewhere.
for i in range(5):
    t = threading.Thread(target=lambda: None)
    t.start()
    t.join()
os._exit(0)
'''
KIDS = 4 + 3 + 2 + 1 + 1
TREE_EVENTS = {
    'create': KIDS, 'start': KIDS, 'lwp-create': KIDS + 5, 'lwp-start': KIDS + 5, 'lwp-exit': KIDS + 5 + 1,
    'exec': 3 + 2 + 1, 'exec-success': 3, 'exec-failure -2': 2, 'exec-failure -13': 1,
    # CLD_EXITED, CLD_KILLED: the leader's end, too.
    'exit 1': KIDS, 'exit 2': 1,
    'signal-send SIGKILL': 1, 'signal-send SIGUSR1': 7, 'signal-handle SIGUSR1': 7, 'signal-discard SIGUSR2': 3,
    'signal-clear 1': 2,
    # Who each is about, by the translators.
    'is the child': KIDS, 'is of the process': KIDS + 5, 'is the target': 7,
}


def proc_tree():
    with kernlib.Waiting(sys.executable, '-c', TREE) as target:
        target.settled()
        mine = f'(pid == {target.pid} || ppid == {target.pid})'
        with kernlib.Counting(f'''
            proc:::create, proc:::start, proc:::lwp-create, proc:::lwp-start, proc:::lwp-exit, proc:::exec, proc:::exec-success
            /{mine}/ {{ @[probename] = count(); }}
            proc:::exec-failure, proc:::exit, proc:::signal-clear /{mine}/ {{ @n[probename, args[0]] = count(); }}
            proc:::signal-send, proc:::signal-discard
            /pid == {target.pid} && (args[2] == SIGKILL || args[2] == SIGUSR1 || args[2] == SIGUSR2)/
            {{
                @s[probename, args[2] == SIGKILL ? "SIGKILL" : args[2] == SIGUSR1 ? "SIGUSR1" : "SIGUSR2"] = count();
            }}
            proc:::signal-handle /pid == {target.pid} && args[0] == SIGUSR1/ {{ @s[probename, "SIGUSR1"] = count(); }}
            proc:::create /pid == {target.pid} && args[0]->pr_ppid == pid && args[0]->pr_fname == execname/
            {{ made[args[0]->pr_pid] = 1; }}
            proc:::start /made[pid]/ {{ @["is the child"] = count(); }}
            proc:::lwp-create /pid == {target.pid} && args[1]->pr_uid == uid && args[0]->pr_lwpid > 0/
            {{ @["is of the process"] = count(); }}
            proc:::signal-send /pid == {target.pid} && args[2] == SIGUSR1 && args[1]->pr_pid == pid && args[0]->pr_lwpid == tid/
            {{ @["is the target"] = count(); }}
            END {{ printa("%s %@d\\n", @); printa("%s %d %@d\\n", @n); printa("%s %s %@d\\n", @s); }}''') as t:
            t.wait()
            target.go()
            ours = t.counts()
    wrong = {k: (TREE_EVENTS.get(k, 0), ours.get(k, 0)) for k in {*TREE_EVENTS, *ours}
             if TREE_EVENTS.get(k, 0) != ours.get(k, 0)}
    assert not wrong, f'known, seen: {wrong}'


# ---- ip, tcp, udp: traffic in a network of its own ----

NET = '''
import fcntl, os, socket, struct, sys
sys.stdin.readline()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 1)) # SIOCSIFFLAGS: up
def datagrams(n):
    a, b = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for i in range(2))
    b.bind(("127.77.0.1", 4000))
    for i in range(n):
        a.sendto(b"x" * (i + 1), ("127.77.0.1", 4000))
        assert len(b.recv(2000)) == i + 1
def connection(size):
    l = socket.create_server(("127.77.0.1", 4001))
    a = socket.create_connection(("127.77.0.1", 4001))
    b, _ = l.accept()
    for i in range(10):
        a.sendall(b"y" * size)
        got = 0
        while got < size:
            got += len(b.recv(size - got))
        b.sendall(b"z")
        a.recv(1)
    a.close()
    b.close()
    l.close()
datagrams(20)
for i in range(3):
    connection(5000)
for i in range(2):
    try:
        socket.create_connection(("127.77.0.1", 4099))
    except ConnectionRefusedError:
        pass
print(open("/proc/net/snmp").read())
sys.stdout.flush()
os._exit(0)
'''


def snmp(text):
    rows = [l.split() for l in text.splitlines() if l.strip()]
    return {f'{k[0][:-1]}.{name}': int(v) for k, v in zip(rows[::2], rows[1::2]) for name, v in zip(k[1:], v[1:])}


def loopback():
    lib.need('unshare')
    kernlib.need_probe('ip:::send', 'tcp:::send', 'udp:::send')
    with tempfile.TemporaryFile('w+') as said, \
            kernlib.Waiting('unshare', '-n', sys.executable, '-c', NET, stdout=said) as target:
        target.settled()
        to = 'args[2]->ip_daddr == "127.77.0.1" || args[2]->ip_saddr == "127.77.0.1"'
        with kernlib.Counting(f'''
            ip:::send, ip:::receive, tcp:::send, tcp:::receive, udp:::send, udp:::receive, tcp:::connect-request,
            tcp:::connect-refused, tcp:::accept-refused, tcp:::connect-established, tcp:::accept-established
            /{to}/ {{ @[probeprov, probename] = count(); }}
            ip:::receive /{to}/ {{ @bytes["ip", "bytes"] = sum(args[2]->ip_plength + args[4]->ipv4_ihl); }}
            udp:::receive /{to}/ {{ @bytes["udp", "bytes"] = sum(args[4]->udp_length - 8); }}
            END {{ printa("%s %s %@d\\n", @); printa("%s %s %@d\\n", @bytes); }}''') as t:
            t.wait()
            target.go()
            ours = collections.Counter(t.counts())
        said.seek(0)
        text = said.read()
    if 'Tcp:' not in text:
        raise lib.Skip('there are no networks of one\'s own here')
    n = snmp(text)
    want = {
        'ip send': n['Ip.OutRequests'], 'ip receive': n['Ip.InReceives'],
        'udp send': n['Udp.OutDatagrams'], 'udp receive': n['Udp.InDatagrams'], 'udp bytes': sum(range(1, 21)),
        # What is sent again is counted apart there.
        'tcp send': n['Tcp.OutSegs'] + n['Tcp.RetransSegs'], 'tcp receive': n['Tcp.InSegs'],
        'tcp connect-established': 3, 'tcp accept-established': n['Tcp.PassiveOpens'], 'tcp connect-refused': 2,
        'tcp accept-refused': 2, 'tcp connect-request': n['Tcp.ActiveOpens'],
    }
    wrong = {k: (v, ours[k]) for k, v in want.items() if v != ours[k]}
    assert not wrong, f'/proc/net/snmp, dyntrace: {wrong}'
    assert ours['ip bytes'] > 3 * 10 * 5000, dict(ours)


# ---- io: a loop device ----

class Loop:
    """A loop device over a file of ours."""

    def __init__(self, size):
        lib.need('losetup', 'dd')
        self.file = tempfile.NamedTemporaryFile()
        self.file.truncate(size)
        r = subprocess.run(['losetup', '--find', '--show', self.file.name], capture_output=True, text=True, check=False)
        if r.returncode:
            self.file.close()
            raise lib.Skip('no loop device: ' + r.stderr.strip())
        self.path = r.stdout.strip()
        self.name = os.path.basename(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        subprocess.run(['losetup', '-d', self.path], check=False)
        self.file.close()

    def stat(self):
        with open(f'/sys/block/{self.name}/stat', encoding='ascii') as f:
            v = [int(x) for x in f.read().split()]
        return {'read': v[0], 'read bytes': v[2] * 512, 'write': v[4], 'write bytes': v[6] * 512}


def loop_device():
    kernlib.need_probe('io:::start', 'io:::done')
    with Loop(8 << 20) as loop:
        script = f'''
            io:::start, io:::done /args[1]->dev_statname == "{loop.name}"/
            {{
                this->what = args[0]->b_flags & B_WRITE ? "write" : "read";
                @[probename, this->what] = count();
                @bytes[probename, this->what, "bytes"] = sum(args[0]->b_bcount);
            }}
            END {{ printa("%s %s %@d\\n", @); printa("%s %s %s %@d\\n", @bytes); }}'''
        with kernlib.Counting(script) as t:
            t.wait()
            before = loop.stat()
            for how in ['if=/dev/zero', f'of={loop.path}', 'bs=4k', 'count=60', 'oflag=direct'], \
                    ['if=/dev/zero', f'of={loop.path}', 'bs=64k', 'count=7', 'oflag=direct'], \
                    [f'if={loop.path}', 'of=/dev/null', 'bs=16k', 'count=25', 'iflag=direct']:
                subprocess.run(['dd', 'status=none', *how], check=True)
            after = loop.stat()
            ours = collections.Counter(t.counts())
    theirs = {k: after[k] - before[k] for k in after}
    assert theirs['write'] >= 67 and theirs['read bytes'] >= 25 * 16384, theirs
    wrong = {f'{p} {k}': (theirs[k], ours[f'{p} {k}']) for p in ('start', 'done') for k in theirs
             if theirs[k] != ours[f'{p} {k}']}
    assert not wrong, f'/sys/block, dyntrace: {wrong}'


# ---- cpc: beside perf stat ----

PERIOD = 5000
LOADS = {
    'page_faults': ('page-faults', '''
import mmap, sys
sys.stdin.readline()
for i in range(10):
    m = mmap.mmap(-1, 4096 * 20000)
    for k in range(20000):
        m[k * 4096] = 1
    m.close()
'''),
    'context_switches': ('context-switches', '''
import os, sys
sys.stdin.readline()
a, b = os.pipe(), os.pipe()
pid = os.fork()
for i in range(30000):
    if pid:
        os.write(a[1], b"x")
        os.read(b[0], 1)
    else:
        os.read(a[0], 1)
        os.write(b[1], b"x")
'''),
}


def counter(event, load, target, tmp):
    """Every PERIOD events of a processor there is one probe: at least those of the target, at most those of all."""
    def stat(name, *how):
        return kernlib.Perf('stat', '-x', ',', '-D', '-1', '-o', f'{tmp}/{name}', '-e', event, *how)

    def said(name):
        with open(f'{tmp}/{name}', encoding='utf-8') as f:
            return int(re.search(rf'^(\d+),,{event}', f.read(), re.M).group(1))
    target.settled()
    with stat('all', '-a') as everybody, stat('one', '-p', target.pid) as one, \
            kernlib.Counting(f'cpc:::{load}-all-{PERIOD} {{ @[1] = count(); }} END {{ printa("%d %@d\\n", @); }}') as t:
        everybody.enable()
        t.wait()
        one.enable()
        target.go()
        one.stop()
        ours = t.counts().get('1', 0) * PERIOD
        everybody.stop()
    return said('one'), ours, said('all')


def counters():
    kernlib.have_perf()
    for load, (event, script) in LOADS.items():
        with tempfile.TemporaryDirectory() as tmp, kernlib.Waiting(sys.executable, '-c', script) as target:
            least, ours, most = counter(event, load, target, tmp)
            rest = PERIOD * os.sysconf('SC_NPROCESSORS_ONLN') # what is left over on each when it begins and ends
            assert least > 4 * rest, f'{load}: a load of {least} says nothing'
            # perf begins to count on all processors when it comes to it, which a busy machine delays.
            assert least - rest <= ours <= 2 * most + rest, f'{load}: {least} - {rest} <= {ours} <= 2 * {most} + {rest}'


def no_counter():
    """What perf stat calls "not supported" is not there, and it is said."""
    kernlib.have_perf()
    seen = 0
    for event, name in ('cycles', 'cycles'), ('instructions', 'instructions'), ('branch-misses', 'branch_misses'):
        if '<not supported>' not in kernlib.perf('stat', '-e', event, 'true').stderr:
            assert lib.dyntrace('-ln', f'cpc:::{name}-all-100000000').stdout.count('cpc') == 1
            continue
        seen += 1
        r = lib.dyntrace('-n', f'cpc:::{name}-all-100000000 {{ @ = count(); }}', check=False)
        assert r.returncode == 1 and f'not supported: this machine does not count {name}' in r.stderr, f'{r.returncode}: {r.stdout}{r.stderr}'
    if not seen:
        raise lib.Skip('this machine counts everything')


def main():
    kernlib.tests({
        'proc: a tree of processes': proc_tree,
        'ip, tcp, udp beside /proc/net/snmp': loopback,
        'io beside /sys/block': loop_device,
        'cpc beside perf stat': counters,
        'counters that there are not': no_counter,
    })


if __name__ == '__main__':
    main()
