BEGIN
{
	@ = count(); @s = sum(arg0); @mn = min((int)arg0); @mx = max(timestamp); @av = avg(arg0); @sd = stddev(arg0);
	@q = quantize(arg0, arg1); @l = lquantize(arg0, 0, 100, 10, 3); @ll = llquantize(arg0, 10, 0, 6, 20);
	@k[arg0, "x", execname, probefunc, strjoin("a", "b")] = count();
	@k[(char)arg1, probefunc, "y", "z", "w"] = count();
	@st[ustack(3), usym(arg0), uaddr(ucaller), umod(1), ufunc(2), ustack(4, 10)] = count();
	@st[ustack(7), usym(1), uaddr(2), umod(3), ufunc(4), ustack()] = count();
}
