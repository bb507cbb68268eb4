BEGIN
{
	trace("abc);
	trace(1 +);
}
