/* @@opts: -C */
/* System headers go through -C as plain C: no inline functions come out of them. */
#include <endian.h>
#pragma D option quiet

BEGIN
{
#if __BYTE_ORDER == __LITTLE_ENDIAN
	printf("%x %x %x\n", htons(0x1234), htonl(0x12345678), htonll(0x123456780abcdef1));
#endif
	exit(0);
}
