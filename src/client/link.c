/* SPDX-License-Identifier: MIT */
/* Messages to and from the daemon. */
#include "client/client_int.h"

#include "host/host.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int client_fail(struct client *c, int code, struct err *reterr, const char *fmt, ...)
{
	va_list ap;
	if (!c->broken) {
		va_start(ap, fmt);
		vsnprintf(c->why, sizeof(c->why), fmt, ap);
		va_end(ap);
		c->broken = code;
	}
	return err_setf(reterr, c->broken, "%s", c->why);
}

/* A refusal that waits to be read says more than the error of who writes to a closed socket. */
static int hung_up(struct client *c, struct err *reterr)
{
	enum proto_type type;
	struct proto_in in;
	int rc = 0;
	while (!rc)
		rc = client_recv(c, 0, &type, &in, reterr);
	return rc == -EAGAIN ? client_fail(c, -ECONNRESET, reterr, "dyntraced is gone") : rc;
}

int client_send(struct client *c, struct err *reterr)
{
	if (c->broken)
		return client_fail(c, c->broken, reterr, " ");
	if (c->out.bad)
		return client_fail(c, -ENOMEM, reterr, "out of memory");
	for (size_t done = 0; done < c->out.cnt;) {
		ssize_t n = send(c->fd, c->out.p + done, c->out.cnt - done, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return hung_up(c, reterr);
		done += (size_t)n;
	}
	return 0;
}

/* All of @bytes; a message that began to come does come. */
static int read_all(struct client *c, uint8_t *p, size_t bytes, struct err *reterr)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n = host_recv_fds(c->fd, p + done, bytes - done, c->fds, ARRAY_CNT(c->fds), &c->fd_cnt, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return client_fail(c, -ECONNRESET, reterr, "dyntraced has ended");
		done += (size_t)n;
	}
	return 0;
}

static int wait_readable(struct client *c, int64_t timeout_ns, struct err *reterr)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	struct timespec ts = { .tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000 };
	int n = ppoll(&p, 1, timeout_ns < 0 ? NULL : &ts, NULL);
	if (n < 0)
		return err_setf(reterr, -errno, "%s", strerror(errno));
	return n ? 0 : err_setf(reterr, -EAGAIN, "dyntraced says nothing");
}

static int refused(struct client *c, struct proto_in *in, struct err *reterr)
{
	struct proto_said s;
	if (proto_said_decode(in, &s, NULL))
		return client_fail(c, -EPROTO, reterr, "dyntraced refuses");
	int rc = client_fail(c, s.code < 0 ? s.code : -EPERM, reterr, "%s", s.text);
	free(s.text);
	return rc;
}

int client_recv(struct client *c, int64_t timeout_ns, enum proto_type *ret_type, struct proto_in *ret, struct err *reterr)
{
	uint8_t head[PROTO_HEAD_BYTES];
	struct proto_head h;
	struct err e;
	if (c->broken)
		return client_fail(c, c->broken, reterr, " ");
	int rc = wait_readable(c, timeout_ns, reterr);
	rc = rc ? rc : read_all(c, head, sizeof(head), reterr);
	if (rc)
		return rc;
	if (proto_head_decode(head, false, &h, &e))
		return client_fail(c, -EPROTO, reterr, "dyntraced sends something that this version does not understand");
	if (h.bytes > c->cap) {
		uint8_t *more = realloc(c->buf, h.bytes);
		if (!more)
			return client_fail(c, -ENOMEM, reterr, "out of memory");
		c->buf = more;
		c->cap = h.bytes;
	}
	rc = read_all(c, c->buf, h.bytes, reterr);
	if (rc)
		return rc;
	*ret_type = (enum proto_type)h.type;
	*ret = (struct proto_in){ .p = c->buf, .left = h.bytes };
	return h.type == PROTO_REFUSED ? refused(c, ret, reterr) : 0;
}

static int keep(struct client *c, enum proto_type type, const struct proto_in *in, struct err *reterr)
{
	struct client_msg *m = malloc(sizeof(*m) + in->left);
	if (!m)
		return client_fail(c, -ENOMEM, reterr, "out of memory");
	*m = (struct client_msg){ .type = type, .bytes = in->left };
	if (in->left)
		memcpy(m->data, in->p, in->left);
	*c->end = m;
	c->end = &m->next;
	return 0;
}

int client_await(struct client *c, enum proto_type want, struct proto_in *ret, struct err *reterr)
{
	enum proto_type type;
	for (;;) {
		int rc = client_recv(c, -1, &type, ret, reterr);
		if (rc == -EINTR)
			continue; /* the signal is noted by who waits for it */
		if (rc || type == want)
			return rc;
		rc = keep(c, type, ret, reterr);
		if (rc)
			return rc;
	}
}
