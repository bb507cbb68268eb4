BEGIN
{
	@a = count();
	@b[1, "x"] = sum(2);
	clear(@z); clear(5); clear(); clear(@a, 1);
	trunc(@a, "x"); normalize(@a); normalize(@a, "x");
	printa(); printa(5); printa("x"); printa(@z); printa("%d", @a); printa("%s", @b);
	printa("%d %s %@d %d", @b);
	printa(@a, @b);
	trace(@a);
}
