#pragma D option quiet
#pragma D option aggsortkey
#pragma D option aggsortrev

BEGIN
{
	@[1, "b"] = sum(3);
	@[2, "a"] = sum(1);
	@[3, "c"] = sum(2);
	exit(0);
}
