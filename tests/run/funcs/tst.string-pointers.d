/* A pointer to a string: to alloca()'s memory, where the string is characters, and to a variable. */
#pragma D option quiet

string kept;

BEGIN
{
	p = (string *)alloca(sizeof(string) + 1);
	*p = "sample";
	printf("%s %d\n", *p, strlen(*p));
	*p = "no";
	printf("%s %c\n", stringof((char *)p), *((char *)p + 1));
	this->s = *p;
	printf("%s\n", strjoin(this->s, *p));
}

BEGIN
{
	q = (string *)alloca(4);
	*q = "abc";
	printf("%s\n", *q);
	*q = "abcd";
}

ERROR
{
	printf("fault %d\n", arg4);
}

BEGIN
{
	exit(0);
}
