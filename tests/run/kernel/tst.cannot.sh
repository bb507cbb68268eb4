# A kernel that lacks what its probes need: one sentence, status 1.
. ./need.sh
unset _DTRACE_TESTING
for tool in strace unshare; do
	command -v $tool >/dev/null || { echo "SKIP: there is no $tool"; exit 0; }
done
script='syscall::read:entry { exit(0); }'
said() { sed 's/^dyntrace: could not enable tracing: //'; }
without() { # CALL=ERROR
	strace -e "inject=${1%=*}:error=${1#*=}" -o /dev/null "$dyntrace" -x daemon=never -qn "$2" 2>&1
	echo "status $?"
}
export ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0" # a sanitizer looks for leaks with ptrace, which strace has
strace -o /dev/null true 2>/dev/null || { echo "SKIP: strace may not trace here"; exit 0; }
without bpf=ENOSYS "$script" | said
without bpf=EPERM "$script" | said
without perf_event_open=EACCES 'profile-97 { exit(0); }' | sed 's/on CPU [0-9]*/on CPU N/' | said
unshare -m sh -c 'mount -t tmpfs none /sys/kernel/btf && exec "$@"' sh "$dyntrace" -x daemon=never -qn "$script" 2>&1 | said
