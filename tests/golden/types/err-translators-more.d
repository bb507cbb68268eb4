struct in { int a; };
struct out { int b; };
translator int < struct in *p > { a = 1; };
translator struct lost < struct in *p > { a = 1; };
translator struct out < struct in *p > { b = "one"; };
provider tool { probe odd(struct in *p) : (struct out *p, char *p); };
