#pragma D option quiet

BEGIN
{
	@a["x"] = sum(1);
	@a["y"] = sum(2);
	@b["y"] = sum(20);
	@b["z"] = sum(30);
	printa(@a);
	printa("%s %@d\n", @a);
	printa("%-5s %@5d %@-5d|\n", @a, @b);
	printa(@a, @b);
	normalize(@b, 10);
	printa("n %s %@d\n", @b);
	denormalize(@b);
	printa("d %s %@d\n", @b);
	exit(0);
}
