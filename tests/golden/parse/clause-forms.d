BEGIN
{
	x = 1
}
pid$target::malloc:entry, pid$target::calloc:entry { trace(1); trace(2) }
tick-1sec /x == 1/ { ; }
END, profile:::tick-5s
/* a comment between */
/x > 2 && (x / 2) > 0/
{
}
