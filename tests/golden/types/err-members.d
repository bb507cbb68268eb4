struct s { int a; };
struct later *p;
BEGIN
{
	x = ((struct s *)arg0)->b;
	x = ((struct s *)arg0).a;
	x = arg0->a;
	x = ((int *)arg0)->a;
	x = p->a;
	x = sizeof (struct later) + sizeof (void);
	x = offsetof(int, a) + offsetof(struct s, c);
	x = ((struct s *)arg0)->a->b;
}
