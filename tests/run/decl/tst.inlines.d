/* Inlines with keys are functions. */
#pragma D option quiet

inline long sq[long x] = x * x;
inline int most[int a, int b] = a > b ? a : b;
inline string hello[string who, int n] = strjoin(who, n > 1 ? "s" : "");
inline int three = most[1, most[3, 2]];

BEGIN
{
	x = 5;
	printf("%d %d %d\n", sq[sq[3]], most[sq[x], 24], most[most[x, 1], most[2, x + 1]]);
	printf("%s %s %d\n", hello["dog", 1], hello[hello["cat", 2], 2], three);
	exit(0);
}
