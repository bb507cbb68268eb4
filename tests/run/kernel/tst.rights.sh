# Nobody in particular, with the two capabilities that the kernel asks for; then without them.
. ./need.sh
command -v setpriv >/dev/null || { echo "SKIP: there is no setpriv(1)"; exit 0; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
cp "$dyntrace" "$dir/dyntrace"
nobody="setpriv --reuid 65534 --regid 65534 --clear-groups"
caps="--inh-caps=+bpf,+perfmon --ambient-caps=+bpf,+perfmon"
$nobody $caps true 2>/dev/null || { echo "SKIP: capabilities cannot be handed on here"; exit 0; }
$nobody $caps "$dir/dyntrace" -qn 'syscall::openat:entry /pid == $target/ { n++; } END { printf("%d\n", n > 0); }' \
	-c 'cat /dev/null'
$nobody "$dir/dyntrace" -qn 'syscall::openat:entry { exit(0); }' 2>&1 | grep -o 'CAP_BPF and CAP_PERFMON missing'
