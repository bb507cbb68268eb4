BEGIN
{
	if (arg0 > 1) trace(1);
	else if (arg0 < -1) { x = 2; if (x) trace(2); }
	else { x = 3; }
	trace(4);
	if (x) @a = count();
}
