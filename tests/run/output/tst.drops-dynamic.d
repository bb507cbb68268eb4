/* Room for three elements; one that is set to 0 makes room for another. */
/* @@opts: -x droptags -x dynvarsize=60 */
#pragma D option quiet

BEGIN
{
	a[1] = 1;
	a[2] = 2;
	a[3] = 3;
	a[4] = 4;
	printf("%d %d %d %d\n", a[1], a[2], a[3], a[4]);
	a[2] = 0;
	a[5] = 5;
	a[6] = 6;
	a[1] += 10;
	printf("%d %d %d %d %d\n", a[1], a[2], a[3], a[5], a[6]);
	exit(0);
}
