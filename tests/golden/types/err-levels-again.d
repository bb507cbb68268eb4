BEGIN
{
	@a = llquantize(1, 10, 1, 4, 10);
	@a = llquantize(1, 20, 1, 4, 20);
	@a = llquantize(1, 10, 2, 4, 10);
	@a = llquantize(1, 10, 1, 5, 10);
	@a = llquantize(1, 10, 1, 4, 20);
}
