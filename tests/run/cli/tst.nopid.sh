# A process that there is not.
$dyntrace -n 'pid$target::main:entry' -p 999999999 2>/dev/null
echo $?
$dyntrace -n 'pid$target::main:entry' -p abc
echo $?
