BEGIN
{
	system("ls");
	printf("a")->b;
	x = y = bcopy(copyin(arg0, 1), copyin(arg1, 1), 1);
}
