# SPDX-License-Identifier: MIT
# Functions that a glob means have their own arguments; strings, NULL and what cannot be read among them.
. ./lib.sh
cat > "$tmp/p.c" <<'C'
#include <stdio.h>
#define NOINLINE __attribute__((noinline, noclone))
enum color { RED, GREEN, BLUE = -5 };
struct pair { int a, b; };
NOINLINE int f_text(const char *s, _Bool b, unsigned char c) { __asm__ volatile(""); return b + c + (s != 0); }
NOINLINE float f_float(float x, short s, enum color e) { __asm__ volatile(""); return x + s + e; }
NOINLINE struct pair *f_pair(struct pair *p, struct pair v, long long n) { __asm__ volatile(""); p->a = v.a + (int)n; return p; }
NOINLINE void f_none(void) { __asm__ volatile(""); }
NOINLINE const char *f_name(unsigned long n) { __asm__ volatile(""); return n ? "some \"name\"\n" : 0; }
int main(void)
{
	struct pair p = { 1, 2 };
	getchar();
	f_text("hello", 1, 200);
	f_text(0, 0, 7);
	f_text((char *)8, 1, 1);
	f_float(1.5f, -3, BLUE);
	f_pair(&p, p, -1);
	f_none();
	f_name(1);
	f_name(0);
	getchar();
	return 0;
}
C
cc -g -O1 -o "$tmp/p" "$tmp/p.c" || { echo "SKIP: no compiler"; exit 0; }
mkfifo "$tmp/in"
"$tmp/p" < "$tmp/in" &
target=$!
exec 8> "$tmp/in"
until [ "$(cat /proc/$target/comm)" = p ]; do sleep 0.02; done # it is no shell any more
"$dyntrace" record -p $target -o "$trace" 'p:f_*' 2> /dev/null &
rec=$!
begun
echo >&8
sleep 0.3
echo >&8
wait $rec
echo "status $?"
"$dyntrace" dump "$trace" | sed 's/.*pid:p://'
babel "$trace"
"$dyntrace" dump --json "$trace" | grep -o '"args":.*' | sed -n '3p;$p'
