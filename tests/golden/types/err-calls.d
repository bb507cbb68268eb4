BEGIN
{
	strlen();
	strlen("a", "b");
	strlen(5);
	copyinstr("a", "b");
	x = trace(1);
	x = count();
	count();
	exit();
	exit("x");
	trace();
	trace(1, 2);
	trace(exit(1));
	stack();
	copyout(1, 2, 3);
	pid(1);
	ustack(0);
	ustack(arg0);
	tracemem(arg0, arg1);
	tracemem("s", 5);
}
