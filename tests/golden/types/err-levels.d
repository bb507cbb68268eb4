BEGIN
{
	@a = lquantize(1, "a", 2);
	@b = lquantize(1, pid, 2);
	@c = lquantize(1, 2, pid);
	@d = lquantize(1, 0x80000000, 2);
	@e = lquantize(1, 2, 0x80000000);
	@f = lquantize(1, 0, 1000000, 65536);
	@g = lquantize(1, 0, 100, pid);
	@h = lquantize(1, 0, 100, 7); @h = lquantize(2, 0, 101, 7);
	@h = lquantize(3, 0, 105, 7);
	@i = llquantize(1, pid, 0, 2, 10);
	@j = llquantize(1, 10, pid, 2, 10);
	@k = llquantize(1, 10, 0, pid, 10);
	@l = llquantize(1, 10, -1, 2, 10);
	@m = llquantize(1, 10, 0, 19, 10);
	@n = llquantize(1, 10, 0, 18, 10);
	@n = llquantize(2, 20, 0, 18, 10);
}
