BEGIN
{
	@a = count();
	@a = sum(1);
	@a[1] = count();
	@b[1, "x"] = sum(2);
	@b["x", 1] = sum(2);
	@b[1] = sum(2);
	@c = 5;
	@c = nothing();
	@c = strlen("x");
	@d = sum("x");
	@d = sum();
	@d = count(1);
	@e[@a] = count();
	@f;
	@a;
}
