# What those who know bpftrace, or forgot a letter, write; and words that are no verbs.
unset _DTRACE_TESTING
$dyntrace -n 'BEGIN { trace(comm); }'
$dyntrace -n 'BEGIN { trace(nsecs); trace(kstack); }'
$dyntrace -n 'BEGIN { @ = hist(1); }'
$dyntrace -n 'BEGIN { trace(strcmp("a", "b")); }'
$dyntrace -n 'BEGIN { x = count(); }'
$dyntrace -n 'BEGIN { int i; i = 3; }'
$dyntrace -n 'uprobe::malloc:entry { }'
$dyntrace -n 'interval:s:1 { }'
$dyntrace -n 'pid::malloc:entry { }'
$dyntrace -n 'BEGIN { system("true"); }'
$dyntrace -e 'BEGIN { trace(1); }'
$dyntrace 'BEGIN { trace(1); }'
$dyntrace atach 1
$dyntrace zzzzzzzz
$dyntrace -l -n BEGN
$dyntrace -l -P pid
$dyntrace list-functions 1234567890
$dyntrace rm 1234
$dyntrace add 1234 count
$dyntrace enable-event some --pid 1 --function f 2>&1 | head -1
$dyntrace record -c true -o other malloc 'size=arg0'
sleep 20 & $dyntrace -q -p $! -p $! -n 'BEGIN { printf("one process\n"); exit(0); }'
kill $!
exit 0
