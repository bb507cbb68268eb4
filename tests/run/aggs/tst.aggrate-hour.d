/* @@opts: -x aggrate=1hour */
/* Aggregations are read after BEGIN, once more, in an hour, and at the end. */
#pragma D option quiet

BEGIN, tick-300ms
{
	@a = count();
	printa("%@d\n", @a);
}

tick-300ms
/++n == 4/
{
	exit(0);
}

END
{
	printa("all: %@d\n", @a);
}
