BEGIN
{
	setopt("quiet");
	printf("quiet now\n");
	setopt("nonsense");
	exit(0);
}
