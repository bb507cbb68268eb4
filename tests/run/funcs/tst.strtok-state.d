/* The delimiter that ended a token is where the next call begins: it counts where other delimiters are given. */
#pragma D option quiet
BEGIN
{
	s = "a,b;c";
	printf("[%s]", strtok(s, ","));
	printf("[%s]", strtok(NULL, ";"));
	printf("[%s]", strtok(NULL, ";"));
	printf("[%s]\n", strtok(NULL, ";") == NULL ? "end" : "more");
	exit(0);
}
