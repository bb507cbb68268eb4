# Threads that never pause: what one printa() showed and clear() took away, and what the next one shows, are all.
tmp=$(mktemp -d) && cd "$tmp" || exit 1
command -v cc >/dev/null || { echo "SKIP: no C compiler"; exit 0; }
cat > busy.c <<'C'
#include <pthread.h>
__attribute__((noinline)) void hit(long n) { __asm__ volatile("" :: "r"(n)); }
static void *run(void *a)
{
	for (long i = 0; i < 3000000; i++)
		hit(i);
	return a;
}
int main(void)
{
	pthread_t t[2];
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], 0, run, 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], 0);
	return 0;
}
C
cc -O1 -o busy busy.c -lpthread || exit 1
$dyntrace -q -c ./busy -n '
	pid$target:a.out:hit:entry { @n = count(); @k[arg0 & 3] = sum(1); @avg = avg(arg0 & 1); @d = stddev(arg0); @q = lquantize(arg0 & 1, 0, 2, 1); }
	tick-5ms { printa("n %@d\n", @n); printa("k %@d %d\n", @k); clear(@n); trunc(@k, 1); clear(@avg); clear(@d); trunc(@q);
		parts++; }
	tick-5ms /parts == 2/ { clear(@k); }
	END { printa("n %@d\n", @n); }' | awk '/^n/ { n += $2; if ($2) parts++ } END { print n, (parts > 1 ? "in parts" : "at once") }'
rm -r "$tmp"
