/* SPDX-License-Identifier: MIT */
/* Requests to a keeper. */
#include "cli/keeper/keeper_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORDS_MAX 256
#define PATIENCE_S 2 /* with one that asks and does not go on */

struct request {
	int fd, argc;
	char *buf, *argv[WORDS_MAX + 1];
	const char *cwd;
};

static bool is_ours(int fd)
{
	struct ucred c;
	socklen_t n = sizeof(c);
	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n) && (c.uid == geteuid() || !c.uid);
}

static bool read_request(struct request *rq)
{
	struct keep_head h;
	if (keep_read(rq->fd, &h, sizeof(h)) || h.magic != KEEP_MAGIC || !h.bytes || h.bytes > KEEP_WORDS_MAX)
		return false;
	rq->buf = calloc(1, h.bytes + 1ul);
	if (!rq->buf || keep_read(rq->fd, rq->buf, h.bytes) || rq->buf[h.bytes - 1])
		return false;
	rq->cwd = rq->buf;
	for (char *w = rq->buf + strlen(rq->buf) + 1; w < rq->buf + h.bytes && rq->argc < WORDS_MAX; w += strlen(w) + 1)
		rq->argv[rq->argc++] = w;
	return rq->argc > 0;
}

static int list(struct keeper *k, const struct request *rq, FILE *out)
{
	bool all = false, json = false;
	for (int i = 1; i < rq->argc; i++) {
		all |= !strcmp(rq->argv[i], "-a");
		json |= !strcmp(rq->argv[i], "--json");
	}
	keeper_list(k, out, all, json);
	return 0;
}

static int attach(struct keeper *k, bool json, FILE *out, struct err *reterr)
{
	int r = keeper_attach(k, reterr);
	if (!r && json)
		keeper_list(k, out, true, true);
	return r;
}

static int perform(struct keeper *k, const struct request *rq, FILE *out, struct err *reterr)
{
	const char *verb = rq->argv[0];
	bool json = !strcmp(rq->argv[rq->argc - 1], "--json");
	if (!strcmp(verb, "attach")) {
		k->stays = true;
		return attach(k, json, out, reterr);
	}
	if (!strcmp(verb, "add"))
		return keeper_add(k, rq->argc - 1, (char **)rq->argv + 1, out, reterr);
	if (!strcmp(verb, "rm") && rq->argc == 2 + json)
		return keeper_remove(k, rq->argv[1], out, json, reterr);
	if (!strcmp(verb, "list-tracepoints"))
		return list(k, rq, out);
	if (!strcmp(verb, "detach"))
		return keeper_detach(k, out, json, reterr);
	return err_setf(reterr, -EINVAL, "the keeper knows no %s", verb);
}

/* What was said on standard error since the last request. */
static void answer(struct request *rq, int status, const char *out, size_t bytes, const char *err)
{
	struct keep_head h = { KEEP_MAGIC, status, (uint32_t)bytes, err ? (uint32_t)strlen(err) : 0 };
	if (!keep_write(rq->fd, &h, sizeof(h)) && !keep_write(rq->fd, out, bytes) && err)
		keep_write(rq->fd, err, h.err_bytes);
}

static void serve(struct keeper *k, struct request *rq)
{
	char *text = NULL, *said;
	size_t bytes = 0;
	struct err e;
	FILE *out = open_memstream(&text, &bytes);
	if (!out)
		return;
	keeper_relay(k);
	if (chdir(rq->cwd))
		cli_error("cannot go to %s: %s", rq->cwd, strerror(errno));
	int r = perform(k, rq, out, &e);
	if (r < 0)
		cli_error("%s", e.msg);
	fclose(out);
	said = keeper_take_messages();
	answer(rq, r < 0 ? CLI_ERROR : CLI_OK, text, bytes, said);
	free(said);
	free(text);
	if (chdir("/"))
		k->ends = true;
}

bool keeper_serve(struct keeper *k)
{
	struct timeval patience = { .tv_sec = PATIENCE_S };
	struct request rq = { .fd = accept4(k->listener, NULL, NULL, SOCK_CLOEXEC) };
	if (rq.fd < 0)
		return false;
	setsockopt(rq.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(rq.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (is_ours(rq.fd) && read_request(&rq))
		serve(k, &rq);
	free(rq.buf);
	close(rq.fd);
	return true;
}
