# SPDX-License-Identifier: MIT
"""A machine that systemd boots: this one's files under an overlay with dyntrace installed, namespaces of its own for
processes, mounts, control groups and the network. Nothing of it reaches the machine outside, and it goes with its creator.

Outside, boot() gives the number of its process 1; a test script enters it with enter() and runs there again.
"""
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from procs import SLOW  # noqa: E402

BUILD = os.path.abspath(os.environ['DYNTRACE_BUILD'])
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SYSTEMD = next((p for p in ('/usr/lib/systemd/systemd', '/lib/systemd/systemd') if os.path.exists(p)), None)
FROM_SYSTEMD = ['systemd-journald.service', 'systemd-journald.socket', 'systemd-journald-dev-log.socket', 'systemd-sysusers.service',
                'systemd-tmpfiles-setup.service']
TARGETS = ['sysinit', 'basic', 'sockets', 'multi-user', 'local-fs', 'shutdown', 'timers', 'paths', 'slices']
UNITS = {
    'test.target': '[Unit]\nRequires=basic.target sockets.target ready.service\n',
    # Enough of a boot that what comes with dyntrace is used: its group, its folder, the journal.
    'ready.service': '''[Unit]
DefaultDependencies=no
Requires=systemd-journald.service systemd-journald-dev-log.socket systemd-sysusers.service systemd-tmpfiles-setup.service
After=systemd-journald.service systemd-sysusers.service systemd-tmpfiles-setup.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/touch /run/ready
''',
}

# $1: its folder, $2: units, $3: where units are looked for, $4: systemd, $5 $6: folders that what
# is mounted might hide. As process 1 of a machine that has its own mounts only.
INSIDE = r'''
set -e
root=$1/root
mkdir -p $root $1/upper
mount -t tmpfs none $1/upper
mkdir $1/upper/files $1/upper/work
cp -a $1/files/. $1/upper/files/
mount -t overlay overlay -o lowerdir=/,upperdir=$1/upper/files,workdir=$1/upper/work $root
mount -t proc proc $root/proc
mount --bind $root/proc/sys $root/proc/sys
mount -o remount,ro,bind $root/proc/sys
mount -t sysfs -o ro sysfs $root/sys
mount -t cgroup2 cgroup2 $root/sys/fs/cgroup
if [ -d $root/sys/kernel/tracing ]; then mount --bind /sys/kernel/tracing $root/sys/kernel/tracing || true; fi
mount -t tmpfs -o mode=755 none $root/dev
for d in null zero full random urandom tty; do touch $root/dev/$d; mount --bind /dev/$d $root/dev/$d; done
mkdir $root/dev/pts $root/dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts $root/dev/pts
ln -s pts/ptmx $root/dev/ptmx
ln -s /proc/self/fd $root/dev/fd
mount -t tmpfs -o mode=1777 none $root/dev/shm
touch $root/dev/console
mount --bind $1/console $root/dev/console
for d in run tmp var/log/journal etc/systemd/system; do mkdir -p $root/$d; mount -t tmpfs -o mode=755 none $root/$d; done
chmod 1777 $root/tmp
for d in "$5" "$6"; do [ -e $root$d ] || { mkdir -p $root$d; mount --bind $d $root$d; mount -o remount,ro,bind $root$d; }; done
mkdir $root/run/units $root/run/outside
cp $2/* $root/run/units/
cd $root
pivot_root . run/outside
umount -l run/outside
rmdir run/outside
exec env -i container=dyntrace-test PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_UNIT_PATH=$3 $4 --log-target=console --unit=test.target
'''
NEW = ['unshare', '--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--ipc', '--uts', '--net', '--cgroup']


class Cannot(Exception):
    """Why no machine can be booted here."""


def cgroup2():
    with open('/proc/self/mountinfo', encoding='utf-8') as f:
        for line in f:
            left, right = line.split(' - ')
            if right.startswith('cgroup2 '):
                return left.split()[4]
    raise Cannot('control groups of version 2 are not mounted')


def need():
    if os.getuid():
        raise Cannot('root is needed')
    if not SYSTEMD:
        raise Cannot('systemd is not installed')
    for p in ('unshare', 'nsenter', 'pivot_root', 'meson', 'systemctl', 'journalctl', 'setpriv'):
        if not shutil.which(p):
            raise Cannot(f'there is no {p}')
    with open('/proc/filesystems', encoding='utf-8') as f:
        if '\toverlay\n' not in f.read():
            raise Cannot('the kernel has no overlay file system')


