# User stacks that the kernel takes, of a program without frame pointers: started by us, and running.
. ./need.sh
names() { sed -n 's/^ *deep`\([a-z_]*\).*/\1/p' | grep -v '^_' | tr '\n' ' '; }
"$dyntrace" -qn 'syscall::getppid:entry /pid == $target/ { ustack(); exit(0); }' -c "$triggers/deep" | names
echo
"$triggers/deep" 1000000000 &
deep=$!
sleep 0.2
"$dyntrace" -qn 'syscall::getppid:entry /pid == $target/ { @[ustack()] = count(); n++; } syscall::getppid:entry /n > 20/ { exit(0); }
	END { trunc(@, 1); }' -p $deep | names
echo
"$dyntrace" -qn 'syscall::getppid:entry /pid == $target/ { printf("%d\n", ustackdepth > 6); exit(0); }' -p $deep
"$dyntrace" profile -d 1 -F 199 -p $deep -o unwind.tmp
grep -c '^deep;_start;.*main;.*;compare;deep_middle;deep_leaf' unwind.tmp | awk '{ print ($1 > 0) }'
rm -f unwind.tmp
# Of a process that nobody named, after the first look.
"$dyntrace" -qn 'syscall::getppid:entry /execname == "deep"/ { @[ustack()] = count(); } tick-1s { exit(0); } END { trunc(@, 1); }' | names
echo
kill $deep
