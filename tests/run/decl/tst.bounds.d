/* An index that is known only at run time. */
#pragma D option quiet

int few[4];
int more[4];

BEGIN { i = 4; few[i - 1] = 3; few[i] = 1; }
BEGIN { i = -1; few[i] = 1; }
BEGIN { printf("%d %d\n", few[3], more[0]); exit(0); }
