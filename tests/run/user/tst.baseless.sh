# Threads without a thread block that come after the first hits: the process lives, and all hits count. With the block of another: it lives.
# @@timeout: 60
for how in clone syscall clone3 inline moved shared; do
	echo "$how"
	$dyntrace -qn 'pid$target:a.out:work:entry { @ = sum(arg0); @n["entered"] = count(); }
	pid$target:a.out:work:return { self->n++; } END { printa(@); printa(@n); }' -c "$triggers/baseless $how" 2>&1 |
		sed 's/process [0-9]*/process PID/'
done
