/* @@opts: -q -x bufpolicy=fill -x bufsize=24 */
/* The first records; then tracing ends. */
int n;
tick-1ms { printf("%d\n", n); n++; }
END { printf("end\n"); }
