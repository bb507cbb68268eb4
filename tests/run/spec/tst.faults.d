/* What a clause that fails had speculated is gone; a commit() before the failure stands. */
#pragma D option quiet
#pragma D option nspec=2

BEGIN { s = speculation(); t = speculation(); }
BEGIN { speculate(s); printf("kept\n"); }
BEGIN { speculate(s); printf("%d\n", 1 / (s - s)); }
BEGIN { speculate(t); printf("thrown away\n"); }
BEGIN { discard(t); n = 1 / (s - s); }
BEGIN { commit(s); n = 1 / (s - s); }
BEGIN { commit(3); }
BEGIN { discard(-1); }
BEGIN { speculate(-1); printf("no such thing\n"); }
ERROR { errors++; kind = arg4; }
BEGIN { printf("%d errors, the last: %d\n", errors, kind == DTRACEFLT_ILLOP); exit(0); }
