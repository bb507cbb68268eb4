BEGIN
{
	x = self->y + this->z;
	x = arg0 + args[1] + uregs[R_RAX];
	p->q.r->s[3] = f(1, "two", 'c');
	x = sizeof (int) + sizeof (struct s *) + sizeof x + sizeof (x);
	x = (int)y + (unsigned long long)(y) + *(char **)z;
	x = stringof p + stringof (q);
	x = offsetof(struct s, m) + (xlate <int> (3));
	a[1, "b", self->c] = 0;
}
