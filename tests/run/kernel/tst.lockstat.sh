# Waits for locks: each that the tracepoint tells is of one kind at most.
. ./need.sh
$dyntrace -ln 'rawtp:lock::contention_begin' 2>&1 | grep -q 'No probe matches' &&
	{ echo "SKIP: this kernel has no tracepoint for waits (Linux 5.19)"; exit 0; }
$dyntrace -ln 'lockstat:::' | awk 'NR > 1 { print $2, $NF }'
$dyntrace -qn 'rawtp:lock::contention_begin { @["all"] = count(); } lockstat::: { @["kinds"] = count(); }
	tick-300ms { exit(0); } END { printa("%s %@d\n", @); }' | awk '{ v[$1] = $2 } END { print v["kinds"] <= v["all"] }'
$dyntrace -qn 'BEGIN { @[0, "time"] = sum(0); } lockstat::: { @[0, "time"] = sum(arg1); } tick-300ms { exit(0); }
	END { printa("%d %s %@d\n", @); }' | grep -v '^$'
$dyntrace -qn 'lockstat:::adaptive-acquire { }' 2>&1 | grep -c 'does not match any probes'
