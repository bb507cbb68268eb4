struct s { int n; struct s *next; };
int list[4];

BEGIN
{
	*(int *)arg0 = 1;
	((int *)arg0)[1] = 2;
	((struct s *)arg0)->n = 3;
	execname[0] = 'x';
	++execname;
	arg1++;
	uregs[R_SP] = 4;
	curpsinfo->pr_pid = 5;
	p = (struct s *)arg0;
	p->n = 6;
	p->next->n = 7;
	(*p).n = 8;
	(p + 1)->n = 9;
	m = alloca(8);
	*(int *)m = 10;
	list[pid & 3] = 11;
	pid + 1 = 12;
}
