# SPDX-License-Identifier: MIT
# Probes that a program declares: arguments by their declared types, or as they are asked for.
. ./lib.sh
dir=$PWD
cd "$tmp" || exit 1
echo 'provider shop { probe sale(int n, char *what); };' > shop.d
"$dyntrace" -h -s shop.d || exit 1
cat > t.c <<'C'
#include <stdio.h>
#include "shop.h"
int main(void)
{
	for (int i = 0; i < 2; i++)
		SHOP_SALE(i - 1, "pear");
	return 0;
}
C
cc -O1 -o t t.c 2> /dev/null || { echo "SKIP: no compiler"; exit 0; }
"$dyntrace" record -c ./t -g -o "$trace" 'shop$target:::sale' 'shop$target:::sale twice=2*arg0 text=copyinstr(arg1)'
cd "$dir" || exit 1
"$dyntrace" dump "$trace" | grep shop: | sed 's/.*shop:/shop:/'
babel "$trace"
