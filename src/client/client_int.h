/* SPDX-License-Identifier: MIT */
#ifndef CLIENT_INT_H
#define CLIENT_INT_H

#include "client/client.h"

/* A message that came while another one was waited for. */
struct client_msg {
	struct client_msg *next;
	enum proto_type type;
	size_t bytes;
	uint8_t data[];
};
struct client_sym {
	struct client_sym *next; /* same bucket */
	uint32_t proc;
	uint64_t addr;
	struct proto_symbol sym;
};
#define CLIENT_SYMS 4096u /* buckets */
struct client {
	int fd;
	struct proto_out out;
	uint8_t *buf;          /* the message that came last; owned */
	size_t cap;
	int fds[2];            /* that came with it */
	uint32_t fd_cnt;
	struct client_msg *first, **end;
	uint32_t rights;       /* enum proto_right */
	int broken;            /* 0, or what ended it */
	bool gave_up;          /* what ended it was our patience */
	char why[ERR_MSG_MAX];
	struct proto_armed armed;
	struct wire_shm *shm;
	uint64_t shm_bytes;
	struct proto_tail tails[PROTO_TAILS];
	uint32_t tail_cnt;
	struct client_sym *syms[CLIENT_SYMS];
};

/* link.c */
void client_link_init(struct client *); /* of a new socket */
int client_fail(struct client *, int code, struct err *reterr, const char *fmt, ...) PRINTF_LIKE(4, 5);
int client_send(struct client *, struct err *reterr); /* client->out */
/* The next message from the daemon. -EAGAIN: none in time; -EINTR. REFUSED is an error. */
int client_recv(struct client *, int64_t timeout_ns, enum proto_type *ret_type, struct proto_in *ret, struct err *reterr);
/* Waits for a message of @type; others are kept for client_wait(). */
int client_await(struct client *, enum proto_type type, struct proto_in *ret, struct err *reterr);
/* map.c */
int client_map(struct client *, struct err *reterr);
void client_set_page(struct client *, const uint8_t *page); /* the head, as it is now */

#endif
