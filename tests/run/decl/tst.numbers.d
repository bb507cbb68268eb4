/* Arithmetic has 64 bits until a value is stored, cast or shown; its type is the largest. */
#pragma D option quiet

unsigned char C;
signed char c;
short s;
unsigned u;
int i;
long l;

BEGIN
{
	C = 254; c = -3; s = 30000; u = 0xfffffff0; i = 1 << 30;
	printf("%d %d %d\n", C + c, C + C, c + c);
	printf("%d %d\n", s + s, s * 3 > 80000);
	l = i * 4; printf("%d\n", l);
	i = i * 4; printf("%d\n", i);
	l = u + 32; printf("%x ", l);
	l = (unsigned)(u + 32); printf("%x\n", l);
	printf("%d %d\n", 3600 * 1000000000 > 1, -7 / 2);
	this->ns = (long)3600 * 1000000000; printf("%d\n", this->ns);
	printf("%d %d %d %x\n", 'a', '\377', '\n', 'ab');
	printf("%d %d %d %d\n", sizeof(1), sizeof(1L), sizeof('a'), sizeof(C + C));
	printf("%d %d\n", ~C, -u);
	exit(0);
}
