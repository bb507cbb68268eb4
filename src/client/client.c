/* SPDX-License-Identifier: MIT */
#include "client/client_int.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int no_connection(int code, const char *path, struct err *reterr)
{
	struct stat st;
	struct group *g = code == -EACCES && !stat(path, &st) ? getgrgid(st.st_gid) : NULL;
	const char *name = g && st.st_gid ? g->gr_name : "dyntrace";
	if (code == -EACCES)
		return err_setf(reterr, code, PROTO_NO_MEMBER, name, name);
	if (code == -ENOENT || code == -ECONNREFUSED)
		return err_setf(reterr, code, "dyntraced does not run (nobody listens at %s)", path);
	return err_setf(reterr, code, "cannot connect to dyntraced at %s: %s", path, strerror(-code));
}

static int greet(struct client *c, struct err *reterr)
{
	const uint64_t hello[] = { PROTO_MAGIC, PROTO_VERSION };
	uint64_t v[PROTO_WORDS];
	struct proto_in in;
	proto_words_encode(&c->out, PROTO_HELLO, hello);
	int rc = client_send(c, reterr);
	rc = rc ? rc : client_await(c, PROTO_WELCOME, &in, reterr);
	rc = rc ? rc : proto_words_decode(&in, PROTO_WELCOME, v, reterr);
	if (!rc && v[0] != PROTO_VERSION)
		rc = client_fail(c, -EPROTO, reterr, "dyntraced speaks another version of the protocol: install the same version of both");
	c->rights = rc ? 0 : (uint32_t)v[1];
	return rc;
}

int client_open(const char *path, struct client **ret, struct err *reterr)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *env = getenv("DYNTRACED_SOCKET");
	path = path ? path : env && *env ? env : PROTO_SOCKET;
	if (snprintf(a.sun_path, sizeof(a.sun_path), "%s", path) >= (int)sizeof(a.sun_path))
		return no_connection(-ENAMETOOLONG, path, reterr);
	struct client *c = calloc(1, sizeof(*c));
	if (!c)
		return err_setf(reterr, -ENOMEM, "out of memory");
	c->end = &c->first;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof(a)) ? no_connection(-errno, path, reterr) : 0;
	if (!rc)
		client_link_init(c); /* not sooner: there may be a queue */
	rc = rc ? rc : greet(c, reterr);
	if (rc)
		client_close(c);
	else
		*ret = c;
	return rc;
}

#define END_S 5

