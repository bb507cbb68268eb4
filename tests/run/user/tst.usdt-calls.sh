# Probes as calls of functions that nobody defines (DTRACE_PROBE): -G makes nops and notes of them, once.
tmp=$(mktemp -d) && cd "$tmp" || exit 1
command -v cc >/dev/null || { echo "SKIP: no C compiler"; exit 0; }
cat > shop.d <<'D'
provider shop {
	probe open();
	probe sale__entry(int price, int pieces) : (int pieces, int price);
	probe many(int, int, int, int, int, int, int, int);
	probe shut(int);
};
D
cat > shop.h <<'C'
#ifdef __cplusplus
extern "C" {
#endif
typedef unsigned long w;
void __dtrace_shop___open(void);
void __dtrace_shop___sale__entry(w, w);
void __dtrace_shop___many(w, w, w, w, w, w, w, w);
void __dtrace_shop___shut(w);
void sell(w);
#ifdef __cplusplus
}
#endif
C
cat > main.c <<'C'
#include "shop.h"
int main(int argc, char **argv)
{
	(void)argv;
	__dtrace_shop___open();
	sell((w)argc);
	return 0;
}
C
cat > sell.c <<'C'
#include "shop.h"
static __attribute__((noinline)) void last(w n) { __asm__ volatile(""); __dtrace_shop___shut(n + 1); }
void sell(w n)
{
	__dtrace_shop___sale__entry(n, 7);
	__dtrace_shop___many(1, 2, 3, 4, 5, 6, 70, 80);
	last(n);
}
C
cp sell.c sell.cc
show() {
	$dyntrace -q -c "$1" -n 'shop$target:::{ printf("%s:%s ", probefunc, probename); }
	shop$target:::sale-entry { printf("%d %d", '"${2:-args[0], args[1]}"'); }
	shop$target:::many { printf("%d %d %d %d", arg0, arg5, arg6, arg7); }
	shop$target:::shut { printf("%d", arg0); }
	shop$target::: { printf("\n"); }' | sed '/^$/d; s/sub_[0-9a-f]*:/sub_:/' > got
	cmp -s got first 2>/dev/null && echo same || cat got
	[ -e first ] || mv got first
}
for flags in "-O0" "-O2" "-O2 -fPIE -pie -fno-plt" "-O1 -static" "-O2 -g -s"; do
	echo "== $flags"
	rm -f shop.o
	cc $flags -c main.c sell.c && $dyntrace -G -s shop.d main.o sell.o && cc $flags -o prog main.o sell.o shop.o && ./prog || exit 1
	show ./prog
done
echo "== twice, ld -r, C++"
c++ -O2 -c sell.cc -o sell.o && cc -O2 -c main.c && $dyntrace -G -s shop.d main.o && $dyntrace -G -s shop.d main.o sell.o &&
	ld -r -o both.o main.o sell.o shop.o && cc -o prog both.o && show ./prog
echo "== a library"
cc -O2 -fPIC -c main.c sell.c && $dyntrace -G -s shop.d -o a.o sell.o && cc -shared -o libsell.so sell.o a.o &&
	$dyntrace -G -s shop.d -o b.o main.o && cc -o prog main.o b.o -L. -lsell -Wl,-rpath,. && show ./prog 'arg0, arg1'
echo "== not declared"
echo 'provider shop { probe open(); };' > less.d
cc -c sell.c && $dyntrace -G -s less.d sell.o 2>&1 | sed 's/.*: probe/probe/'
rm -r "$tmp"
