/* @@opts: -x droptags -x aggrate=20ms */
/* A small aggsize holds a key or two; what has been read leaves room for more. */
#pragma D option aggsize=64
#pragma D option quiet

int n;

tick-100ms
/n < 10/
{
	@a[n++] = sum(n);
}

tick-100ms
/n == 10/
{
	exit(0);
}

END
{
	@a[20] = sum(20);
	printa("%d %@d\n", @a);
}
