/* SPDX-License-Identifier: MIT */
/* Messages of one client.  Nothing here waits for it for long. */
#include "daemon/daemon_int.h"

#include "host/host.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#define SLOW_NS 10000000000ULL /* in which a message has to come, once it began */
#define SEND_NS 5000000000ULL
#define CHUNK 65536u

void io_deinit(struct io *io)
{
	free(io->buf);
	proto_out_deinit(&io->out);
	*io = (struct io){ .fd = -1 };
}

/* For @more bytes of a message of @bytes: memory is taken as content comes, not as it is announced. */
static int room(struct io *io, size_t more, size_t bytes)
{
	size_t cap = 2 * io->cap > io->cnt + more ? 2 * io->cap : io->cnt + more;
	if (io->cnt + more <= io->cap)
		return 0;
	uint8_t *p = realloc(io->buf, cap < bytes ? cap : bytes);
	if (!p)
		return -ENOMEM;
	io->buf = p;
	io->cap = cap < bytes ? cap : bytes;
	return 0;
}

/* Reads until there are @bytes in all. 1: there are. */
static int fill(struct io *io, size_t bytes, struct err *reterr)
{
	while (io->cnt < bytes) {
		size_t want = bytes - io->cnt < CHUNK ? bytes - io->cnt : CHUNK;
		if (room(io, want, bytes))
			return err_setf(reterr, -ENOMEM, "out of memory");
		/* Without room for control messages: descriptors that it sends are closed by the kernel. */
		ssize_t n = recv(io->fd, io->buf + io->cnt, want, MSG_DONTWAIT);
		if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
			return err_setf(reterr, -ECONNRESET, "the client is gone");
		if (n < 0)
			return 0;
		io->cnt += (size_t)n;
		if (!io->since_ns)
			io->since_ns = host_now_ns();
	}
	return 1;
}

int io_next(struct io *io, enum proto_type *ret_type, struct proto_in *ret, struct err *reterr)
{
	struct proto_head h = { 0 };
	if (io->done)
		io->cnt = 0;
	io->done = false;
	int rc = fill(io, PROTO_HEAD_BYTES, reterr);
	if (rc == 1)
		rc = proto_head_decode(io->buf, true, &h, reterr);
	else if (rc < 0)
		return rc;
	else
		h.bytes = 0;
	if (!rc && io->cnt >= PROTO_HEAD_BYTES)
		rc = fill(io, PROTO_HEAD_BYTES + h.bytes, reterr);
	if (!rc && io->since_ns && host_now_ns() - io->since_ns > SLOW_NS)
		return err_setf(reterr, -ETIMEDOUT, "a message comes too slowly");
	if (rc != 1)
		return rc;
	io->since_ns = 0;
	io->done = true;
	*ret_type = (enum proto_type)h.type;
	*ret = (struct proto_in){ .p = io->buf + PROTO_HEAD_BYTES, .left = h.bytes };
	return 1;
}

int io_send(struct io *io, const int *fds, uint32_t fd_cnt)
{
	uint64_t end = host_now_ns() + SEND_NS;
	if (io->out.bad)
		return -ENOMEM;
	for (size_t done = 0; done < io->out.cnt;) {
		ssize_t n = host_send_fds(io->fd, io->out.p + done, io->out.cnt - done, fds, done ? 0 : fd_cnt, MSG_DONTWAIT);
		if (n >= 0) {
			done += (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		struct pollfd p = { .fd = io->fd, .events = POLLOUT };
		poll(&p, 1, 100);
		if (host_now_ns() > end)
			return -ETIMEDOUT;
	}
	return 0;
}

bool io_is_idle(const struct io *io)
{
	int queued = 0;
	return !ioctl(io->fd, SIOCOUTQ, &queued) && !queued;
}
