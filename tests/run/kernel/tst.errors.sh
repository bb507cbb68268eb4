# What is missing, in one sentence. @@exit: 1
. ./need.sh
unset _DTRACE_TESTING
$dyntrace -n 'syscall::opennat:entry' 2>&1
$dyntrace -n 'proc:::exitt' 2>&1
$dyntrace -n 'syscall:::enter' 2>&1
$dyntrace -n 'syscall::read:enter' 2>&1
$dyntrace -n 'syscall::read:exit' 2>&1
$dyntrace -n 'syscall::raed:retrun' 2>&1
$dyntrace -n 'cpc:::cpu_clock-all-10' 2>&1
exec setpriv --bounding-set=-all --inh-caps=-all --reuid=65534 --regid=65534 --clear-groups $dyntrace -x daemon=never -n 'syscall::read:entry' 2>&1
