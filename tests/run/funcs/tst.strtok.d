/* The rest is kept per thread, across clauses. */
#pragma D option quiet

BEGIN { s = ",,one,two;;three,"; x = strtok(s, ",;"); printf("%s\n", x); }
BEGIN { printf("%s %s\n", strtok(NULL, ",;"), strtok(NULL, ";")); }
BEGIN { printf("%d\n", strtok(NULL, ",") == NULL); }
BEGIN { printf("%s|%d\n", strtok("whole", ","), strtok(NULL, ",") == NULL); }
BEGIN { printf("%d\n", strtok("", ",") == NULL); printf("%d\n", strtok(",,,", ",") == NULL); }
BEGIN { printf("%s\n", strtok(strjoin("a b ", "c"), " ")); printf("%s\n", strtok(NULL, "")); }
BEGIN { trace(strtok(NULL, ",")); }
ERROR { printf("fault %d at %d\n", (int)arg4, (int)arg5); exit(0); }
