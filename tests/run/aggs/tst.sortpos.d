/* @@opts: -q -x aggsortpos=1 -x aggsortkeypos=1 */
BEGIN
{
	@a[1, "b"] = sum(3);
	@a[2, "a"] = sum(3);
	@b[1, "b"] = sum(9);
	@b[2, "a"] = sum(8);
	printa("%d %s %@d %@d\n", @a, @b);
	setopt("aggsortkey");
	printa("%d %s %@d %@d\n", @a, @b);
	exit(0);
}
