/* SPDX-License-Identifier: MIT */
/*
 * Where a tracer's text goes.  The traced program's standard output is taken as its very open file, so that the
 * place to write at is shared with it (a shell's `> file` has no O_APPEND).  That file's flags are the program's
 * too: it is never made non-blocking, so room is looked for first, and no more is written than then finds room.
 * A pipe, a terminal or a FIFO can be opened anew, and then is our own.
 */
#include "tracer/tracer_int.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHUNK 4096u /* PIPE_BUF: a pipe takes it whole or not at all */

struct tracer_out {
	int fd;
	bool is_socket, is_own; /* is_own: non-blocking by our own doing */
	uint64_t lost;
	bool cut;               /* the last line went out in part */
	FILE *stream;
};

static int open_path(struct tracer_out *o, const char *path, struct err *reterr)
{
	o->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0644);
	if (o->fd < 0)
		return err_setf(reterr, -errno, "cannot write to %s: %s", path, strerror(errno));
	o->is_own = true;
	return 0;
}

static int open_stdout(struct tracer_out *o, const struct tracer_host *h, struct err *reterr)
{
	struct stat st;
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/fd/1", (int)h->pid);
	if (stat(path, &st))
		return errno != ENOENT ? err_setf(reterr, -errno, "the standard output of process %d is for its own user and root to write to: "
						  "name a file", (int)h->pid) : err_setf(reterr, -ENOENT, "process %d has no standard output: name a file", (int)h->pid);
	o->is_socket = S_ISSOCK(st.st_mode);
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
		o->fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	o->is_own = o->fd >= 0;
	if (o->fd < 0)
		o->fd = (int)syscall(SYS_pidfd_getfd, h->pidfd, 1, 0);
	if (o->fd < 0)
		return err_setf(reterr, -errno, "cannot write to the standard output of process %d: %s; name a file", (int)h->pid,
				strerror(errno));
	return 0;
}

int tracer_out_open(const struct tracer_host *h, const char *path, struct tracer_out **ret, struct err *reterr)
{
	struct tracer_out *o = calloc(1, sizeof(*o));
	if (!o)
		return err_setf(reterr, -ENOMEM, "out of memory");
	o->fd = -1;
	int r = path ? open_path(o, path, reterr) : open_stdout(o, h, reterr);
	if (r)
		tracer_out_close(o);
	else
		*ret = o;
	return r;
}

void tracer_out_close(struct tracer_out *o)
{
	if (!o)
		return;
	if (o->stream)
		fclose(o->stream);
	if (o->fd >= 0)
		close(o->fd);
	free(o);
}

static ssize_t put_some(struct tracer_out *o, const char *text, size_t bytes)
{
	struct pollfd p = { .fd = o->fd, .events = POLLOUT };
	size_t n = bytes < CHUNK || o->is_own ? bytes : CHUNK;
	if (o->is_socket)
		return send(o->fd, text, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (!o->is_own && poll(&p, 1, 0) != 1)
		return -1;
	return write(o->fd, text, n);
}

void tracer_out_put(struct tracer_out *o, const char *text, size_t bytes)
{
	size_t done = 0;
	if (o->cut && put_some(o, "\n", 1) != 1) {
		o->lost++;
		return;
	}
	o->cut = false;
	while (done < bytes) {
		ssize_t n = put_some(o, text + done, bytes - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done == bytes)
		return;
	o->lost++;
	o->cut = done > 0;
}

static ssize_t stream_write(void *cookie, const char *buf, size_t size)
{
	tracer_out_put(cookie, buf, size);
	return (ssize_t)size;
}

FILE *tracer_out_stream(struct tracer_out *o)
{
	static const cookie_io_functions_t io = { .write = stream_write };
	if (o->stream)
		return o->stream;
	o->stream = fopencookie(o, "w", io);
	if (o->stream)
		setvbuf(o->stream, NULL, _IOLBF, 0);
	return o->stream;
}

uint64_t tracer_out_lost(const struct tracer_out *o) { return o->lost; }
