# A symbol of the kernel, and one that there is not.
. ./need.sh
grep -q ' T vfs_read$' /proc/kallsyms || { echo "SKIP: symbols are hidden"; exit 0; }
"$dyntrace" -qn 'syscall::read:entry { sym((uintptr_t)&`vfs_read); printf(" %d\n", &vmlinux`vfs_read == &`vfs_read); exit(0); }' -c 'cat tst.symbols.sh' 2>/dev/null |
	sed -n '/vfs_read *[01]$/s/  */ /gp'
"$dyntrace" -qn 'syscall::read:entry { trace(`no_such_symbol); }' 2>&1 | head -1 | sed 's/.*\(failed to resolve\)/\1/'
