#pragma D option rawbytes
#pragma D option strsize=8
BEGIN
{
	trace("abc");
	trace(1);
	exit(0);
}
