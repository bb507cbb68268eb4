/* SPDX-License-Identifier: MIT */
/*
 * daemon: dyntraced.  See docs/adr/0017-the-daemon.md.
 *
 *   main ---- accepts, looks who it is, forks ----> worker: one client, its session
 *     |                                               |
 *     +-- a worker died: forks a process that repairs what its notes name <-- notes in targets/
 */
#ifndef DAEMON_INT_H
#define DAEMON_INT_H

#include "aim/aim.h"
#include "ir/ir.h"
#include "probe/probe.h"
#include "proto/proto.h"
#include "session/session.h"

#include <sys/types.h>

/* ---- conf.c: dyntraced.conf ---- */

struct conf {
	char group[64];
	bool own_only;       /* processes = own */
	bool destructive;
	int kernel;          /* 1, 0; -1: not said: where any process may be traced */
	uint64_t memory_max; /* bytes of a session */
	uint64_t probe_max;  /* places of a session */
	uint32_t client_max, client_max_each; /* at a time; of a user */
};
void conf_init(struct conf *);
/* One line of it; 0 or -EINVAL with what is wrong. */
int conf_line(struct conf *, char *line, struct err *reterr);
/* -ENOENT only where @must. */
int conf_read(struct conf *, const char *path, bool must, struct err *reterr);
bool conf_kernel(const struct conf *);

/* ---- log.c: syslog, and the terminal while there is one ---- */

void log_open(bool terminal);
void log_sayf(int priority, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- peer.c ---- */

struct peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	char name[64]; /* of the user */
};
int peer_of(int fd, struct peer *, struct err *reterr);
/* root, or in @group (-1: there is none): by the process's own groups or the database. */
bool peer_is_member(int fd, const struct peer *, gid_t group);
/* Whose a process is: its user IDs (credentials(7)), and whose its memory is. */
struct owner {
	unsigned uid[4];
	uid_t mem;
};
bool peer_owner(pid_t pid, struct owner *ret); /* false: it is gone */
/* Whether it may trace process @pid, as things are now. 0 or -EPERM, -ESRCH. */
int peer_may_trace(const struct peer *, const struct conf *, pid_t pid, struct err *reterr);

/* ---- notes.c: which worker has touched which process ---- */

int notes_init(const char *run_dir, struct err *reterr); /* the folder */
int notes_add(pid_t worker, pid_t target, struct err *reterr);
void notes_remove(pid_t worker, pid_t target);
/* Repairs what notes of the workers that @which says name, and removes those that are settled; takes time. @again: that was
 * tried before, so that it goes on failing is not worth a word. */
typedef bool notes_which_fn(const void *arg, pid_t worker);
void notes_repair(notes_which_fn *which, const void *arg, bool again);
bool notes_any(notes_which_fn *which, const void *arg);

/* ---- offers.c: programs that offered themselves ---- */

int offers_open(const char *run_dir, struct err *reterr); /* the socket, and a folder with a file for each */
void offers_close(void);
/* Becomes readable when offers_hear() has something to do, which never waits, and leaves a flood for the next time.
 * It wants to be called after offers_wait_ms() (-1: never), too. */
int offers_poll_fd(void);
int offers_wait_ms(void);
void offers_hear(void);
/* Around a fork: a pair before it, then one of these in each of the two. */
void offers_pair(int ret[2]);
void offers_parent(int pair[2], pid_t child);
void offers_child(int pair[2]);
/* In a child: the connection to process @pid, for as long as the child lives; the caller closes ret->sock.
 * -ESRCH: it has not offered itself; -EBUSY: another has it. */
int offers_borrow(pid_t pid, struct session_offer *ret, struct err *reterr);

/* ---- notify.c: systemd's protocols (sd_notify(3), sd_listen_fds(3)) ---- */

void notify_say(const char *state);
int notify_listen_fd(void); /* -1: none was passed */

/* ---- io.c: messages ---- */

struct io {
	int fd;
	uint8_t *buf;      /* of what comes; owned */
	size_t cnt, cap;
	bool done;         /* io_next() gave it */
	uint64_t since_ns; /* when an incomplete message began to come; 0: there is none */
	struct proto_out out;
};
void io_deinit(struct io *);
/* The next message: 1; 0: none yet; -EPROTO, -ETIMEDOUT (it comes too slowly), -ECONNRESET (the client is gone), -ENOMEM. */
int io_next(struct io *, enum proto_type *ret_type, struct proto_in *ret, struct err *reterr);
/* Sends io->out, with descriptors. -ETIMEDOUT: the client does not read. */
int io_send(struct io *, const int *fds, uint32_t fd_cnt);
bool io_is_idle(const struct io *); /* whether the client has read all it was told */

