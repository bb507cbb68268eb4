/* A stack has a number of frames. */
BEGIN
{
	stack(0);
	exit(0);
}
