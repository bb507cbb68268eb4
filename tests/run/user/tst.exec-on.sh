# A command that goes on as another program is awaited to its end, and it is no matter whether that end or the exec is seen first.
# @@timeout: 120
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
i=0
while [ $i -lt 50 ]; do
	$dyntrace -q -c "sh -c 'exec sleep 0.0$((i % 8))'" -n 'pid$target:libc*:execve:entry { @n = count(); } END { printa("exec %@d", @n); }' 2> err
	echo "status $?"
	grep -v 'runs another program now (exec); it is no longer traced, and its end is awaited' err
	i=$((i + 1))
done | grep . | sed 's/exec [0-9]*/exec/' | sort | uniq -c | sed 's/^ *//'
# What ends it is said, and who ends tracing ends it, too.
$dyntrace -q -c "sh -c 'exec sh -c \"kill -9 \\\$\\\$\"'" -n 'pid$target:libc*:execve:entry { }' 2>&1 | grep -o 'terminated by SIGKILL'
$dyntrace -q -c "sh -c 'exec sleep 1234'" -n 'BEGIN { printf("%d\n", $target); } pid$target:libc*:execve:entry { }
	tick-200ms /++n == 3/ { exit(0); }' 2> /dev/null > pid
while tr '\0' ' ' 2> /dev/null < /proc/$(head -1 pid)/cmdline | grep 'sleep 1234' > /dev/null; do
	sleep 0.1
done
echo ended
