# The tool's own probes.
$dyntrace -l -n BEGIN -n 'dtrace:::E*' -n tick-1s
$dyntrace -l -n none:::such
echo $?
dir=$(mktemp -d) && ln -s "$(realpath "$dyntrace")" "$dir/dtrace" && "$dir/dtrace" -l -n none:::such
echo $?
# Where nothing is listed there are no columns; dtrace has them all the same.
unset _DTRACE_TESTING
$dyntrace -l -n none:::such 2> /dev/null
$dyntrace -l -n none:::such -n BEGIN 2> /dev/null | awk '{ print $1, $NF }'
"$dir/dtrace" -l -n none:::such 2> /dev/null
rm -r "$dir"
