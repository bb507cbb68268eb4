BEGIN
{
	if (1) trace(1);
	if (1) { trace(2); trace(3) } else trace(4);
	if (a) if (b) trace(5); else trace(6);
	if (a) { } else if (b) { trace(7); } else { ; trace(8); }
}
