/* Types that the script declares: print(), its limits, enumerators, bit-fields, what is zero. @@opts: -q */
enum state { IDLE, BUSY = 3 };
struct job {
	int id;
	char name[8];
	struct {
		short a;
		unsigned char b;
	} pair[2];
	unsigned int low : 4;
	unsigned int high : 12;
	enum state state, other;
	union {
		long l;
		void *p;
	} u;
	int zero;
	uint8_t last;
};
BEGIN
{
	j = (struct job *)alloca(sizeof (struct job));
	j->id = -7;
	j->name[0] = 'j';
	j->name[1] = 'o';
	j->pair[1].a = -2;
	j->pair[1].b = 254;
	j->state = BUSY;
	j->other = 9;
	j->u.l = 255;
	j->last = 1;
	print(j);
	print(&j->pair[1]);
	print(&j->id);
	setopt("printsize", "8");
	print(j);
	setopt("printsize", "24");
	print(j);
	exit(0);
}
