/* What does not fit is lost, and counted; the clause ends there. */
#pragma D option quiet
#pragma D option specsize=100

BEGIN { s = speculation(); }
BEGIN { speculate(s); printf("%d %d %d\n", 1, 2, 3); n++; }
BEGIN { speculate(s); printf("%d %d %d %d %d %d %d %d %d %d %d\n", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11); n++; }
BEGIN { speculate(s); printf("%d %d %d\n", 4, 5, 6); n++; }
BEGIN { speculate(s); printf("%d %d %d\n", 7, 8, 9); n++; }
BEGIN { commit(s); }
BEGIN { printf("%d clauses\n", n); exit(0); }
