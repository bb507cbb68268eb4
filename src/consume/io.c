/* SPDX-License-Identifier: MIT */
/* Actions that reach outside: system() and freopen(). */
#include "consume/consume_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int consume_io_system(struct consume *c, const char *cmd)
{
	fflush(c->opts.out);
	if (c->opts.run_command)
		return c->opts.run_command(c->opts.arg, cmd);
	return system(cmd) == -1 ? -errno : 0;
}

/* What is no file has nothing to be cut. */
void consume_io_truncate(struct consume *c)
{
	fflush(c->opts.out);
	if (!ftruncate(fileno(c->opts.out), 0))
		fseeko(c->opts.out, 0, SEEK_SET);
}

/*
 * The stream stays, its descriptor changes: so whoever gave it can go on
 * using it, and a failure leaves it as it was.  "" goes back to what the
 * stream was at first.
 */
int consume_io_freopen(struct consume *c, const char *path, struct err *reterr)
{
	int out = fileno(c->opts.out);
	fflush(c->opts.out);
	if (!*path) {
		if (c->saved_out >= 0 && dup2(c->saved_out, out) < 0)
			return err_setf(reterr, -errno, "couldn't restore the output: %s", strerror(errno));
		return 0;
	}
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0)
		return err_setf(reterr, -errno, "couldn't freopen() \"%s\": %s", path, strerror(errno));
	if (c->saved_out < 0)
		c->saved_out = fcntl(out, F_DUPFD_CLOEXEC, 3);
	int rc = dup2(fd, out) < 0 ? -errno : 0;
	close(fd);
	if (rc)
		return err_setf(reterr, rc, "couldn't freopen() \"%s\": %s", path, strerror(-rc));
	return 0;
}
