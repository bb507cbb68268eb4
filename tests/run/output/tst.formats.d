#pragma D option quiet

short s;

BEGIN
{
	s = -3;
	printf("[%d|%5d|%-5d|%05d|%+d|% d|%.3d]\n", 42, 42, 42, 42, 42, 42, 42);
	printf("[%x|%#x|%X|%#o|%o|%u]\n", 255, 255, 255, 8, 8, 7);
	printf("[%hd|%hx|%ld|%lld|%llx]\n", s, s, (long)-5, (long long)-6, (long long)-1);
	printf("[%u|%x|%d]\n", (int)-1, (char)-1, (unsigned int)0xffffffff);
	printf("[%s|%10s|%-10s|%.2s|%*s|%.*s]\n", "text", "text", "text", "text", 6, "text", 3, "text");
	printf("[%S|%S]\n", "a\tb\n", "q\"\\");
	printf("[%c|%3c|%C|%C]\n", 'x', 'y', '\n', 'z');
	printf("[%lc|%wc]\n", 0x20ac, 0x1f600);
	printf("[%p|%?x]\n", 0xabc, 0xabc);
	printf("[%%|%i|%'d]\n", 5, 7);
	exit(0);
}
