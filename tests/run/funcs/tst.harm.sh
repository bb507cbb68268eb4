# What changes the target: its memory, signals, time. Nothing of it without -w.
$dyntrace -w -q -n '
pid$target:a.out:greet:entry { self->buf = arg0; }
pid$target:a.out:greet:return { copyoutstr("changed text", self->buf, 7); }' -c "$triggers/requests 1 1"
$dyntrace -w -q -n '
pid$target:a.out:greet:entry { self->buf = arg0; }
pid$target:a.out:greet:return { this->p = (char *)copyin(self->buf, 5); this->p[0] = 74; copyout(this->p, self->buf, 5); }' \
	-c "$triggers/requests 1 1"
$dyntrace -w -q -n 'pid$target:a.out:finish:entry { raise(10); n++; } END { printf("%d raised\n", n); }' -c "$triggers/requests 2 3"
$dyntrace -w -q -n 'pid$target:a.out:greet:entry { t = timestamp; chill(30000000); }
pid$target:a.out:greet:return { lasted = timestamp - t; } END { printf("%s\n", lasted >= 30000000 ? "late" : "early"); }' -c "$triggers/requests 1 1"
$dyntrace -w -q -n 'pid$target:a.out:greet:entry { copyoutstr("x", 64, 2); } pid$target:a.out:greet:entry { raise(65); }
pid$target:a.out:greet:entry { chill(600000000); } ERROR { printf("fault %d at %d\n", (int)arg4, (int)arg5); }' \
	-c "$triggers/requests 1 1" 2>/dev/null
$dyntrace -q -n 'pid$target:a.out:greet:entry { raise(10); }' -c "$triggers/requests 1 1" 2>&1
$dyntrace -w -q -n 'pid$target:a.out:greet:entry { stop(); } tick-100ms { system("kill -CONT %d 2>/dev/null", $target); }' \
	-c "$triggers/requests 1 1"
