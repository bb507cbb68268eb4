# What is not quite right says what would be.
unset _DTRACE_TESTING
$dyntrace -qn 'BEGIN { slef->t = 1; exit(0); }'
$dyntrace -qn 'BEGIN /pid = 3/ { exit(0); }'
$dyntrace -qn "BEGIN { printf('hi'); exit(0); }"
$dyntrace -qn "BEGIN { trace(strlen('hi')); exit(0); }"
$dyntrace -qn 'BEGIN { @a = count(); printf("%d", @a); exit(0); }'
$dyntrace -qn 'BEGIN { @a = count(); trace(@a); exit(0); }'
$dyntrace -qn 'BEGIN { @a = count(); print(@a); exit(0); }'
$dyntrace -qn 'BEGIN { @ = count(); @[pid] = count(); exit(0); }'
$dyntrace -qn 'BEGIN { @ = count(); @ = sum(1); exit(0); }'
for o in backend=foo bufpolicy=heap daemon=maybe inject=ptrac evaltime=late tree=0 pgmax=-1 quiet=foo bufsize=big switchrate=x \
	strsize=1 stdc=q version=1.9 lockmem=much iregs=9 zdefs=1; do
	$dyntrace -x $o -qn 'BEGIN { exit(0); }'
done
$dyntrace -qn 'BEGIN { setopt("quiet", "maybe"); exit(0); }'
for word in list-procs offcpus lstp zz; do
	$dyntrace $word
done
exit 0
