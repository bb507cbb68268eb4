/* @@opts: -x droptags */
/* ERROR does not fire for its own faults; they are counted, and told with the other losses. */
BEGIN, BEGIN { trace(*(int *)NULL); }
ERROR { trace(*(int *)NULL); }
ERROR { printf("fault %d", (int)arg4); }
BEGIN { exit(0); }
