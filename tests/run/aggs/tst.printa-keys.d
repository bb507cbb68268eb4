#pragma D option quiet

BEGIN
{
	@a[6, "x", (char)1] = sum(-3);
	@a[2, "yy", (char)2] = sum(4);
	@n[6, "x", (char)1] = count();
	printa("[%*s] %d %@d %@u\n", @a, @n);
	printa("[%d] %@x %@5d\n", @n);
	printa(@a, @n);
	@q[1] = quantize(5);
	@q[1] = quantize(6);
	printa("%d:%@d.\n", @q);
	exit(0);
}
