struct s { char c; short s; int bits : 3, more : 30; long l; union { int a; char b; } u; double d; char t[3]; };
struct o { struct s in; struct s arr[2]; };
BEGIN { trace(sizeof (struct s)); trace(offsetof(struct s, l)); trace(offsetof(struct o, arr)); trace(((struct s *)arg0)->more); }
