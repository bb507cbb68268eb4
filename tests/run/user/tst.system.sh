# What system() starts is traced from its start, where a script asks for probes of any process.
tmp=$(mktemp -d) && cd "$tmp" || exit 1
command -v cc >/dev/null || { echo "SKIP: no C compiler"; exit 0; }
echo 'provider shop { probe sale(int); };' > shop.d
cat > main.c <<'C'
#include <stdlib.h>
#include "shop.h"
int main(int argc, char **argv) { SHOP_SALE(argc > 1 ? atoi(argv[1]) : 0); return 0; }
C
$dyntrace -h -s shop.d && cc -o seller main.c || exit 1
$dyntrace -wqZ -n 'BEGIN { system("./seller 7"); system("./seller 8; (./seller 9); echo done"); }
	shop*:::sale { @sales[execname, probefunc, arg0] = count(); @ = count(); }
	shop*:::sale /progenyof($pid)/ { @mine = count(); }
	tick-100ms /i++ == 5/ { exit(0); }'
echo "status $?"
$dyntrace -wqZ -n 'BEGIN { system("./seller 1; echo as ever"); exit(0); } nosuch:::x { }'
rm -r "$tmp"
