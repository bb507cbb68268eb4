# A library that is unloaded and loaded again to the same place goes on being traced.
$dyntrace -q -Z -n 'pid$target:plugin.so:plugin_work:entry, pid$target:plugin.so:plugin_work:return { @[probename] = count(); }' \
	-c "$triggers/reload 100"
