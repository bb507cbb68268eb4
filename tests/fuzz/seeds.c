/* SPDX-License-Identifier: MIT */
/* fuzz_NAME_libfuzzer -seeds=DIR writes the target's seeds there, a file each. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);

static void write_seed(const char *dir, unsigned i, const uint8_t *buf, size_t cnt)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/seed%u", dir, i);
	FILE *f = fopen(path, "wb");
	if (!f || fwrite(buf, 1, cnt, f) != cnt || fclose(f))
		exit(2);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static uint8_t buf[1u << 16];
	size_t cnt;
	if (*argc != 2 || strncmp((*argv)[1], "-seeds=", 7))
		return 0;
	for (unsigned i = 0; (cnt = fuzz_seed(i, buf, sizeof(buf))); i++)
		write_seed((*argv)[1] + 7, i, buf, cnt);
	exit(0);
}
