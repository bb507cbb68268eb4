# Probes of a library that comes late, goes, and comes back: to the same place, and elsewhere.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
echo 'provider plug { probe made(int n); probe work(int n); };' > plug.d
$dyntrace -h -s plug.d || exit 1
cat > plug.c <<'END'
#include "plug.h"
int heard;
__attribute__((constructor)) static void made(void)
{
	PLUG_MADE(heard);
}
int work(int n)
{
	PLUG_WORK(n);
	if (PLUG_WORK_ENABLED())
		heard++;
	return heard;
}
END
cat > main.c <<'END'
#include <dlfcn.h>
#include <stdio.h>
#include <sys/mman.h>
int main(void)
{
	for (int i = 0; i < 4; i++) {
		void *lib = dlopen("./plug.so", RTLD_NOW);
		int (*work)(int) = (int (*)(int))dlsym(lib, "work"), heard = 0;
		for (int k = 0; k < 10; k++)
			heard = work(100 * i + k);
		printf("heard %d\n", heard);
		dlclose(lib);
		if (i == 2)
			mmap((void *)((unsigned long)work & ~4095ul), 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	return 0;
}
END
cc -O1 -shared -fPIC -o plug.so plug.c && cc -O1 -o main main.c -ldl || exit 1
$dyntrace -q -Z -n 'plug$target:plug.so::work { @[probename] = count(); @s["sum"] = sum(arg0); }
	plug$target:::made { printf("made\n"); }' -o trace -c ./main
cat trace
echo untraced
./main
