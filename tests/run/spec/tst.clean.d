/* @@opts: -x nspec=1 -x cleanrate=200hz -x switchrate=2sec -x statusrate=60sec */
/* A speculation that has ended serves again soon, however seldom records are read. */
#pragma D option quiet

tick-100ms
/n < 8/
{
	n++;
	s = speculation();
}

tick-100ms
/s/
{
	speculate(s);
	printf("%d\n", n);
}

tick-100ms
/s && n % 2/
{
	commit(s);
	s = 0;
}

tick-100ms
/s/
{
	discard(s);
	s = 0;
}

tick-1200ms
{
	exit(0);
}
