BEGIN
{
	a[pid] = 1; a[pid]++; a[pid] += arg0; self->b["k", arg0] = a[1] + a[a[2]];
	c[execname] = probefunc; a[3] = 0; x = ++self->b["k", 1];
}
