#pragma D option quiet

BEGIN
{
	printf("%s|", cleanpath("/a/./b/../c"));
	printf("%s|", cleanpath("//usr///lib//"));
	printf("%s|", cleanpath("/../../etc"));
	printf("%s|", cleanpath("a/b/../../c"));
	printf("%s|", cleanpath("./x"));
	printf("%s|", cleanpath("/x/.."));
	printf("%s|", cleanpath("/x/.hidden/...y/z."));
	printf("%s|\n", cleanpath(""));
	s = "/tmp/./f";
	s = cleanpath(s);
	printf("%s %s %s\n", s, basename(s), dirname(s));
	exit(0);
}
