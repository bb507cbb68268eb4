/* Structures, unions and arrays in variables of all kinds. */
#pragma D option quiet

struct point { int x, y; };
struct shape { struct point at; char tag; long side[3]; string name; };
union word { uint32_t all; uint8_t bytes[4]; };

struct shape one;
self struct shape mine;
this struct shape here;
struct shape known[int];
self struct point seen[string, int];
int grid[3][4];
string names[3];
union word w;
double d;

BEGIN
{
	one.at.x = 1; one.at.y = -2; one.tag = 'q'; one.side[2] = 1 << 40; one.name = "one";
	self->mine = one;
	this->here = self->mine;
	this->here.at.x++;
	this->here.name = strjoin(this->here.name, "+");
	printf("%d %d %c %d %s\n", one.at.x, one.at.y, one.tag, one.side[2], one.name);
	printf("%d %d %s\n", this->here.at.x, self->mine.at.x, this->here.name);
}

BEGIN
{
	known[1] = one;
	known[2] = known[1];
	known[2].at.y = 7;
	known[2].side[1] += 5;
	printf("%d %d %d %d %s\n", known[1].at.y, known[2].at.y, known[2].side[1], known[3].side[2], known[2].name);
	self->seen["a", 1].y = 3;
	self->seen["b", 1] = self->seen["a", 1];
	self->seen["a", 1] = 0;
	printf("%d %d\n", self->seen["a", 1].y, self->seen["b", 1].y);
}

BEGIN
{
	i = 2;
	grid[i][3] = 23; grid[1][i] = 12; grid[0][0] = grid[2][i + 1] + grid[i - 1][2];
	printf("%d %d %d\n", grid[2][3], grid[1][2], grid[0][0]);
	names[i] = "two"; names[0] = "zero";
	printf("%s,%s,%s\n", names[0], names[1], names[i]);
	w.all = 0x01020304;
	printf("%d %d %x\n", w.bytes[0], w.bytes[i + 1], (w.bytes[1] = 0xff, w.all));
}

BEGIN
{
	p = &one.at;
	p->x = 40;
	q = &grid[1][0];
	q[2] = 13;
	printf("%d %d %d\n", one.at.x, grid[1][2], *(q + 2) == q[2]);
	area[one.at] = 5;
	one.at.x++;
	printf("%d ", area[one.at]);
	one.at.x--;
	printf("%d\n", area[one.at]);
	@s[one.at.x] = sum(one.side[2] >> 38);
	printa("%d %@d\n", @s);
	copy = one;
	one.at.x = 0;
	printf("%d %d %d\n", copy.at.x, sizeof(copy.side), sizeof(d));
	exit(0);
}
