# The verb syscalls counts what strace counts, children included; and the end of its options.
. ./need.sh
command -v strace >/dev/null || { echo "SKIP: no strace"; exit 0; }
cat >calls.tmp.sh <<'X'
i=0
while [ $i -lt 20 ]; do i=$((i + 1)); : <need.sh; done
(cat need.sh need.sh; cat /nonexistent) >/dev/null 2>&1
X
# Waiting for a child may take a call or two, by who is faster; calls are made again where a signal came.
only='openat|read|close|mmap|execve|newfstatat|brk|exit_group|munmap|mprotect|pread64'
# Where two processors want one element of an array at a time, one of them goes without, and it is said.
for i in 1 2 3; do
	rm -f calls.tmp.ours
	"$dyntrace" syscalls -o calls.tmp.ours -c 'sh calls.tmp.sh' 2>calls.tmp.err
	[ -s calls.tmp.err ] || break
done
strace -f -c -o calls.tmp.theirs sh calls.tmp.sh
awk 'NR > 1 && $5 != "" { print $5, $3, $4 }' calls.tmp.ours | grep -E "^($only) " | grep -v -E '^(execve|exit_group) ' | sort >calls.tmp.a
awk '$1 ~ /^[0-9.]+$/ && $NF != "total" { print $NF, $4, NF == 6 ? $5 : 0 }' calls.tmp.theirs | grep -E "^($only) " | grep -v -E '^(execve|exit_group) ' |
	sort >calls.tmp.b
diff calls.tmp.a calls.tmp.b && echo same
head -1 calls.tmp.ours
grep -c . calls.tmp.a | awk '{ print ($1 >= 6) }'
rm -f calls.tmp*
"$dyntrace" syscalls -F 3; echo $?
"$dyntrace" syscalls -d soon; echo $?
"$dyntrace" syscalls what; echo $?
"$dyntrace" biolatency -p 1; echo $?
"$dyntrace" opensnoop --help | head -1
