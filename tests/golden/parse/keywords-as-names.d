BEGIN
{
	self->string = p->int;
	this->probe = q.provider;
}
