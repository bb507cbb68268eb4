#pragma D option quiet

BEGIN
{
	@["one"] = count();
	@["two"] = count();
	@["two"] = count();
	@s[1, "x"] = sum(10);
	@s[2, "y"] = sum(-3);
	@mn = min(7);
	@mx = max(7);
	@av = avg(10);
	@av = avg(21);
	@sd = stddev(2);
	@sd = stddev(8);
	exit(0);
}
