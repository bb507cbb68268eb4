# Probes that a program declares itself, by a header of ours: sizes, several places, however it is compiled.
# @@timeout: 60
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
cat > shop.d <<'END'
struct item { int price; char *name; };
provider shop {
	probe open();
	probe sale__done(struct item *what, uint8_t cnt, short from, long to);
	probe many(char a, int b, unsigned int c, long d, int e, int f, int g, int h, int i, uint16_t j);
	probe turned(int x, char *s) : (char *s, int x, int x);
	probe weight(double kg);
};
END
cat > shop.c <<'END'
struct item { int price; char *name; };
#include "shop.h"
static inline __attribute__((always_inline)) void sell(struct item *what, int cnt)
{
	SHOP_SALE_DONE(what, cnt, -2, 1L << 40);
}
int main(int argc, char **argv)
{
	struct item egg = { 3, (char *)"egg" }, tea = { 9, (char *)"tea" };
	int n = argc;
	double kg = 0.5;
	SHOP_OPEN();
	sell(&egg, n + 249);
	sell(&tea, n);
	SHOP_MANY(-1, -2, n + 2147483647u, -4, n, n + 1, n + 2, n + 3, n * 100, 65535);
	SHOP_TURNED(n + 4, argv[argc]);
	SHOP_TURNED(n + 4, tea.name);
	SHOP_WEIGHT(kg * n);
	return SHOP_OPEN_ENABLED() ? 0 : 7;
}
END
cat > look.d <<'END'
shop$target:::open { printf("%s %s\n", probefunc, probename); }
shop$target:::sale-done { printf("%s %d, %d of them, from %d to %d\n", copyinstr((uintptr_t)args[0]->name), args[0]->price,
	args[1], args[2], args[3]); }
shop$target:::sale-done { printf("%d %d %d\n", arg1, (int)arg2, arg3); }
shop$target:::many { printf("%d %d %u %d %d %d %d %d %d %d\n", (int)arg0, (int)arg1, arg2, arg3, arg4, arg5, arg6, arg7, arg8, arg9); }
shop$target:::turned /arg0/ { printf("%s %d %d\n", copyinstr((uintptr_t)args[0]), args[1], arg2); }
shop$target:::turned /!arg0/ { trace(copyinstr(arg0)); }
shop$target:::weight { printf("%x\n", arg0); }
shop$target:shop*:m[a]in:w* { printf("%s\n", probename); exit(0); }
END
$dyntrace -h -s shop.d || exit 1
for cc in cc clang c++; do
	command -v $cc > /dev/null || continue
	for flags in -O0 -O1 '-O2 -fPIE -pie' '-Os -fno-pie -no-pie' '-O3 -fomit-frame-pointer'; do
		case $cc in c++) lang='-x c++' ;; *) lang= ;; esac
		$cc $lang -g $flags -o shop shop.c || echo "$cc $flags"
		echo | $dyntrace -qs look.d -c ./shop > out 2>&1 || echo "status of $cc $flags"
		sed -i 's/shop[0-9][0-9]*/shopN/' out
		cmp -s out first || { echo "== $cc $flags"; cat out; cp out first; }
		./shop
		[ $? = 7 ] || echo "untraced: $?"
	done
done
cc -O1 -g -o shop shop.c
$dyntrace -ln 'shop$target:::' -c ./shop | sed 's/^ *[0-9]* *shop[0-9]*  */ID shopN /; s/  */ /g'
$dyntrace -n 'shop$target:::sale { }' -c ./shop 2>&1 | sed 's/shop[0-9][0-9]*/shopN/'
