/* An id comes back once what was recorded has been dealt with. */
#pragma D option quiet
#pragma D option nspec=1

int n;

tick-200ms
/n < 5 && !spec/
{
	spec = speculation();
	next = speculation();
	printf("%d: got %d, then %d\n", n, spec, next);
}

tick-200ms
/spec/
{
	speculate(spec);
	printf("%d: speculated\n", n);
}

tick-200ms
/spec && n % 2/
{
	discard(spec);
	spec = 0;
}

tick-200ms
/spec/
{
	commit(spec);
	spec = 0;
}

tick-200ms
/++n == 4/
{
	exit(0);
}
