/* SPDX-License-Identifier: MIT */
/* The session's memory, and over it what targets never have: its head, and the area of the tool's own probes. */
#include "client/client_int.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int no_map(struct client *c, struct err *reterr)
{
	return client_fail(c, -errno, reterr, "cannot map the session's memory: %s", strerror(errno));
}

void client_set_page(struct client *c, const uint8_t *page)
{
	if (mprotect(c->shm, PROTO_PAGE, PROT_READ | PROT_WRITE))
		return;
	memcpy(c->shm, page, PROTO_PAGE);
	mprotect(c->shm, PROTO_PAGE, PROT_READ);
}

int client_map(struct client *c, struct err *reterr)
{
	const struct proto_armed *a = &c->armed;
	if (c->fd_cnt != 2)
		return client_fail(c, -EPROTO, reterr, "dyntraced did not give its memory");
	uint8_t *p = mmap(NULL, a->bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, c->fds[0], 0);
	if (p == MAP_FAILED)
		return no_map(c, reterr);
	c->shm = (struct wire_shm *)p;
	c->shm_bytes = a->bytes;
	if (mmap(p + a->own_off, a->own_bytes, PROT_READ, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, c->fds[1], (off_t)a->own_off) == MAP_FAILED ||
	    mmap(p, PROTO_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return no_map(c, reterr);
	client_set_page(c, a->page);
	close(c->fds[0]);
	close(c->fds[1]);
	c->fd_cnt = 0;
	if (c->shm->magic != WIRE_MAGIC || c->shm->version != WIRE_VERSION || c->shm->bytes != a->bytes)
		return client_fail(c, -EPROTO, reterr, "dyntraced is of another version: install the same version of both");
	return 0;
}
