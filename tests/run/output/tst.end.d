/* END comes after exit(), and all in the order of time. */
#pragma D option quiet

int n;

END
{
	printf("end %d\n", n);
}

BEGIN
{
	n = 3;
	printf("begin\n");
	exit(0);
}
