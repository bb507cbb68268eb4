/* The line of a probe without data, and trace() of each size. */
BEGIN
{
}

BEGIN
{
	trace((char)-1);
	trace((short)-2);
	trace((int)-3);
	trace((long long)-4);
	trace((unsigned int)5);
	trace((uint64_t)6);
	trace("seven");
	exit(0);
}
