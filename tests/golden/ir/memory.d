struct s { int a; unsigned char b; short arr[4]; struct s *next; unsigned f : 3, g : 7; int h : 5; };
BEGIN
{
	x = arg2;
	x = *(int *)arg0 + ((char *)arg0)[3] + ((uint16_t *)arg1)[x];
	this->p = (struct s *)arg0;
	y = this->p->next->b + this->p->arr[2] + this->p->arr[x] + this->p[1].a + this->p->g + this->p->h;
	z = &this->p->arr[1];
	w = z - (short *)arg0;
	z++;
	z += 2;
	this->c = (char *)alloca(8);
	this->c[1] = 65;
	*(long *)this->c = 5;
	bcopy(this->p, this->c, 4);
	copyinto(arg0, 4, this->c);
	v = *(int *)copyin(arg0, 4);
}
