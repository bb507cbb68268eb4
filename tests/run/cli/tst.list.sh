# The tool's own probes.
$dyntrace -l -n BEGIN -n 'dtrace:::E*' -n tick-1s
$dyntrace -l -n none:::such
echo $?
