/* Bit-fields are read and written in place. */
#pragma D option quiet

struct flags { unsigned a:3; int b:5; unsigned c:24; unsigned long big:40; char z; };
struct flags f;
self struct flags t;

BEGIN
{
	f.a = 13; f.b = -7; f.c = 0xabcdef; f.big = 0x123456789a; f.z = 'z';
	printf("%d %d %x %x %c\n", f.a, f.b, f.c, f.big, f.z);
	f.a++; f.b -= 4; f.c <<= 4;
	printf("%d %d %x %d\n", f.a, f.b, f.c, (f.b = 17));
	self->t = f;
	self->t.big = 1;
	printf("%x %x %c\n", f.big, self->t.big, self->t.z);
	exit(0);
}
