BEGIN
{
	trace(nothing_of_that_name);
}
