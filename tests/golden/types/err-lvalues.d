inline int K = 3;
BEGIN
{
	pid = 3;
	K = 4;
	5 = 6;
	(a + 1)++;
	NULL++;
	"x" = 1;
	@a = count();
	@a++;
	x = @a;
	s = "a"; s += 1; s = 5; s = 0;
	i = 1; i = "x"; i = (int *)arg0;
}
