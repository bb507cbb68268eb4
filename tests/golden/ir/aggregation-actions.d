BEGIN { @a = sum(1); @b = sum(2); }
tick-1s
{
	printa(@a); printa("%@d %@d\n", @a, @b); normalize(@a, 1000); denormalize(@a); trunc(@a); trunc(@b, arg0); clear(@b);
}
