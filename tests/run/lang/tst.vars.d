#pragma D option quiet

BEGIN
{
	g = 1;
	self->t = 2;
	this->c = 3;
	a["k", 1] = 4;
	s = "str";
	self->s = strjoin(s, "ing");
}

BEGIN
{
	printf("%d %d %d %d %s %s\n", g, self->t, this->c, a["k", 1], s, self->s);
	a["k", 1] = 0;
	printf("%d %d\n", a["k", 1], a["other", 2]);
	exit(0);
}
