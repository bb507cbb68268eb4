/* Memory of alloca() ends with its clause, has an end, and is the only one that can be written. */
#pragma D option quiet
#pragma D option scratchsize=64

BEGIN { p = (char *)alloca(10); p[9] = 7; trace(p[9]); }
BEGIN { trace(p[0]); }
BEGIN { p = (char *)alloca(10); trace(p[10]); }
BEGIN { p = (char *)alloca(10); p[-1] = 1; }
BEGIN { n = 65; alloca(n); }
BEGIN { alloca(40); alloca(30); }
BEGIN { p = (char *)alloca(10); bcopy(probename, p, 11); }
BEGIN { p = (char *)alloca(4); q = (char *)alloca(20); bcopy(p, q, 30); }
BEGIN { n = 100; copyin(0, n); }
BEGIN { copyin(8, 8); }
BEGIN { p = (char *)alloca(5); bcopy(probename, p, 5); trace(stringof(p)); }
BEGIN { p = (char *)alloca(0); trace(strlen(stringof(p))); }
BEGIN { exit(0); }
ERROR { printf(" %d", (int)arg4); }
