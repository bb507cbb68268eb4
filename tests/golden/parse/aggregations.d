BEGIN
{
	@ = count();
	@[1] = sum(2);
	@name["k", probefunc, ustack(5)] = lquantize(arg0, 0, 100, 10);
	@string = max(1);
	printa(@name);
	printa("%d %@d\n", @string);
}
