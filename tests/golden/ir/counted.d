/* A small dynvarsize: self-> scalars are elements without a key. */
#pragma D option dynvarsize=1k
#pragma D option strsize=24

struct pair { int a, b; };
self struct pair whole;

BEGIN
{
	self->n++;
	self->s = "text";
	self->whole.a = 1;
	trace(self->s);
}

END
/self->n/
{
	self->n = 0;
}
