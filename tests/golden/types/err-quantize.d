BEGIN
{
	@a = lquantize(1, arg0, 5);
	@a = lquantize(1, 5, 5);
	@a = lquantize(1, 0, 5, 0);
	@a = lquantize(1, 0, 5, 6);
	@a = lquantize(1, 0, 1000000, 1);
	@a = lquantize(1, 0, 5000000000);
	@b = lquantize(1, 0, 10, 2);
	@b = lquantize(1, 1, 10, 2);
	@b = lquantize(1, 0, 20, 2);
	@b = lquantize(1, 0, 10, 5);
	@b = lquantize(1, 0, 10, 2, "x");
	@c = llquantize(1, 1, 0, 6, 10);
	@c = llquantize(1, 10, 6, 0, 10);
	@c = llquantize(1, 10, 0, 30, 10);
	@c = llquantize(1, 10, 0, 6, 7);
	@c = llquantize(1, 10, 0, 6, 15);
	@c = llquantize(1, 10, 0, 6, arg0);
	@c = llquantize(1, 10, 0, 6);
}
