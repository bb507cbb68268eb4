int f(int);
char f(int);
int f(int);
int a[int];
int a[string];
int a[int, int];
int a[int];
self int b[char];
self int b[string];
BEGIN { exit(0); }
