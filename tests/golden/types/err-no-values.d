struct in { int a; };
struct out { int b; int c; };
translator struct out < struct in *p > { b = p->a; };

BEGIN
{
	@hits = count();
	a = trace(1);
	b = ustack();
	c = usym(arg0);
	d = sum(1);
	e = (int)stack();
	f = (void)exit(0);
	g = 2 * exit(0);
	h = @hits + 1;
	i = !ustack();
	j = (1, @hits);
	k = (trace(1), 2);
	l = pid ? exit(0) : stop();
	m = pid ? @hits : 1;
	n = &xlate <struct out *> ((struct in *)arg0);
	o[sym(arg0)] = 1;
	p = -xlate <struct out *> ((struct in *)arg0);
	trace(count());
	q = copyinto;
	(@hits = count()) = count();
}
