struct item { int count; string label; } v;

BEGIN
{
	self->began = timestamp;
	total = 0;
	@reads = count();
	prnitf("%d", 1);
	trace(timestmp);
	trace(self->begn);
	totla += 1;
	printa(@raeds);
	trace(v.lable);
	trace(curpsinfo->pr_pdi);
	trace(xx);
	trace(nothing_like_it);
}
