#pragma D option rawbytes
BEGIN
{
	trace("abc");
	trace(1);
	exit(0);
}
