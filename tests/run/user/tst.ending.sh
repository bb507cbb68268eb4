# A process that ends while the tool gets into it: that is said, and nothing else.
i=10
while [ $i -lt 50 ]; do
	sleep 0.0$i &
	$dyntrace -q -p $! -n 'pid$target:libc*:*nanosleep:entry { }' > /dev/null 2> err
	status=$?
	[ $status -le 1 ] || echo "status $status"
	sed 's/[0-9][0-9]*/N/' err
	wait
	i=$((i + 3))
done | sort -u
rm err
