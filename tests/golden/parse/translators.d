struct in { int a; char *s; };
typedef struct { long twice; string name; } out_t;
translator out_t < struct in *p > { twice = p->a * 2; name = p->s; };
translator struct in < out_t o > { };
inline long add[long a, int b] = a + b;
provider foo { probe go(); probe went__far(int, char *name) : (char *name); };
provider bar { };
BEGIN { trace(xlate < out_t * > ((struct in *)arg0)->twice); trace(xlate<out_t>(p).name); trace(add[1, 2]); }
