# Records of a process's probes and of the kernel's come out by time.
. ./need.sh
$dyntrace -qn '
pid$target:a.out:square:entry { printf("%d user\n", timestamp); }
syscall:::entry, syscall:::return /pid == $target/ { printf("%d kernel\n", timestamp); }' -c "$triggers/answers" |
	awk '$2 == "user" || $2 == "kernel" { bad += $1 < last; last = $1; seen[$2] = 1 }
	END { print bad + 0, seen["user"], seen["kernel"] }'
