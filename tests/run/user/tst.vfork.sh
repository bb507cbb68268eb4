# Children of vfork() and posix_spawn() run in their parent's memory, but have a pid, tid and ppid of their own.
for t in vforks vforks-static vforks-musl; do
	[ -x $triggers/$t ] || continue
	$dyntrace -q -c "$triggers/$t 20" -n '
		pid$target:a.out:who:entry
		{ @who[(char)arg0, pid == $target, tid == $target, ppid == $target] = count(); }
		END { printa("%c pid %d tid %d ppid %d: %@d\n", @who); }'
	# Told apart without reading pid: nothing is asked then.
	$dyntrace -q -c "$triggers/$t 20" -n 'pid$target:a.out:who:entry { @ = count(); }'
done > out.$$ 2>&1
sort -u out.$$
rm out.$$
$dyntrace -q -c "$triggers/vforks 20" -n 'pid$target:libc.so*:execve:entry { @[execname, pid == $target, ppid == $target] = count(); }'
