# Functions of the kernel: arguments, results, types, stacks, names that there are not; on-cpu where it is made of one.
. ./need.sh
unset _DTRACE_TESTING
why=$($dyntrace -ln fbt::vfs_read: 2>&1 >/dev/null | tail -1)
[ -z "$why" ] || { echo "SKIP: $why"; exit 0; }
$dyntrace -qn '
fbt::vfs_read:entry /pid == $target && stringof(args[0]->f_path.dentry->d_name.name) == "need.sh"/
{
	self->in = 1;
	printf("%s %s %s %d\n", probemod, probefunc, execname, arg2 == args[2]);
	@[stack(1)] = count();
}
fbt::vfs_read:return /self->in/ { printf("%d %d\n", args[0], arg1 > 0 && arg1 == args[1]); self->in = 0; }
END { trunc(@); }' -c 'dd if=need.sh of=/dev/null bs=10 count=1 status=none'
$dyntrace -ln 'fbt::vfs_read:' | awk 'NR > 1 { print $2, $3, $4, $5 }'
$dyntrace -n 'fbt::vfs_raed:entry' 2>&1 | sed 's/: near names.*vfs_read.*/: vfs_read/'
$dyntrace -n 'fbt::vfs_read:enter' 2>&1 | tail -1
$dyntrace explain -n fbt::vfs_read:return | sed 's/trampoline (fexit)\|kprobe/PLACE/; s/;.*//'
$dyntrace -n 'fbt::vfs_read:return { trace(args[2]); }' 2>&1 | grep -o 'index 2 is out of range'
