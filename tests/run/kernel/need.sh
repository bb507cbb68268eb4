# Sourced: whether this machine lets us trace the kernel at all.
why=$("$dyntrace" -qn 'BEGIN { exit(0); } syscall::getpid:entry' 2>&1 >/dev/null)
case "$why" in
*CAP_BPF*|*"has no BPF"*|*"does not describe its types"*) echo "SKIP: $why"; exit 0;;
esac
