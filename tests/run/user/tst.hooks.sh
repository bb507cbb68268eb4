# Where dyntrace itself has its probes nobody else's can be: who asks for all is not bothered with that, who asks for one is.
$dyntrace -q -n 'pid$target:ld-*::entry { @ = count(); } END { clear(@); trunc(@); }' -c /bin/true 2>&1 | grep -c 'dyntrace itself'
$dyntrace -q -n 'pid$target::_dl_debug_state:entry { }' -c /bin/true 2>&1 | grep -o 'dyntrace itself.*'
