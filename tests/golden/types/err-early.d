BEGIN
{
	a += 1;
	self->b |= 2;
	this->c -= 3;
	d[1] *= 4;
	e = e + 1;
	self->f = self->f + 1;
	g["x"] = g["x"] + 1;
	trace(h[2]);
	trace(this->i[3]);
	j++;
	j += 1;
	k[4]++;
	k[4] += 1;
}
