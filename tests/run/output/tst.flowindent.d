/* @@opts: -F */
BEGIN
{
	trace("in");
}

BEGIN
{
	exit(0);
}
