/* SPDX-License-Identifier: MIT */
/* Messages to and from the daemon. */
#include "client/client_int.h"

#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
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

#define STEP_MS 100 /* patience is asked for so often */

static client_patience_fn *patience;

void client_set_patience(client_patience_fn *fn) { patience = fn; }

void client_link_init(struct client *c)
{
	struct timeval step = { .tv_usec = STEP_MS * 1000 };
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &step, sizeof(step));
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &step, sizeof(step));
}

/* The one that listens, if it is stopped, or 0: who stops dyntraced stops all of it. */
static pid_t who_is_stopped(const struct client *c)
{
	struct ucred who;
	socklen_t bytes = sizeof(who);
	char path[64], text[256], *end;
	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &who, &bytes))
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)who.pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	end = strrchr(text, ')');
	return end && end[1] == ' ' && end[2] == 'T' ? who.pid : 0;
}

/* A step without an answer, or a signal: whether to go on. */
static int go_on(struct client *c, uint64_t since_ns, struct err *reterr)
{
	pid_t stopped = patience ? who_is_stopped(c) : 0;
	if (!patience || !patience(host_now_ns() - since_ns, stopped))
		return 0;
	c->gave_up = true;
	return client_fail(c, -ETIMEDOUT, reterr, "dyntraced does not answer%s: probes that it placed for this it takes away when it goes on",
			   stopped ? ", since it is stopped (SIGSTOP)" : "");
}

static bool is_step(ssize_t n) { return n < 0 && (errno == EINTR || errno == EAGAIN); }

int client_send(struct client *c, struct err *reterr)
{
	if (c->broken)
		return client_fail(c, c->broken, reterr, " ");
	if (c->out.bad)
		return client_fail(c, -ENOMEM, reterr, "out of memory");
	uint64_t since = host_now_ns();
	for (size_t done = 0; done < c->out.cnt;) {
		ssize_t n = send(c->fd, c->out.p + done, c->out.cnt - done, MSG_NOSIGNAL);
		int rc = is_step(n) ? go_on(c, since, reterr) : n < 0 ? hung_up(c, reterr) : 0;
		if (rc)
			return rc;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* All of @bytes; a message that began to come does come. */
static int read_all(struct client *c, uint8_t *p, size_t bytes, struct err *reterr)
{
	uint64_t since = host_now_ns();
	for (size_t done = 0; done < bytes;) {
		ssize_t n = host_recv_fds(c->fd, p + done, bytes - done, c->fds, ARRAY_CNT(c->fds), &c->fd_cnt, 0);
		int rc = is_step(n) ? go_on(c, since, reterr) : n <= 0 ? client_fail(c, -ECONNRESET, reterr, "dyntraced has ended") : 0;
		if (rc)
			return rc;
		done += n > 0 ? (size_t)n : 0;
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
	uint64_t since = host_now_ns();
	for (;;) {
		int rc = client_recv(c, STEP_MS * 1000000, &type, ret, reterr);
		if ((rc == -EINTR || rc == -EAGAIN) && !c->broken) { /* else the daemon's reason */
			rc = go_on(c, since, reterr);
			if (rc)
				return rc;
			continue;
		}
		if (rc || type == want)
			return rc;
		rc = keep(c, type, ret, reterr);
		if (rc)
			return rc;
	}
}
