# -l and explain with -c: the command runs until its libraries are there, and no further.
$dyntrace -l -n 'pid$target:libc.so*:exit:entry' -n 'pid$target::nonesuch:entry' -c "$triggers/calls 1" 2>&1 |
	sed 's/match pid[0-9]*/match pidN/; s/^ *[0-9]* *pid[0-9]*/ID pidN/'
$dyntrace explain -n 'pid$target:libc.so*:exit:entry' -c "$triggers/calls 1" | sed -n '1s/pid[0-9]*/pidN/p'
$dyntrace -l -c true | sed -n '1,4p'
$dyntrace -l -i 3 -i 90000
echo $?
