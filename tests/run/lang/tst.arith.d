#pragma D option quiet

BEGIN
{
	printf("%d %d %d\n", 7 / 2, -7 / 2, -7 % 3);
	printf("%d %d\n", 1 << 4, -16 >> 2);
	printf("%d %d %d\n", 3 > 2, 3 == 2, !5);
	printf("%d\n", 1 ? 10 : 20);
	printf("%u\n", (unsigned char)300);
	exit(0);
}
