# All instructions of a program that ends with a loop, the last of which has no bytes behind it in its section.
tmp=$(mktemp -d) && cd "$tmp" || exit 1
command -v cc >/dev/null || { echo "SKIP: no C compiler"; exit 0; }
cat > loop.c <<'C'
#include <unistd.h>
int main(void)
{
	for (volatile int i = 0;; i++)
		usleep(1000);
}
C
cat > calls.c <<'C'
static __attribute__((noinline)) int half(int n) { return n / 2; }
int main(int argc, char **argv) { (void)argv; return half(argc) + half(argc + 3) - 2; }
C
for cc in gcc clang; do
	for flags in -O0 -O2 "-O1 -fno-pie -no-pie" "-O2 -static"; do
		command -v $cc >/dev/null || continue
		$cc $flags -o loop loop.c && $cc $flags -g -o calls calls.c || exit 1
		$dyntrace -q -c ./loop -n 'pid$target:a.out:main: { @ = count(); @last[probename] = count(); } tick-300ms { exit(0); }' > out 2>&1
		grep -q '^ *[0-9]' out || cat out
		grep 'not traced' out | grep -v 'no return instruction'
		$dyntrace -q -c ./calls -n 'pid$target::half:entry { @["calls", arg0] = count(); } pid$target::half:return { @["results", arg1] = count(); }'
	done
done | sort | uniq -c | sed 's/  */ /g' | awk 'NF > 1 { print $2, $3, $4 }'
rm -r "$tmp"
