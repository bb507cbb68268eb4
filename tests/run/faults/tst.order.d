/* A clause that fails leaves no record, ERROR fires at once, the next clause runs. */
BEGIN { trace("one"); }
BEGIN { trace("lost"); trace(10 / (strlen(probename) - 5)); }
ERROR { printf("probe %d, clause %d, fault %d, value %d", arg1 == id - 2, (int)arg2, (int)arg4, (int)arg5); }
BEGIN { trace("two"); }
BEGIN { trace(10 % (strlen(probename) - 5)); }
ERROR { trace(probename); }
BEGIN { exit(0); }
