/* @@opts: -q -x agghist -x aggpack -x encoding=ascii */
/* Pictures with a row for each key: sums as bars, histograms as a line. */
BEGIN
{
	@sum["redis"] = sum(50);
	@sum["node"] = sum(500);
	@pair[1, "a"] = count();
	@pair[(char)2, "b"] = count();
	@none = sum(-4);
	@both["down"] = sum(-5);
	@both["up"] = sum(3);
	@quant["one"] = quantize(5);
	@quant["one"] = quantize(9);
	@quant["one"] = quantize(9);
	@quant["two"] = quantize(1000);
	@quant["two"] = quantize(-1);
	@lin["x"] = lquantize(5, 0, 10, 1);
	@lin["y"] = lquantize(-5, 0, 10, 1);
	@ten["z"] = llquantize(150, 10, 0, 3, 10);
	exit(0);
}
END
{
	printa(@quant);
	setopt("aggzoom");
	printa(@sum);
	normalize(@sum, 10);
	printa("%s %@d\n", @sum);
	printa(@sum);
	setopt("aggpack", "no");
}
