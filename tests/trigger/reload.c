/* SPDX-License-Identifier: MIT */
/* Loads a library, calls plugin_work() ten times and unloads it, again and again. usage: reload TIMES */
#include <dlfcn.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	for (int i = argc > 1 ? atoi(argv[1]) : 1; i > 0; i--) {
		void *lib = dlopen(TRIGGER_DIR "/plugin.so", RTLD_NOW);
		long (*work)(long) = lib ? (long (*)(long))dlsym(lib, "plugin_work") : NULL;
		if (!work)
			return 1;
		for (long k = 0; k < 10; k++)
			work(k);
		dlclose(lib);
	}
	return 0;
}
