/* Sizes that are small count as DTrace counts them: keys and values at their full size. */
/* @@opts: -x droptags -x aggsize=1k */
#pragma D option quiet
#pragma D option strsize=512

BEGIN
{
	@["one"] = count();
	@["two"] = count();
	@["one"] = count();
	@["three"] = count();
}
BEGIN
{
	exit(0);
}
