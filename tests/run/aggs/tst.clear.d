#pragma D option quiet

BEGIN
{
	@a["x"] = sum(5);
	@a["y"] = sum(6);
	@t[1] = sum(10);
	@t[2] = sum(20);
	@t[3] = sum(30);
	clear(@a);
	trunc(@t, 2);
	printa("%s %@d\n", @a);
	printa("%d %@d\n", @t);
}

tick-200ms
/!n++/
{
	@a["x"] = sum(1);
	@t[1] = sum(5);
	printa("%s %@d\n", @a);
	printa("%d %@d\n", @t);
	trunc(@t);
}

tick-200ms
/n > 3/
{
	printa("none %d %@d\n", @t);
	exit(0);
}
