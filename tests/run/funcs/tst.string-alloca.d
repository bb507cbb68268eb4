/* Strings in alloca memory are characters, as for the program. */
#pragma D option quiet
BEGIN
{
	x = (string *)alloca(8);
	*x = "abc";
	y = (char *)x;
	printf("%s %c%c %d\n", *x, y[0], y[2], y[3]);
	y[1] = 0;
	printf("%s\n", *x);
}
BEGIN
{
	x = (string *)alloca(3);
	*x = "abc";
	printf("no room for the end\n");
}
ERROR { printf("fault %d\n", arg4); }
BEGIN { exit(0); }
