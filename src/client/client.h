/* SPDX-License-Identifier: MIT */
/*
 * client: a session that dyntraced has for us.  Its memory is mapped for reading; what would be written goes there
 * as messages.  All calls come from one thread.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "proto/proto.h"
#include "wire/wire.h"

#include <sys/types.h>

struct client;

/* Connects.  @path NULL: $DYNTRACED_SOCKET, or the usual place.  -ENOENT, -ECONNREFUSED: nobody is there; -EACCES,
 * -EPERM: it does not want us; -EPROTO: it is of another version.  The message says what to do. */
int client_open(const char *path, struct client **ret, struct err *reterr);
/* The daemon disarms, if it has not yet: that is waited for, but where patience was lost. NULL is fine. */
void client_close(struct client *);

/* Asked now and then while an answer is waited for, or something can not yet be sent: how long that has been, and whether the daemon is
 * stopped (SIGSTOP): its number, or 0.  true: the connection is over, with -ETIMEDOUT.  NULL, as it is at first: all answers are waited for. */
typedef bool client_patience_fn(uint64_t waited_ns, pid_t stopped);
void client_set_patience(client_patience_fn *);

uint32_t client_rights(const struct client *); /* enum proto_right: what the daemon does for us */

/* Whether process @pid has offered itself to the daemon, as far as that says. */
bool client_has_offer(pid_t pid);

/* Asks for a session: *ret says what the descriptions found; nothing is armed. proto_matched_deinit() it. */
int client_start(struct client *, const struct proto_start *, struct proto_matched *ret, struct err *reterr);
/* Arms, fires BEGIN, lets all run. */
int client_arm(struct client *, struct err *reterr);
struct wire_shm *client_shm(struct client *); /* readable only; from client_arm() on */
const struct proto_armed *client_armed(const struct client *);

struct client_event {
	enum proto_type type; /* MATCHED, SAY, EVENT, RUNG; NONE: the time is over */
	struct proto_matched matched;
	struct proto_said said;
	uint64_t words[PROTO_WORDS]; /* of EVENT, RUNG */
};
void client_event_deinit(struct client_event *);
/* Waits at most @timeout_ns for something to happen.  -EINTR: a signal came; -ECONNRESET and others: it is over. */
int client_wait(struct client *, uint64_t timeout_ns, struct client_event *ret, struct err *reterr);
/* Something that happened while an answer was waited for; -EAGAIN: nothing. */
int client_wait_kept(struct client *, struct client_event *ret);
/* Disarms, fires END. What is recorded stays readable until client_close(). */
int client_stop(struct client *, struct err *reterr);

/* Tracepoints of a session that grows (PROTO_GROWS): *ret, which is to be deinitialised, but for its page. */
int client_points(struct client *, const struct proto_points *, struct proto_pointed *ret, struct err *reterr);

/* A file of a process that only its tracers may open, for reading: a descriptor, or -errno. Over a connection of its own,
 * which stays for the next one until client_look_end(). */
int client_look(pid_t pid, enum proto_look, uint64_t start, uint64_t end);
/* Processes that run a file, of those that the daemon would trace for us; over that connection, too.  *ret: malloc'ed. */
int client_running(uint64_t dev, uint64_t ino, pid_t **ret, uint32_t *ret_cnt, struct err *reterr);
void client_look_end(void);

/* ---- what struct consume_writer needs; errors show in client_wait() ---- */
void client_tail(struct client *, uint32_t slot, uint64_t pos);
void client_tails_flush(struct client *); /* after each drain */
void client_folded(struct client *, uint32_t slot, uint32_t incarnation);
void client_agg_gen(struct client *, uint32_t agg, uint32_t gen); /* done when it returns */
void client_aggs_read(struct client *);
void client_drains(struct client *); /* done when it returns */
void client_spec(struct client *, enum proto_spec_what, uint32_t id, uint64_t v);

/* A clause failed in a process: ERROR has fired when this returns. */
void client_error(struct client *, const uint64_t args[5]);
/* The symbol at @addr of process @proc; remembered. Valid until client_close(). */
const struct proto_symbol *client_symbol(struct client *, uint32_t proc, uint64_t addr);
uint32_t client_proc_of(struct client *, uint32_t pid); /* 0: it is gone */

#endif
