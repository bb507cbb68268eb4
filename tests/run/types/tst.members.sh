# Casts to the program's types, by tag, by name, with their module; members of every kind.
$dyntrace -q -n '
pid$target:a.out:draw:entry
{
	this->s = (struct shape *)arg0;
	printf("%s [%s] %d %d %d %d %d\n", stringof(this->s->name), this->s->tag, this->s->low, this->s->high,
	    this->s->sign, this->s->colour, this->s->closed);
	printf("%d,%d %d\n", this->s->corner[1].x, ((point_t *)&this->s->corner[0])->y, this->s->u.i);
}
pid$target:a.out:draw:entry
/((struct a.out`shape *)arg0)->next/
{
	self->next = (struct shapes`shape *)((shapes`point_t *)arg0 + 0);
	printf("next is %s\n", stringof(self->next->next->name));
	printf("%d %d %d\n", sizeof (struct shape), sizeof (point_t), offsetof(struct shape, weight));
}' -c $triggers/shapes
