# -x aggpercpu: the value of each processor behind that of all, also after clear() and for histograms.
one() { awk '/\[CPU/ { k += $3 == v; next } { if (k) print "  on one CPU"; k = 0; print; v = $NF } END { if (k) print "  on one CPU" }'; }
$dyntrace -x aggpercpu -qn 'BEGIN
{
	@n = count();
	@low["a"] = min(5);
	@low["b"] = min(-2);
	@mean["x", 3] = avg(7);
	@two["c"] = sum(9);
	@other["c"] = max(9);
	exit(0);
}
END { printa(@n); clear(@n); printa(@n); printa(@two, @other); printa("%@d\n", @two); }' | one
$dyntrace -qn '#pragma D option aggpercpu
BEGIN { @q = quantize(3); exit(0); }' | grep -c '@@@'
# What processors have is together what all have, wherever the threads of a process ran.
$dyntrace -x aggpercpu -qn 'pid$target:a.out:square:entry { @ = count(); }' -c "$triggers/answers" |
	awk '/CPU/ { n += $3; next } NF == 1 && $1 + 0 { all = $1 } END { print (n == all && n > 0) }'
