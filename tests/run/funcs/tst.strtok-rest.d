/* The delimiter that ended a token is the first of what is left: other delimiters do not skip it. */
#pragma D option quiet

BEGIN
{
	printf("%s\n", strtok("one;two,three", ";"));
	printf("%s\n", strtok(NULL, ","));
	printf("%s\n", strtok(NULL, "e"));
	printf("%s\n", strtok("::a::b", ":"));
	printf("%s\n", strtok(NULL, ":"));
	printf("%d\n", strtok(NULL, ":") == NULL);
	printf("%s\n", strtok("lastX", "X"));
	printf("%s\n", strtok(NULL, "-"));
	exit(0);
}
