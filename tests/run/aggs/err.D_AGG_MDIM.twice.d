/* All keys stand between one pair of brackets. */
BEGIN
{
	@seen[1][2] = count();
	exit(0);
}
