/* @@exit: 7 */
#pragma D option quiet

BEGIN
{
	exit(7);
}

BEGIN
{
	printf("not after exit()\n");
}
