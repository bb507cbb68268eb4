/* @@opts: -q -x bufpolicy=ring -x bufsize=24 */
/* The last records, at the end: each counts 8 bytes. */
int n;
tick-1ms /n < 20/ { printf("%d\n", n); n++; }
tick-1ms /n == 20/ { exit(0); }
