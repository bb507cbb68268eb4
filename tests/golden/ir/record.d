pid$target::open:entry
{
	printf("%s %d %s\n", copyinstr(arg0), arg1, probefunc);
	trace(execname);
	trace("const");
	trace((char)arg2);
	trace((int *)arg0);
	ustack(5);
	usym(arg0);
	tracemem(arg0, 20);
	tracemem(arg0, 20, arg1);
	printf("%d %d", timestamp, timestamp + 1);
	exit(3);
}
