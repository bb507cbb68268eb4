# The tool's own probes.
$dyntrace -l -n BEGIN -n 'dtrace:::E*' -n tick-1s
$dyntrace -l -n none:::such
echo $?
dir=$(mktemp -d) && ln -s "$(realpath "$dyntrace")" "$dir/dtrace" && "$dir/dtrace" -l -n none:::such
echo $?
rm -r "$dir"
