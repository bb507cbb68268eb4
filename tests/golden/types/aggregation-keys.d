BEGIN
{
	@a[1, "x", probefunc] = count();
	@a[arg0, execname, "y"] = count();
	@b[ustack(), usym(arg0), uaddr(arg1), umod(arg2), ufunc(arg3)] = sum(1);
	@c[(char *)arg0, (int *)arg1] = avg(-3);
	@d = quantize(arg0, 2); @e = lquantize(arg0, -5, 5); @f = llquantize(arg0, 10, 0, 6, 20, 3);
}
