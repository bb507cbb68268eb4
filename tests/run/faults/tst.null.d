/* NULL where a string is needed. */
#pragma D option quiet

BEGIN { x = strchr("abc", 'z') == NULL; printf("%d\n", x); }
BEGIN { trace(strlen(NULL)); }
BEGIN { trace(strjoin("a", NULL)); }
BEGIN { trace(strchr("abc", 'z')); }
BEGIN { printf("%s\n", strstr("abc", "x")); }
BEGIN { trace(basename(NULL)); }
BEGIN { trace(strlen("")); s = strrchr("a", 'b'); trace(s); exit(0); }
ERROR { printf("fault %d %d\n", (int)arg4, (int)arg5); }
