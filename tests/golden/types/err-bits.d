struct s { int a : 3; int b : 5; int c; };
struct s v;
int f(void);
BEGIN
{
	p = (struct s *)arg0;
	trace(&p->a);
	trace(sizeof (p->b));
	trace(offsetof(struct s, a));
	trace(stringof(v));
	trace(*(int (*)(int))arg0);
	x = 1;
	trace(x[1, 2]);
	normalize(1, 2);
	normalize(@none[1], 2);
	trunc(1);
	trunc(@none[1]);
	clear(@none[1]);
	printa(@none[1]);
	freopen(".");
	ustack(5, -1);
}
BEGIN /execname/ { exit(0); }
BEGIN /exit(0)/ { exit(0); }
