# -x aggpercpu: the value of each processor behind that of all, also after clear() and for histograms.
one() { grep -v '\[CPU [1-9]'; }
$dyntrace -x aggpercpu -x cpu=0 -qn 'BEGIN
{
	@n = count();
	@low["a"] = min(5);
	@low["b"] = min(-2);
	@mean["x", 3] = avg(7);
	@two["c"] = sum(1);
	@other["c"] = max(9);
	exit(0);
}
END { printa(@n); clear(@n); printa(@n); printa(@two, @other); printa("%@d\n", @two); }' | one
$dyntrace -x cpu=0 -qn '#pragma D option aggpercpu
BEGIN { @q = quantize(3); exit(0); }' | grep -A4 '\[CPU 0'
# What processors have is together what all have, wherever the threads of a process ran.
$dyntrace -x aggpercpu -qn 'pid$target:a.out:square:entry { @ = count(); }' -c "$triggers/answers" |
	awk '/CPU/ { n += $3; next } NF == 1 && $1 + 0 { all = $1 } END { print (n == all && n > 0) }'
