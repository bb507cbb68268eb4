/* @@opts: -x droptags */
/* self-> variables count for dynvarsize where it is small: here there may be three. Zero gives the place back. */
#pragma D option dynvarsize=820
#pragma D option quiet
#pragma D option strsize=256

BEGIN
{
	self->a = 1;
	self->b = 2;
	self->s = "three";
	self->d = 4;
	printf("%d %d %s %d\n", self->a, self->b, self->s, self->d);
}

BEGIN
{
	self->a = 0;
	self->d = 5;
	self->d += 2;
	self->d++;
	printf("%d %d %s %d\n", self->a, self->b, self->s, self->d);
}

BEGIN
{
	self->s = NULL;
	self->p = (int *)16;
	this->t = strtok("left right", " ");
	self->t = strtok(NULL, " ");
	printf("%d %s %d\n", self->p != 0, this->t, self->t == NULL);
}

BEGIN
{
	self->b = 0;
	self->d = 0;
	self->c = (char)300;
	self->t = "text";
	printf("%d %s %d\n", self->c, self->t, self->t == "text");
	exit(0);
}
