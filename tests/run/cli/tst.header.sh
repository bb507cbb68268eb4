# -h writes a header, -G an object; a program built with them has its probes as notes.
tmp=$(mktemp -d) && cd "$tmp" || exit 1
command -v cc >/dev/null || { echo "SKIP: no C compiler"; exit 0; }
cat > shop.d <<'D'
struct item;
provider shop {
	probe open__door();
	probe sale(char *what, int price, unsigned short pieces, struct item *);
};
D
cat > main.c <<'C'
#include <stdio.h>
#include "shop.h"
int main(int argc, char **argv)
{
	SHOP_OPEN_DOOR();
	if (SHOP_SALE_ENABLED())
		puts("somebody listens");
	SHOP_SALE(argv[0], argc, 7, NULL);
	return 0;
}
C
$dyntrace -h -s shop.d || exit 1
for std in gnu99 gnu17; do
	cc -std=$std -Wall -Wextra -Werror -O2 -c main.c || exit 1
done
$dyntrace -G -s shop.d main.o && cc -o main main.o shop.o && ./main || exit 1
readelf -n main | sed -n 's/^ *\(Provider\|Name\): /\1 /p'
readelf -n main | sed -n 's/^ *Arguments: //p' | tr ' ' '\n' | sed 's/@.*//' | xargs
$dyntrace -h -s shop.d -o other.h && cmp -s shop.h other.h || grep -c OTHER_H other.h
$dyntrace -h
echo $?
$dyntrace -h -n BEGIN
echo $?
rm -r "$tmp"
