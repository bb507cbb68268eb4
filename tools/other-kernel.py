#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tests of kernel probes on another kernel: in a virtual machine that sees this machine's files, and writes none.

usage: other-kernel.py BUILD LINUX-IMAGE.deb [--append WORDS] [--command WORDS] [--timeout S] [PATTERN...]

Wants qemu-system-x86_64 and busybox-static, no network and no virtualisation; a kernel with 9p and overlayfs as Debian's
linux-image-amd64 has them (apt-get download), not the cloud kernels.  Says what tests/run/run.py says; its status is 1
where a test failed.
"""
import argparse
import gzip
import lzma
import os
import shutil
import stat
import subprocess
import sys
import tempfile

MODULES = ('drivers/virtio/virtio_ring', 'drivers/virtio/virtio', 'drivers/virtio/virtio_pci_modern_dev',
           'drivers/virtio/virtio_pci_legacy_dev', 'drivers/virtio/virtio_pci', 'fs/netfs/netfs', 'fs/fscache/fscache',
           'net/9p/9pnet', 'net/9p/9pnet_virtio', 'fs/9p/9p', 'fs/overlayfs/overlay', 'drivers/block/loop')
INIT = '''#!/bin/sh
export PATH=/bin
mount -t proc p /proc
for m in /??.ko; do insmod $m; done
mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose,msize=262144,ro host /host
mount -t tmpfs -o size=1g t /up
mkdir /up/u /up/w
mount -t overlay -o lowerdir=/host,upperdir=/up/u,workdir=/up/w o /new
mount -t proc p /new/proc
mount -t sysfs s /new/sys
mount -t devtmpfs d /new/dev
mkdir -p /new/dev/shm
mount -t tmpfs -o mode=1777 t /new/dev/shm
mount -t tmpfs -o mode=1777 t /new/tmp
cp /inside.sh /new/tmp/inside.sh
chroot /new /bin/sh /tmp/inside.sh 2>&1
poweroff -f
'''
INSIDE = '''export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DYNTRACE_SLOW=6
python3 -c '
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 1))'
echo "# Linux $(uname -r)"
cd {folder} && {command}
'''


def archive(path, files):
    """An initramfs (newc) of {name: (mode, bytes)}."""
    with gzip.open(path, 'wb', 1) as out:
        for ino, (name, (mode, data)) in enumerate([*files.items(), ('TRAILER!!!', (0, b''))], 1):
            rdev = (5, 1) if stat.S_ISCHR(mode) else (0, 0)
            fields = (ino, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(name) + 1, 0)
            head = b'070701' + b''.join(b'%08X' % f for f in fields) + name.encode() + b'\0'
            out.write(head + b'\0' * (-len(head) % 4) + data + b'\0' * (-len(data) % 4))


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def first(root, *names):
    for n in names:
        if os.path.exists(os.path.join(root, n)):
            return os.path.join(root, n)
    return None


def initramfs(path, root, inside):
    release = os.listdir(first(root, 'usr/lib/modules', 'lib/modules'))[0]
    modules = os.path.join(first(root, 'usr/lib/modules', 'lib/modules'), release, 'kernel')
    files = {d: (0o40755, b'') for d in ('bin', 'proc', 'host', 'up', 'new', 'dev')}
    files['dev/console'] = (0o20600, b'')
    files['bin/busybox'] = (0o100755, read(shutil.which('busybox')))
    for tool in ('sh', 'mount', 'insmod', 'mkdir', 'cp', 'chroot', 'poweroff'):
        files['bin/' + tool] = (0o120777, b'busybox')
    for i, m in enumerate(MODULES, 10):
        where = first(modules, m + '.ko', m + '.ko.xz')
        if where:
            data = read(where)
            files[f'{i}.ko'] = (0o100644, lzma.decompress(data) if where.endswith('.xz') else data)
    files['init'] = (0o100755, INIT.encode())
    files['inside.sh'] = (0o100644, inside.encode())
    archive(path, files)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument('build')
    ap.add_argument('package')
    ap.add_argument('patterns', nargs='*')
    ap.add_argument('--append', default='', help='words for the kernel: lockdown=confidentiality')
    ap.add_argument('--command', help='to run instead, in tests/run/kernel: python3 ../../real/test_backends.py')
    ap.add_argument('--timeout', type=int, default=1200)
    args = ap.parse_intermixed_args()
    source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    build = os.path.abspath(args.build)
    command = args.command or f'python3 ../run.py {build}/dyntrace . {" ".join(args.patterns)}'
    inside = INSIDE.format(folder=os.path.join(source, 'tests', 'run', 'kernel'), command=f'DYNTRACE_BUILD={build} {command}')
    with tempfile.TemporaryDirectory() as tmp:
        subprocess.run(['dpkg', '-x', args.package, tmp + '/k'], check=True)
        initramfs(tmp + '/initrd', tmp + '/k', inside)
        boot = tmp + '/k/boot/'
        vm = subprocess.Popen(
            ['qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '3072', '-nographic', '-no-reboot',
             '-kernel', boot + next(n for n in os.listdir(boot) if n.startswith('vmlinuz')), '-initrd', tmp + '/initrd',
             '-virtfs', 'local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap',
             '-append', 'console=ttyS0 quiet panic=-1 ' + args.append],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
        try:
            out, _ = vm.communicate(timeout=args.timeout)
        except subprocess.TimeoutExpired:
            vm.kill()
            out, _ = vm.communicate()
            out += f'\nnot ok - no end after {args.timeout} s\n'
    out = out[out.find('# Linux'):] if '# Linux' in out else out
    print(out)
    plain = out.splitlines()
    sys.exit(1 if any(l.startswith('not ok') for l in plain) or not any(l.startswith('ok ') for l in plain) else 0)


if __name__ == '__main__':
    main()
