# Names that are nearly right, and long texts.
unset _DTRACE_TESTING
$dyntrace -n 'BEGN { exit(0); }'
$dyntrace -n 'tik-10ms { exit(0); }'
$dyntrace -n 'dtrac:::BEGIN { exit(0); }'
$dyntrace -n 'zzz:::BEGIN { exit(0); }'
$dyntrace -n 'BEGIN { printf("%d %d %d\n", pid, ppid, uid); trace(timestmp); exit(0); }'
$dyntrace -n 'BEGIN { exit(0); }
END { trace(excename); }'
$dyntrace -n 'BEGIN { exit(0); }
EDN { trace(1); }'
$dyntrace -n 'sched::on-cpu'
$dyntrace -n 'io:start'
$dyntrace -n 'syscall:read:entry'
$dyntrace -n 'proc:entry'
$dyntrace -qn 'BEGIN { trace(cgroup); exit(0); }'
for rate in profile-0 tick-0 profile-0hz tick-0s profile-5001 tick-199us profile-abc; do
	$dyntrace -n "$rate"
done
exit 0
