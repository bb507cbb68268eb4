# Names, numbers, stability and types of the kernel's probes.
. ./need.sh
$dyntrace -ln syscall::openat: | sed 's/^ *[0-9][0-9]*/ID/'
$dyntrace -lvn syscall::openat:entry | sed 1,2d
$dyntrace -lvn sched:::off-cpu | sed -n '/Types/,$p'
$dyntrace -lvn rawtp:sched::sched_process_fork | sed -n '/Types/,$p'
$dyntrace -ln 'proc:::exec*' | sed 's/^ *[0-9][0-9]*/ID/'
# The number is the same however it was found.
a=$($dyntrace -ln sched:::off-cpu | tail -1) b=$($dyntrace -l | grep ' off-cpu$')
test "$a" = "$b" && echo same number
id=$(echo $a | cut -d' ' -f1)
$dyntrace -li $id | tail -1 | sed 's/^ *[0-9][0-9]*/ID/'
