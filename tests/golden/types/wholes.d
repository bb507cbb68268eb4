struct s { int a; char name[8]; unsigned f:3; };
struct s g; struct s t[int]; int m[2][3]; unsigned char c;
enum color { RED, GREEN = 5 } col;
translator struct s < int i > { a = i; };
inline int twice[int n] = n * 2;
BEGIN {
	g = t[1]; t[2].a = m[1][2]; g.f = 9;
	trace(xlate < struct s > (4).a + twice[3]);
	x = c + c; y = -c; z = col == GREEN; p = &m[1][0];
}