def remove_groups(group):
    """Deepest first; those of machines that were killed, too: they are empty."""
    for path, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(path)


def install(files):
    r = subprocess.run(['meson', 'install', '-C', BUILD, '--no-rebuild', '--destdir', files], capture_output=True, text=True, check=False)
    if r.returncode:
        raise Cannot('meson install: ' + r.stderr[-300:] + r.stdout[-300:])
    unit = subprocess.run(['find', files, '-name', 'dyntraced.service'], capture_output=True, text=True, check=True).stdout.split()
    assert len(unit) == 1, unit
    return os.path.dirname(unit[0])[len(files):]


def write_units(folder):
    os.makedirs(folder)
    for name in FROM_SYSTEMD:
        shutil.copy(os.path.join(os.path.dirname(SYSTEMD), 'system', name), folder)
    for name, text in [*UNITS.items(), *((f'{t}.target', f'[Unit]\nDescription={t}\n') for t in TARGETS)]:
        with open(f'{folder}/{name}', 'w', encoding='utf-8') as f:
            f.write(text)


def grandchild(pid):
    """unshare's child: process 1 of the machine."""
    with contextlib.suppress(OSError), open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as f:
        return int((f.read().split() or [0])[0])
    return 0


@contextlib.contextmanager
def boot(users):
    """@users: lines for /etc/passwd."""
    need()
    top = cgroup2()
    for name in os.listdir(top):
        if name.startswith('dyntrace-test-') and not os.path.exists('/proc/' + name.split('-')[-1]):
            remove_groups(os.path.join(top, name))
    group = f'{top}/dyntrace-test-{os.getpid()}'
    place = tempfile.mkdtemp(prefix='dyntrace-boot-')
    machine = None
    try:
        try:
            os.mkdir(group)
        except OSError as e:
            raise Cannot(f'no control group can be made in {top}: {e.strerror}') from None
        units = install(f'{place}/files')
        write_units(f'{place}/units')
        os.makedirs(f'{place}/files/etc')
        with open('/etc/passwd', encoding='utf-8') as f, open(f'{place}/files/etc/passwd', 'w', encoding='utf-8') as g:
            g.write(f.read().rstrip('\n') + '\n' + '\n'.join(users) + '\n')
        open(f'{place}/console', 'w', encoding='utf-8').close()
        def enter_group():
            with open(f'{group}/cgroup.procs', 'w', encoding='ascii') as f:
                f.write('0')
        machine = subprocess.Popen([*NEW, 'sh', '-c', INSIDE, 'sh', place, f'{place}/units', f'/run/units:/etc/systemd/system:{units}', SYSTEMD,
                                    SOURCE, BUILD],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                   preexec_fn=enter_group)
        yield wait_for_boot(machine, place)
    finally:
        if machine:
            machine.kill()
            machine.communicate()
        for _ in range(100):
            remove_groups(group)
            if not os.path.exists(group):
                break
            time.sleep(0.05)
        shutil.rmtree(place, ignore_errors=True)


def wait_for_boot(machine, place):
    end = time.monotonic() + 60 * SLOW
    while time.monotonic() < end:
        if machine.poll() is not None:
            raise Cannot('it does not boot: ' + machine.stderr.read()[-400:])
        pid = grandchild(machine.pid)
        if pid and os.path.exists(f'/proc/{pid}/root/run/ready'):
            return pid
        time.sleep(0.05)
    with open(f'{place}/console', encoding='utf-8', errors='replace') as f:
        raise AssertionError('systemd does not come up: ' + f.read()[-1000:])


def enter(pid, *argv):
    """Runs in the machine, and its exit status."""
    return subprocess.run(['nsenter', '-t', str(pid), '-m', '-p', '-i', '-u', '-n', '-C', *argv], stdin=subprocess.DEVNULL, check=False).returncode


def again(pid, script):
    """Runs a test script once more, in there."""
    sys.stdout.flush()
    return enter(pid, 'env', f'DYNTRACE_BUILD={BUILD}', 'DYNTRACE_BOOTED=1', 'PATH=' + os.environ['PATH'] + ':/usr/local/bin:/usr/local/sbin',
                 sys.executable, script)
