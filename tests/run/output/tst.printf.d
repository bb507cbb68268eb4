#pragma D option quiet

BEGIN
{
	printf("%d %i %u %x %X %o %c\n", -1, -2, 3, 255, 255, 8, 'c');
	printf("[%5d] [%-5d] [%05d] [%+d] [%.3d]\n", 1, 2, 3, 4, 5);
	printf("[%s] [%8s] [%-8s] [%.2s]\n", "text", "text", "text", "text");
	printf("[%*d] [%.*d] [%*.*d]\n", 6, 1, 4, 2, 8, 3, 3);
	printf("%%, %#x, %#o, %S\n", 255, 8, "tab\t");
	printf("%Y\n", (uint64_t)0);
	printf("plain\n");
	exit(0);
}
