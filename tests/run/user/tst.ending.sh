# A process that ends while the tool gets into it: that is said, and nothing else.
for i in 10 13 16 19 22 25 28 31 34 37 40 43 46 49 999; do
	sleep 0.0$i &
	[ $i != 999 ] || { wait; sleep 1.5 & } # however busy the machine is
	$dyntrace -q -p $! -n 'pid$target:libc*:*nanosleep:entry { }' > /dev/null 2> err.$$
	status=$?
	[ $status -le 1 ] || echo "status $status"
	# Gone before it was looked for: no such process.
	sed '/o such process/d; /there is no process/d; s/[0-9][0-9]*/N/' err.$$
	wait
done | sort -u
rm err.$$
