/* A fault is reported, fires ERROR, and ends its clause only. */
ERROR
{
	printf("error %d %d at %d", (int)arg1, (int)arg4, (int)arg5);
}

BEGIN
{
	x = 0;
	trace(10 / x);
}

BEGIN
{
	trace(copyinstr(16));
}

BEGIN
{
	exit(0);
}
