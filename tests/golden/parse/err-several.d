BEGIN
{
	trace(1 +);
	trace(2);
	x = = 3;
	trace((4);
}
END { trace(]; }
BEGIN { trace(@); }
