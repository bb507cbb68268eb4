# Where no probe fired that is said, if it is certain; where one did, or nobody asked for more than the script prints, it is not.
unset _DTRACE_TESTING
said() {
	$dyntrace "$@" -c true 2>&1 >/dev/null | grep -o "no probe fired" || echo nothing
}
said -n 'pid$target:libc.so*:regcomp:entry { trace(arg0); }'
said -n 'pid$target:libc.so*:regcomp:entry { @ = count(); }'
said -n 'pid$target:libc.so*:exit:entry /arg0 == 77/ { trace(arg0); }'
said -n 'pid$target:libc.so*:regcomp:entry /arg0 && arg1/ { @[arg0 ? 1 : 2] = count(); }'
said -n 'pid$target:libc.so*:exit:entry { if (arg0 == 77) @ = count(); }'
said -n 'pid$target:libc.so*:exit:entry /arg0 != 77/ { if (arg0 == 77) @ = count(); else n++; }'
said -n 'pid$target:libc.so*:exit:entry /arg0 == 77/ { if (arg0 == 77) n++; @ = count(); }'
said -n 'pid$target:libc.so*:regcomp:entry'
said -n 'pid$target:libc.so*:exit:entry { trace(arg0); }'
said -n 'pid$target:libc.so*:exit:entry { @ = count(); } END { trunc(@); }'
said -n 'pid$target:libc.so*:regcomp:entry { n++; }'
said -qn 'pid$target:libc.so*:regcomp:entry { trace(arg0); }'
said -Zn 'pid$target:libc.so*:nosuchfunction:entry { trace(arg0); }'
said -n 'BEGIN { exit(0); }'
said -i 1
_DTRACE_TESTING=1 said -n 'pid$target:libc.so*:regcomp:entry { trace(arg0); }'
