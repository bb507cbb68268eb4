struct s { int a; };
BEGIN
{
	x = "a" + "b";
	x = "a" * 2;
	x = -"a";
	x = ~"a";
	x = !"a";
	x = "a" && 1;
	x = (int *)arg0 & 1;
	x = (int *)arg0 + (int *)arg1;
	x = (int *)arg0 == 5;
	x = (int *)arg0 == (char *)arg1;
	x = *(void *)arg0;
	x = *5;
	x = (void *)arg0 + 1;
	x = &5;
	x = &arg0;
	x = 1 / 0;
	x = 1 % (2 - 2);
	x = "a" ? 1 : 2;
	x = 1 ? "a" : 2;
	x = (struct s)arg0;
}
