# -S: each clause's variables, as dtrace shows them.
$dyntrace -S -e -n '
short s; self int t; this string l; int a[int];
struct { char c; long x; short y; } st;
BEGIN { n = pid; n++; s = 1; self->t = n; this->l = "x"; a[n] = 1; }
BEGIN /n/ { st.x += 2; trace(a[1]); }
BEGIN { exit(0); }' | grep -A20 '^NAME' | grep -v '^clause\|^ *[0-9]\|^Dis\|^--'
