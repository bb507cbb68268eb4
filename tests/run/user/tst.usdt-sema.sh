# Semaphores: raised while somebody listens, and lowered when he ends, is killed, or the program has forked meanwhile.
# @@timeout: 60
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"; [ "$target" ] && kill $target 2> /dev/null' EXIT
cd "$tmp" || exit 1
echo 'provider shop { probe sale(int n); };' > shop.d
$dyntrace -h -s shop.d || exit 1
cat > t.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include "shop.h"
int main(void)
{
	char line[64];
	int n = 0;
	while (fgets(line, sizeof(line), stdin)) {
		SHOP_SALE(n++);
		if (line[0] == 'f' && !fork()) {
			while (access("go", F_OK))
				usleep(10000);
			printf("child %d\n", _dyntrace_shop___sale);
			SHOP_SALE(n);
			fflush(stdout);
			_exit(0);
		}
		printf("%d\n", _dyntrace_shop___sale);
		fflush(stdout);
		if (line[0] == 'w')
			wait(NULL);
	}
	return 0;
}
END
cc -O1 -o t t.c || exit 1
mkfifo in
: > out # the shell opens it after the other one
./t < in > out &
target=$!
exec 3> in
say() { # prints the line that answers
	lines=$(wc -l < out)
	echo "$1" >&3
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		[ "$(wc -l < out)" -gt "$lines" ] && break
		sleep 0.02
	done
	tail -1 out
}
listen() {
	$dyntrace -q -p $target -n 'shop$target:::sale { @[probename] = count(); } END { printf("end\n"); }' > log 2>&1 &
	tracer=$!
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		[ "$(say v)" = 1 ] && break
		sleep 0.1
	done
	echo "$1: $(say v)"
}
echo "alone: $(say v)"
listen listening
kill -TERM $tracer
wait $tracer
sed 's/ [0-9]*$/ N/' log
echo "ended: $(say v)"
listen "listening again"
kill -KILL $tracer
wait $tracer 2> /dev/null
echo "killed: $(say v)"
$dyntrace -q -p $target -n 'BEGIN { exit(0); }'
echo "cleaned: $(say v)"
listen "listening once more"
echo "forked: $(say f)"
kill -TERM $tracer
wait $tracer
echo "ended: $(say v)"
touch go
say w > /dev/null
sleep 0.2
grep child out
