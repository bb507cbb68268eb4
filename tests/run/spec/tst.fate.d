/* Of four speculations one is committed, one discarded, one left alone, one never used. */
#pragma D option nspec=4

BEGIN
{
	a = speculation();
	b = speculation();
	c = speculation();
	d = speculation();
	e = speculation();
	printf("%d %d %d %d %d", a, b, c, d, e);
}

BEGIN { speculate(a); printf("a, first"); }
BEGIN { speculate(b); printf("b"); }
BEGIN { speculate(c); printf("c"); }
BEGIN { speculate(a); printf("a, second"); }
BEGIN { speculate(a); this->x = 1; }
BEGIN { trace("before"); }
BEGIN { discard(b); }
BEGIN { commit(a); this->x = 2; }
BEGIN { speculate(a); trace("too late"); }
BEGIN { commit(a); discard(a); commit(0); }
BEGIN { speculate(b); }
BEGIN { discard(d); trace("after"); exit(0); }
