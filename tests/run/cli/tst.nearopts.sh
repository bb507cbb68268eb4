# Names of options that are near to one that there is.
unset _DTRACE_TESTING
for o in swichrate=1sec Bufsize=4m agsortkeypos=1 zzzzzz; do
	$dyntrace -x $o -n BEGIN; echo $?
done
$dyntrace -qn '
#pragma D option quiett
BEGIN { exit(0); }'
$dyntrace -qn 'BEGIN { setopt("switchrat", "1sec"); exit(0); }'
