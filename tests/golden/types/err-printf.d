BEGIN
{
	printf();
	printf(5);
	printf(execname);
	printf("");
	printf("%d");
	printf("%d", "s");
	printf("%s", 5);
	printf("%d", 1, 2);
	printf("%*d", 1);
	printf("%*d", "x", 1);
	printf("%.*s", 1, "x");
	printf("%q", 1);
	printf("%");
	printf("%@d", 1);
	printf("%k", 1);
	printf("%5%");
	printf("%d %s %x %c %p %Y %a %i%%\n", 1, "x", 2u, 'c', 0, walltimestamp, arg0, -1L);
	printf("%s %k %A", (char *)arg0, ustack(), usym(arg1));
}
