int x; int x;
string x;
int pid;
int strlen;
struct nope s;
void v;
int a[];
this int t[int];
double d;
inline int i = "x";
inline int i = 3;
inline int i = 4;
int ok; int ok;
enum e { x };
BEGIN { trace(i); }
