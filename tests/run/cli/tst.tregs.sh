# -x tregs: how many keys there may be, less one.
for n in 1 2 3; do
	$dyntrace -x tregs=$n -qn 'BEGIN { a[1, 2, 3] = 4; @[a[1, 2, 3], "x", 5] = count(); exit(0); }'
	echo "$n: $?"
done
$dyntrace -x tregs=1 -qn 'BEGIN { self->a[1, 2, 3] = 4; exit(0); }'
$dyntrace -x tregs=1 -qn 'BEGIN { @[ustack(), 2, 3] = count(); exit(0); }'
printf '#pragma D option tregs=2\nBEGIN { @[1, 2, 3] = count(); }\nEND { @[1, 2, 3] = count(); @b[1, 2, 3, 4] = count(); }\n' |
	$dyntrace -qs /dev/stdin
$dyntrace -x tregs=0 -n BEGIN
# Nothing limits them where nobody asked.
$dyntrace -qn 'BEGIN { @[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] = count(); exit(0); }'
