/* SPDX-License-Identifier: MIT */
/* What a keeper says: standard error is memory, which somebody takes it from. */
#include "cli/keeper/keeper_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SAID_MAX (256 << 10)

int keeper_gather_messages(void)
{
	int said = memfd_create("dyntrace-keeper", MFD_CLOEXEC);
	int r = said < 0 || dup2(said, STDERR_FILENO) < 0 ? -errno : 0;
	if (said >= 0)
		close(said);
	return r;
}

char *keeper_take_messages(void)
{
	fflush(stderr);
	off_t n = lseek(STDERR_FILENO, 0, SEEK_END);
	char *text = n >= 0 && n < (off_t)KEEP_TEXT_MAX ? calloc(1, (size_t)n + 1) : NULL;
	if (text && pread(STDERR_FILENO, text, (size_t)n, 0) != n)
		*text = 0;
	if (ftruncate(STDERR_FILENO, 0) == 0)
		lseek(STDERR_FILENO, 0, SEEK_SET);
	return text;
}

void keeper_relay(struct keeper *k)
{
	char *text = k->said_fd >= 0 ? keeper_take_messages() : NULL;
	if (text && *text && write(k->said_fd, text, strlen(text)) < 0)
		k->said_fd = -1;
	free(text);
}

/* Nobody asks for days, perhaps: the first of what was said is kept. */
void keeper_bound_messages(void)
{
	static const char more[] = "dyntrace: and more of the like\n";
	fflush(stderr);
	off_t n = lseek(STDERR_FILENO, 0, SEEK_END);
	if (n <= SAID_MAX || ftruncate(STDERR_FILENO, SAID_MAX))
		return;
	if (pwrite(STDERR_FILENO, more, sizeof(more) - 1, SAID_MAX - (off_t)sizeof(more)) > 0)
		lseek(STDERR_FILENO, 0, SEEK_END);
}
