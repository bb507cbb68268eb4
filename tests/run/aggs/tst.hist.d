#pragma D option quiet

BEGIN
{
	@q = quantize(0);
	@q = quantize(1);
	@q = quantize(100);
	@q = quantize(100);
	@q = quantize(-3);
	@l = lquantize(5, 0, 100, 10);
	@l = lquantize(25, 0, 100, 10);
	@l = lquantize(-1, 0, 100, 10);
	@l = lquantize(100, 0, 100, 10);
	@ll = llquantize(5, 10, 0, 3, 10);
	@ll = llquantize(1234, 10, 0, 3, 10);
	@ll = llquantize(99999, 10, 0, 3, 10);
	exit(0);
}
