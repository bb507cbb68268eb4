typedef unsigned int u32_t, *u32p_t;
struct node { int v; struct node *next; u32_t bits : 3, more : 5; char name[8][4]; };
union u { long l; struct { int lo, hi; }; };
enum color { RED, GREEN = 5, BLUE };
int g;
string s, t[int, string];
self int *p;
this struct node n;
u32p_t (*fp)(int, char), arr[4];
inline int MAX = 3 * 4;
extern const volatile char *q;
BEGIN { trace(BLUE); }
