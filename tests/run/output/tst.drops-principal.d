/* @@opts: -x bufsize=4k -x droptags */
/* A small bufsize bounds what probes of the tool record between two looks, strings at their full size: 280 bytes each. */
#pragma D option strsize=250
#pragma D option quiet

BEGIN, BEGIN, BEGIN, BEGIN, BEGIN, BEGIN, BEGIN
{
	printf("%s\n", "begin");
}

tick-20ms
/n++ == 10/
{
	exit(4);
}

/* @@exit: 4 */
END, END, END, END, END, END, END, END,
END, END, END, END, END, END, END, END
{
	trace(m++);
	printf(" %s\n", "end");
}