/* ---- worker.c ---- */

struct run_target {
	pid_t pid;
	int pidfd;
	uint32_t proc;
	bool is_new, starting, gone;
	bool is_child; /* is_new is the client's word; this is looked at */
	bool exe_known;
	uint64_t exe[2]; /* device and inode of its program when it was attached */
	pid_t root;   /* of a followed program: the process whose probes it has */
	struct obj_proc *obj;
};
enum worker_state { WORKER_NEW, WORKER_GREETED, WORKER_MATCHED, WORKER_RUNS, WORKER_STOPPED };
struct worker {
	const struct conf *conf;
	struct peer peer;
	struct io io;
	enum worker_state state;
	uint64_t since_ns;      /* in this state */
	uint8_t *start_bytes;   /* the request, which req points into; owned */
	struct proto_start req;
	struct ir_image image;
	struct owner owner;     /* of all processes of the session, where the client is not root */
	bool has_owner;
	struct aim_exe exe;     /* whose processes are traced as they come; its inode 0: none */
	uint32_t exe_said;      /* that one is not traced */
	struct session_worlds worlds;
	bool watches;
	struct session *session;
	struct aim aim;
	struct points *points;
	struct run_target *targets;
	uint32_t target_cnt;
	uint32_t *match_cnts;   /* [req.desc_cnt] */
	uint32_t bad;           /* description */
	int bad_code;
	char bad_why[ERR_MSG_MAX];
	uint64_t *folded;       /* [thread_cnt] incarnation + 1 of what the client has folded */
	uint64_t next_reap_ns, next_limit_ns;
	bool hot;               /* the client talks */
	uint64_t hot_ns;
	struct looks {
		struct looked_at {
			pid_t pid;
			bool refused;
		} at[64];       /* noted, the last ones */
		uint32_t next;
		uint64_t note_ns, look_ns; /* look_pace() */
		uint64_t running_ns;
	} looks;
	uint64_t rung;          /* enum proto_rung that it has not been told yet */
};
/* Serves the client at @fd; the process ends. */
_Noreturn void worker_main(const struct conf *, const struct peer *, int fd);
int worker_sayf(struct worker *, const char *fmt, ...) PRINTF_LIKE(2, 3);
int worker_tell(struct worker *, struct err *reterr); /* io.out; -ECONNRESET: the client does not read */

/* request.c: START */
int request_start(struct worker *, struct proto_in *, struct err *reterr);
void request_deinit(struct worker *);
struct session_desc *request_descs(const struct worker *); /* malloc'ed; NULL: no memory */
/* One of those that were running is another program than when it was attached: the client should ask again. */
bool request_is_stale(const struct worker *);
/* Whether what @image does is permitted. */
int request_check_rights(const struct worker *, const struct ir_image *, struct err *reterr);
/* Whether the client may have it in the session, as things are now. 0 or -EPERM, -ESRCH. */
int request_may(const struct worker *, pid_t pid, struct err *reterr);
int request_note(struct worker *, pid_t pid, struct err *reterr);
void request_log(const struct worker *, pid_t pid, int rc, const struct err *);

/* exe.c: processes of an executable */
int exe_running(struct worker *, struct proto_in *, struct err *reterr);
int exe_look(struct worker *, struct err *reterr); /* those that came are traced */
/* One of them that cannot be traced: the client hears of the first few. */
void exe_skipped(struct worker *, pid_t pid, const struct err *why);

/* match.c */
int run_match_all(struct worker *, struct err *reterr);
int run_arm_new(struct worker *, struct err *reterr);
struct run_target *run_target_by_proc(struct worker *, uint32_t proc);
struct run_target *run_target_add(struct worker *, pid_t pid, uint32_t proc);
void run_target_stop(const struct run_target *); /* a child of the client that is_new; SIGCONT is the client's */

/* told.c: messages of the client once it has a session. 0, or an error that ends it. */
int told(struct worker *, enum proto_type, struct proto_in *, struct err *reterr);
int look(struct worker *, struct proto_in *, struct err *reterr); /* look.c */
/* Who goes on faster has to wait, but for the first few; *@due is when the next one would come at the pace of @step_ns. */
void look_pace(uint64_t *due, uint64_t step_ns, uint32_t at_once);
/* points.c */
int points(struct worker *, struct proto_in *, struct err *reterr);
void points_deinit(struct worker *);
void points_followed(struct worker *, struct run_target *); /* a program that is followed, or more of its modules */
/* events.c */
int event_handle(struct worker *, enum session_event, uint32_t proc, int status, struct err *reterr);
int event_send_matched(struct worker *, uint32_t proc);
int event_send(struct worker *, enum proto_event, const struct run_target *, int status, struct err *reterr);

#endif
