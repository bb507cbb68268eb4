# Names of addresses that are longer than a string may be are cut; nothing beside them changes.
. ./need.sh
$dyntrace -x strsize=8 -qn '
syscall::write:entry /execname == "dd"/
{
	this->p = (uint64_t *)alloca(16);
	this->p[0] = 0x0807060504030201;
	this->p[1] = 0x100f0e0d0c0b0a09;
	this->a = strjoin("one", "two");
	this->b = inet_ntoa6((struct in6_addr *)this->p);
	this->c = inet_ntoa((ipaddr_t *)this->p);
	printf("%s %s %s %s\n", this->a, this->b, this->c, strjoin(strjoin("a", "b"), inet_ntoa6((struct in6_addr *)this->p)));
	exit(0);
}' -c "dd if=need.sh of=file.tmp status=none"; rm -f file.tmp
