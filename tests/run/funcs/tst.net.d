#pragma D option quiet

struct in6_addr *six;
struct in_addr *four;
uint8_t *link;

BEGIN
{
	four = alloca(sizeof(struct in_addr));
	four->s_addr = htonl(0xc0000201);
	printf("%s %s\n", inet_ntoa(&four->s_addr), inet_ntop(AF_INET, four));
}

BEGIN
{
	six = alloca(sizeof(struct in6_addr));
	printf("%s\n", inet_ntop(AF_INET6, six));
	six->in6_u.u6_addr16[0] = htons(0x2001);
	six->in6_u.u6_addr16[1] = htons(0xdb8);
	six->in6_u.u6_addr16[4] = htons(1);
	printf("%s\n", inet_ntop(AF_INET6, six));
	six->in6_u.u6_addr16[7] = htons(0xa0);
	printf("%s %s\n", inet_ntop(AF_INET6, six), inet_ntoa6(six));
}

BEGIN
{
	six = alloca(sizeof(struct in6_addr));
	six->in6_u.u6_addr16[5] = 0xffff;
	six->in6_u.u6_addr8[12] = 10;
	six->in6_u.u6_addr8[15] = 7;
	printf("%s %s %s\n", inet_ntoa6(six), inet_ntoa6(six, 0), inet_ntoa6(six, 1));
	six->in6_u.u6_addr16[5] = 0xfffe;
	printf("%s\n", inet_ntoa6(six));
}

BEGIN
{
	link = alloca(20);
	link[0] = 2;
	link[5] = 0xfe;
	printf("%s\n", link_ntop(ARPHRD_ETHER, link));
	printf("%s\n", link_ntop(ARPHRD_INFINIBAND, link));
	printf("%x %x %x\n", htons(0x1234), ntohl(0x12345678), htonll(0x1122334455667788));
	printf("%d %d\n", getmajor(0x800003), getminor(0x800003));
}

BEGIN { trace(inet_ntop(3, link)); }
BEGIN { trace(link_ntop(7, link)); }
BEGIN { trace(inet_ntoa(NULL)); }
ERROR { printf("fault %d\n", (int)arg4); n++; }
BEGIN { exit(n != 3); }
