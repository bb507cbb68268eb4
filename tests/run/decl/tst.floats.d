/* Numbers with a fraction are kept and shown, not computed. */
#pragma D option quiet
struct { float f; double d; int after; } v;
float zero;
double copy;
char name[4];
BEGIN
{
	p = (int *)&v.f; *p = 0x3fc00000;
	q = (uint64_t *)&v.d; *q = 0x4004000000000000;
	copy = v.d;
	name[0] = 'a'; name[1] = 'b';
	printf("%f %g %5.1f %E|%s\n", v.f, v.d, copy, zero, name);
	trace(name); printf("\n"); trace(v.f);
	exit(0);
}
