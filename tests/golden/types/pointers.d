struct s { int a; char name[16]; struct s *next; };
typedef struct s s_t;
BEGIN
{
	this->p = (struct s *)arg0;
	this->i = this->p->a;
	this->q = this->p->next->next;
	this->c = this->p->name[2];
	this->n = stringof(this->p->name);
	this->d = (s_t *)arg1 - this->p;
	this->e = &this->p[3].name[1];
	this->f = *(int *)arg0 + ((unsigned char *)arg1)[5];
	this->g = *this->e;
	this->h = (char *)this->e + 1;
	this->b = this->p == NULL || this->q != 0;
	this->m = *("xyz" + 1);
}
