/* Only a part of the clause speculates. */
#pragma D option quiet

BEGIN { s = speculation(); }

BEGIN, BEGIN, BEGIN, BEGIN
{
	if (++n % 2)
		speculate(s);
	printf("%d\n", n);
}

BEGIN { printf("now\n"); }
BEGIN { commit(s); }
BEGIN { exit(0); }
