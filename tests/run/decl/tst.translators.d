/* Members are computed where they are used. */
#pragma D option quiet

struct in { int a; long v[2]; };
typedef struct out { int twice; long sum; string who; struct in *from; struct { int k; } rest; } out_t;
struct pair { int l, r; };

translator out_t < struct in *p > {
	twice = p->a * 2;
	sum = p->v[0] + p->v[1];
	who = strjoin("in ", lltostr(p->a));
	from = p;
};
translator struct pair < out_t o > { l = o.twice; };
translator struct pair < int n > { l = n; r = n + 1; };

struct { struct in i; } g;
struct in *gp;
out_t plain;
inline out_t cur = xlate < out_t > (gp);
inline out_t *curp = xlate < out_t * > (gp);

BEGIN
{
	gp = &g.i;
	gp->a = 21; gp->v[0] = 5; gp->v[1] = 6;
	printf("%d %d %s %d\n", xlate < out_t > (gp).twice, xlate < out_t * > (&g.i)->sum, cur.who, cur.from->a);
	gp->a = 4;
	printf("%d %d %s\n", curp->twice, (*curp).twice, curp->who);
	o = xlate < out_t > (gp);
	gp->a = 0;
	printf("%d %d %s %d\n", o.twice, o.sum, o.who, cur.twice);
	printf("%d %d %d\n", xlate < struct pair > (o).l, xlate < struct pair > (7).r,
	    xlate < struct pair > (xlate < struct pair > (8).r).r);
	exit(0);
}
