/* None is free: all in use, or not yet given back. */
#pragma D option quiet
#pragma D option droptags
#pragma D option nspec=1

BEGIN { a = speculation(); b = speculation(); }
BEGIN { discard(a); }
BEGIN { c = speculation(); d = speculation(); printf("%d %d %d %d\n", a, b, c, d); }
tick-10ms / e = speculation() / { printf("%d\n", e); exit(0); }