/* Its worker disarms when we go: who comes next, with the same process, is not to find it there. */
static void await_end(int fd)
{
	char junk[4096];
	struct timeval patience = { .tv_sec = END_S };
	if (shutdown(fd, SHUT_WR) || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		return;
	for (ssize_t n = 1; n > 0 || (n < 0 && errno == EINTR);)
		n = recv(fd, junk, sizeof(junk), 0);
}

void client_close(struct client *c)
{
	if (!c)
		return;
	if (c->fd >= 0) {
		if (!c->gave_up)
			await_end(c->fd);
		close(c->fd);
	}
	for (uint32_t i = 0; i < c->fd_cnt; i++)
		close(c->fds[i]);
	for (struct client_msg *m = c->first, *next; m; m = next) {
		next = m->next;
		free(m);
	}
	for (uint32_t i = 0; i < CLIENT_SYMS; i++)
		for (struct client_sym *s = c->syms[i], *next; s; s = next) {
			next = s->next;
			proto_symbol_deinit(&s->sym);
			free(s);
		}
	if (c->shm)
		munmap(c->shm, c->shm_bytes);
	proto_out_deinit(&c->out);
	free(c->buf);
	free(c);
}

uint32_t client_rights(const struct client *c) { return c->rights; }
struct wire_shm *client_shm(struct client *c) { return c->shm; }
const struct proto_armed *client_armed(const struct client *c) { return &c->armed; }

int client_start(struct client *c, const struct proto_start *s, struct proto_matched *ret, struct err *reterr)
{
	struct proto_in in;
	if (!proto_start_encode(&c->out, s))
		return client_fail(c, -E2BIG, reterr, "the script is too large for dyntraced");
	int rc = client_send(c, reterr);
	rc = rc ? rc : client_await(c, PROTO_MATCHED, &in, reterr);
	rc = rc ? rc : proto_matched_decode(&in, ret, reterr);
	if (!rc && ret->cnt != s->desc_cnt) {
		proto_matched_deinit(ret);
		rc = client_fail(c, -EPROTO, reterr, "dyntraced answers something else than it was asked");
	}
	return rc;
}

int client_arm(struct client *c, struct err *reterr)
{
	struct proto_in in;
	proto_words_encode(&c->out, PROTO_ARM, NULL);
	int rc = client_send(c, reterr);
	rc = rc ? rc : client_await(c, PROTO_ARMED, &in, reterr);
	rc = rc ? rc : proto_armed_decode(&in, &c->armed, reterr);
	return rc ? rc : client_map(c, reterr);
}

static int decode_event(struct client *c, enum proto_type type, struct proto_in *in, struct client_event *ret, struct err *reterr)
{
	ret->type = type;
	switch (type) {
	case PROTO_MATCHED:
		return proto_matched_decode(in, &ret->matched, reterr);
	case PROTO_SAY:
		return proto_said_decode(in, &ret->said, reterr);
	case PROTO_EVENT: case PROTO_RUNG:
		return proto_words_decode(in, type, ret->words, reterr);
	default:
		return client_fail(c, -EPROTO, reterr, "dyntraced answers what nobody asked (%s)", proto_name(type));
	}
}

void client_event_deinit(struct client_event *e)
{
	if (e->type == PROTO_MATCHED)
		proto_matched_deinit(&e->matched);
	else if (e->type == PROTO_SAY)
		free(e->said.text);
	*e = (struct client_event){ 0 };
}

static int take_kept(struct client *c, struct client_event *ret, struct err *reterr)
{
	struct client_msg *m = c->first;
	struct proto_in in = { .p = m->data, .left = m->bytes };
	int rc = decode_event(c, m->type, &in, ret, reterr);
	c->first = m->next;
	if (!c->first)
		c->end = &c->first;
	free(m);
	return rc;
}

int client_wait_kept(struct client *c, struct client_event *ret)
{
	*ret = (struct client_event){ 0 };
	return c->first ? take_kept(c, ret, NULL) : -EAGAIN;
}

int client_wait(struct client *c, uint64_t timeout_ns, struct client_event *ret, struct err *reterr)
{
	enum proto_type type;
	struct proto_in in;
	*ret = (struct client_event){ 0 };
	if (c->first)
		return take_kept(c, ret, reterr);
	int rc = client_recv(c, (int64_t)timeout_ns, &type, &in, reterr);
	return rc == -EAGAIN && !c->broken ? 0 : rc ? rc : decode_event(c, type, &in, ret, reterr);
}

int client_points(struct client *c, const struct proto_points *p, struct proto_pointed *ret, struct err *reterr)
{
	struct proto_in in;
	if (!proto_points_encode(&c->out, p))
		return err_setf(reterr, -E2BIG, "there are too many tracepoints for dyntraced");
	int rc = client_send(c, reterr);
	rc = rc ? rc : client_await(c, PROTO_POINTED, &in, reterr);
	rc = rc ? rc : proto_pointed_decode(&in, ret, reterr);
	if (rc)
		return rc;
	client_set_page(c, ret->page);
	ret->page = NULL;
	return 0;
}

int client_stop(struct client *c, struct err *reterr)
{
	struct proto_in in;
	struct proto_said s;
	client_tails_flush(c);
	proto_words_encode(&c->out, PROTO_STOP, NULL);
	int rc = client_send(c, reterr);
	rc = rc ? rc : client_await(c, PROTO_STOPPED, &in, reterr);
	rc = rc ? rc : proto_said_decode(&in, &s, reterr);
	if (rc)
		return rc;
	if (s.code)
		rc = err_setf(reterr, s.code, "%s", s.text);
	free(s.text);
	return rc;
}
