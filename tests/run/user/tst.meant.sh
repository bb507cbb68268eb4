# Names of modules, providers and variables that are not quite right.
unset _DTRACE_TESTING
for d in 'pdi$target::main:entry' 'pid$target:anwsers:main:entry' 'pid$target:answer*x:main:entry' 'pid$target:lbc:main:entry' \
	'pid$target:zzz*:main:entry' 'pid$target::main'; do
	$dyntrace -qn "$d { exit(0); }" -c "$triggers/answers 1" 2>&1 |
		grep -v '^sum\|^done' | sed "s/\(pd*i*d*\)[0-9][0-9]*/\1PID/g; s/process [0-9]*/process PID/; s/ld-[^ ,]*/LOADER/; s/linux-vdso[^ ,]*/VDSO/"
done
for v in '`drawm' 'a.out`frist' '`no_such_variable'; do
	$dyntrace -qn "BEGIN { trace($v); exit(0); }" -c $triggers/shapes 2>&1
done
exit 0
