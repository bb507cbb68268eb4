# Headers of C: what they define again, functions with bodies, and the system's own.
dir=$(mktemp -d)
trap 'rm -rf $dir' EXIT
cat >$dir/own.h <<X
typedef unsigned char uint8_t;
typedef unsigned long dev_t;
enum own { OWN_A, OWN_B = 7, };
static inline int twice(int n)
{
	if (n) { return 2 * n; }
	return '}';
}
static __inline__ __signed__ char small(void) { return "}"[0]; }
struct own_pair { uint8_t a; dev_t b; };
X
cat >$dir/a.d <<X
#include "own.h"
BEGIN { printf("%d %d %d\n", OWN_B, sizeof(struct own_pair), sizeof(dev_t)); exit(0); }
X
$dyntrace -qC -I $dir -s $dir/a.d
cat >$dir/b.d <<X
#include <endian.h>
#include <stdio.h>
#include <netinet/in.h>
#include <sys/stat.h>
BEGIN { printf("%d %d %d\n", sizeof(struct sockaddr_in), sizeof(struct stat), IPPROTO_TCP); exit(0); }
X
$dyntrace -qC -s $dir/b.d
for std in a c s t; do
	printf '#ifdef __STRICT_ANSI__\nBEGIN { trace("strict"); exit(0); }\n#else\nBEGIN { trace("gnu"); exit(0); }\n#endif\n' >$dir/c.d
	$dyntrace -qC -X $std -s $dir/c.d
	echo " $std"
done
# Not so in the script itself.
$dyntrace -q -n 'typedef unsigned char uint8_t; BEGIN { exit(0); }' 2>&1 | head -1
X=1 $dyntrace -q -n 'static inline int twice(int n) { return 1; } BEGIN { exit(0); }' 2>&1 | head -1
