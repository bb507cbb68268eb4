/* SPDX-License-Identifier: MIT */
/* What only the daemon may open.  One connection serves many looks. */
#include "client/client_int.h"

#include <errno.h>

static struct client *looker;
static bool is_hopeless; /* nobody is there, or does not want us */

void client_look_end(void)
{
	client_close(looker);
	looker = NULL;
	is_hopeless = false;
}

static int ask(pid_t pid, enum proto_look what, uint64_t start, uint64_t end)
{
	struct client *c = looker;
	struct proto_in in;
	uint64_t v[PROTO_WORDS];
	proto_words_encode(&c->out, PROTO_LOOK, (uint64_t[]){ (uint64_t)pid, what, start, end });
	int rc = client_send(c, NULL);
	rc = rc ? rc : client_await(c, PROTO_FILE, &in, NULL);
	rc = rc ? rc : proto_words_decode(&in, PROTO_FILE, v, NULL);
	if (rc || v[0] || !c->fd_cnt)
		return rc || !v[0] || v[0] > INT32_MAX ? -ECONNRESET : -(int)v[0];
	int fd = c->fds[--c->fd_cnt];
	return fd;
}

int client_look(pid_t pid, enum proto_look what, uint64_t start, uint64_t end)
{
	int fd = -ECONNRESET;
	/* Who had nothing to say for a while was let go of. */
	for (int i = 0; i < 2 && fd == -ECONNRESET && !is_hopeless; i++) {
		if (!looker && client_open(NULL, &looker, NULL)) {
			looker = NULL;
			is_hopeless = true;
			break;
		}
		fd = ask(pid, what, start, end);
		if (fd == -ECONNRESET) {
			client_close(looker);
			looker = NULL;
		}
	}
	return fd;
}

int client_running(uint64_t dev, uint64_t ino, pid_t **ret, uint32_t *ret_cnt, struct err *reterr)
{
	struct proto_in in;
	client_look_end(); /* a connection that was let go of would have to be told from one that is refused */
	int rc = client_open(NULL, &looker, reterr);
	if (rc) {
		looker = NULL;
		return rc;
	}
	proto_words_encode(&looker->out, PROTO_RUNNING, (uint64_t[]){ dev, ino });
	rc = client_send(looker, reterr);
	rc = rc ? rc : client_await(looker, PROTO_RUN, &in, reterr);
	return rc ? rc : proto_run_decode(&in, ret, ret_cnt, reterr);
}
