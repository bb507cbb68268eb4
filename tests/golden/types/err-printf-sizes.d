short s;
long l;
int w[4];
BEGIN
{
	printf("%hd %ld %lx %ls %wc", s, l, timestamp, w, 5);
	printf("%hd", l);
	printf("%lu", s);
	printf("%hhd", 1);
	printf("%lp", 1);
	printf("%Ld", 1);
	printf("%ls", "x");
	printf("%Y", 5);
	printf("%T", timestamp);
	printf("%c", l);
	printf("%% %d %q", 1, 2);
	printf("%% %d", "x");
}
BEGIN
{
	@a[1, "x"] = sum(1);
	@b["x"] = sum(1);
	@c["x", 1] = sum(1);
	printa("%@s", @a);
	printa("%@ld %@llx %@Y %@a %*s", @a);
	printa("%@hd", @a);
	printa("%d %*d", @a);
	printa("%d %s %.*d", @a);
	printa(@a, @b);
	printa(@a, @c);
	normalize(@a, "x");
}
