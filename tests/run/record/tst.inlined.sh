# SPDX-License-Identifier: MIT
# C++: functions by their written names, frames that were inlined, in all forms.
. ./lib.sh
cat > "$tmp/p.cc" <<'C'
#include <stdio.h>
namespace shop {
struct Cart { int n; int total(int tax) const; };
__attribute__((noinline)) int price(const char *what, int tax) { __asm__ volatile(""); return tax + what[0]; }
static inline __attribute__((always_inline)) int twice(int v) { return 2 * price("apple", v); }
__attribute__((noinline)) int Cart::total(int tax) const { int r = twice(tax) + n; __asm__ volatile(""); return r; }
}
int main() { shop::Cart c{3}; printf("%d\n", c.total(7)); return 0; }
C
c++ -g -O2 -o "$tmp/p" "$tmp/p.cc" 2> /dev/null || { echo "SKIP: no C++ compiler"; exit 0; }
"$dyntrace" record -c "$tmp/p" -g -o "$trace" 'shop::price' 'shop::Cart::total(int) const:entry tax'
"$dyntrace" dump "$trace" > "$tmp/dump"
grep -h pid: "$tmp/dump" | sed 's/.*pid:p://'
grep -m1 -A4 price "$tmp/dump" | tail -4 | sed "s|$tmp|.|g; s/^[ \t]*[0-9a-f]* //; s/^[ \t]*//"
"$dyntrace" dump --folded "$trace" | sed 's/^p;.*;main;/p;...;main;/'
"$dyntrace" dump --json "$trace" | grep -m1 price | grep -o '"function":"twice"[^}]*'  | sed "s|$tmp|.|g"
babel "$trace"
