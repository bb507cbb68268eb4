struct s { int a; unsigned f:3; };
struct s g; self struct s t[int]; int m[4];
translator struct s < int i > { a = i * i; };
inline int twice[int n] = n + n;
BEGIN { self->t[1] = g; }
BEGIN { self->t[1].a = 2; g = self->t[2]; }
BEGIN { g.f++; }
BEGIN { m[arg0] = 1; }
BEGIN { x = xlate < struct s > (arg1).a; y = twice[twice[3]]; }
BEGIN { self->t[3] = 0; k[g] = 1; }
