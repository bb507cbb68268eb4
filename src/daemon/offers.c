/* SPDX-License-Identifier: MIT */
/*
 * Programs that offer themselves (ADR 26).  The main process accepts their connections, asks the kernel who they are,
 * and lends them to its children, one at a time:
 *
 *	program --offers.sock--> main --pair of sockets--> worker, which talks to the program
 *
 * Of what a program says, the main process reads one number, which is taken for what it is: a claim.
 */
#include "daemon/daemon_int.h"

#include "host/host.h"
#include "wire/offer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define OFFERS_MAX 4096u
#define OFFERS_MAX_EACH 512u /* of a user who is not root */
#define ANSWER_MS 3000
/* Anybody may connect, as often as he can; what is done for that at a time, before signals and clients are looked at: */
#define ACCEPTS_MAX 64u
#define EVENTS_MAX 256u
#define GREET_NS 10000000000ull /* in which a program has to say hello */
#define PAUSE_NS 100000000ull   /* of the listener after what it could not accept */
#define BUSY_TRIES 100
#define BUSY_PAUSE_NS 10000000

enum end_kind { END_LISTEN, END_PROGRAM, END_CHILD };
struct end {
	enum end_kind kind;
	int fd;
	pid_t pid;        /* of the program; of the child */
	uid_t uid;
	pid_t tid;        /* 0: it has not said it yet */
	pid_t lent_to;    /* a child; 0: nobody */
	uint64_t due_ns;  /* when its hello must have come; when a listener goes on; 0: never */
	struct end *next;
};
struct answer {
	int32_t code;
	int32_t tid;
};

static struct end *ends;
static int epoll_fd = -1, folder = -1, own_end = -1; /* own_end: of a child, to the main process */
static char socket_path[108];
static uint32_t offers_max = OFFERS_MAX;

static void name_file(pid_t pid, char buf[16]) { snprintf(buf, 16, "%d", (int)pid); }

static bool offers_still(pid_t pid)
{
	for (const struct end *e = ends; e; e = e->next)
		if (e->kind == END_PROGRAM && e->pid == pid && e->tid)
			return true;
	return false;
}

static struct end *add_end(enum end_kind kind, int fd, pid_t pid)
{
	struct end *e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	*e = (struct end){ .kind = kind, .fd = fd, .pid = pid, .next = ends };
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = e };
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev)) {
		free(e);
		return NULL;
	}
	return ends = e;
}

static void give_back(pid_t child)
{
	for (struct end *e = ends; e; e = e->next)
		if (e->lent_to == child)
			e->lent_to = 0;
}

static void drop_end(struct end *gone)
{
	char name[16];
	for (struct end **at = &ends; *at; at = &(*at)->next)
		if (*at == gone) {
			*at = gone->next;
			break;
		}
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, gone->fd, NULL); /* a child may have it still */
	close(gone->fd);
	name_file(gone->pid, name);
	if (gone->kind == END_CHILD)
		give_back(gone->pid);
	else if (gone->tid && !offers_still(gone->pid))
		unlinkat(folder, name, 0);
	free(gone);
}

/* ---- programs ---- */

static bool has_room(uid_t uid)
{
	uint32_t all = 0, his = 0;
	for (const struct end *e = ends; e; e = e->next) {
		all += e->kind == END_PROGRAM;
		his += e->kind == END_PROGRAM && e->uid == uid;
	}
	return all < offers_max && (!uid || his < OFFERS_MAX_EACH);
}

static void hear_listener(struct end *e, bool yes)
{
	struct epoll_event ev = { .events = yes ? EPOLLIN : 0, .data.ptr = e };
	epoll_ctl(epoll_fd, EPOLL_CTL_MOD, e->fd, &ev);
	e->due_ns = yes ? 0 : host_now_ns() + PAUSE_NS;
}

static void add_program(int fd)
{
	struct ucred c;
	socklen_t len = sizeof(c);
	/* One from a pid namespace that is not ours has no number here. */
	bool known = !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len) && c.pid > 0;
	struct end *e = known && has_room(c.uid) ? add_end(END_PROGRAM, fd, c.pid) : NULL;
	if (!e) {
		close(fd);
		return;
	}
	e->uid = c.uid;
	e->due_ns = host_now_ns() + GREET_NS;
}

static void accept_programs(struct end *listener, uint32_t *left)
{
	for (; *left; --*left) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 && errno != EAGAIN)
			hear_listener(listener, false); /* they still wait: epoll would tell of it at once */
		if (fd < 0)
			return;
		add_program(fd);
	}
}

/* Its greeting; later it speaks to who asks it. */
static void hear_program(struct end *e, uint32_t events)
{
	struct wire_offer_hello h;
	struct epoll_event quiet = { .events = 0, .data.ptr = e }; /* its end is told in any case */
	char name[16];
	ssize_t n = e->tid ? -1 : recv(e->fd, &h, sizeof(h), MSG_DONTWAIT);
	bool good = n == sizeof(h) && h.magic == WIRE_OFFER_MAGIC && h.version == WIRE_OFFER_VERSION && h.tid > 0 && h.tid <= INT32_MAX;
	if (!good || events & (EPOLLHUP | EPOLLERR) || epoll_ctl(epoll_fd, EPOLL_CTL_MOD, e->fd, &quiet)) {
		drop_end(e);
		return;
	}
	e->tid = (pid_t)h.tid;
	e->due_ns = 0;
	name_file(e->pid, name);
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd >= 0)
		close(fd);
}

/* ---- children ---- */

static void answer(const struct end *child, const struct answer *a, int fd)
{
	if (host_send_fds(child->fd, a, sizeof(*a), &fd, fd >= 0, MSG_DONTWAIT) < 0)
		log_sayf(LOG_ERR, "cannot lend a connection: %s", strerror(errno));
}

/* The newest of a process: an older one is of who had its number before. */
static void lend(struct end *child, pid_t pid)
{
	struct answer a = { -ESRCH, 0 };
	struct end *e = ends;
	while (e && (e->kind != END_PROGRAM || e->pid != pid || !e->tid))
		e = e->next;
	if (e && e->lent_to && e->lent_to != child->pid) {
		a.code = -EBUSY;
		e = NULL;
	}
	if (e) {
		a = (struct answer){ 0, e->tid };
		e->lent_to = child->pid;
	}
	answer(child, &a, e ? e->fd : -1);
}

static void hear_child(struct end *e)
{
	int32_t pid;
	ssize_t n = recv(e->fd, &pid, sizeof(pid), MSG_DONTWAIT);
	if (n == sizeof(pid))
		lend(e, pid);
	else if (n >= 0 || (errno != EAGAIN && errno != EINTR))
		drop_end(e);
}

static void end_waits(void)
{
	uint64_t now = host_now_ns();
	for (struct end *e = ends, *next; e; e = next) {
		next = e->next;
		if (!e->due_ns || now < e->due_ns)
			continue;
		if (e->kind == END_LISTEN)
			hear_listener(e, true);
		else
			drop_end(e);
	}
}

int offers_wait_ms(void)
{
	uint64_t now = host_now_ns(), due = UINT64_MAX;
	for (const struct end *e = ends; e; e = e->next)
		due = e->due_ns && e->due_ns < due ? e->due_ns : due;
	return due == UINT64_MAX ? -1 : due <= now ? 0 : (int)((due - now) / 1000000) + 1;
}

void offers_hear(void)
{
	struct epoll_event ev; /* one at a time: what one does may end another */
	uint32_t accepts = ACCEPTS_MAX;
	end_waits();
	for (uint32_t i = 0; i < EVENTS_MAX && epoll_wait(epoll_fd, &ev, 1, 0) == 1; i++) {
		struct end *e = ev.data.ptr;
		if (e->kind == END_LISTEN)
			accept_programs(e, &accepts);
		else if (e->kind == END_PROGRAM)
			hear_program(e, ev.events);
		else
			hear_child(e);
	}
}

int offers_poll_fd(void)
{
	return epoll_fd;
}

void offers_pair(int ret[2])
{
	ret[0] = ret[1] = -1;
	if (epoll_fd >= 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret))
		log_sayf(LOG_ERR, "cannot make a pair of sockets: %s", strerror(errno));
}

void offers_parent(int pair[2], pid_t child)
{
	if (pair[1] >= 0)
		close(pair[1]);
	if (pair[0] >= 0 && (child <= 0 || !add_end(END_CHILD, pair[0], child)))
		close(pair[0]);
}

void offers_child(int pair[2])
{
	while (ends) {
		struct end *e = ends;
		ends = e->next;
		close(e->fd);
		free(e);
	}
	if (epoll_fd >= 0)
		close(epoll_fd);
	if (folder >= 0)
		close(folder);
	if (pair[0] >= 0)
		close(pair[0]);
	epoll_fd = folder = -1;
	own_end = pair[1];
}

/* ---- in a child ---- */

static int borrow(pid_t pid, struct session_offer *ret, struct err *reterr)
{
	struct answer a = { -ESRCH, 0 };
	struct pollfd p = { .fd = own_end, .events = POLLIN };
	int32_t number = (int32_t)pid;
	int fd = -1;
	uint32_t fds = 0;
	if (own_end < 0 || send(own_end, &number, sizeof(number), MSG_NOSIGNAL) != sizeof(number) || poll(&p, 1, ANSWER_MS) != 1 ||
	    host_recv_fds(own_end, &a, sizeof(a), &fd, 1, &fds, MSG_DONTWAIT) != sizeof(a))
		return err_setf(reterr, -EIO, "dyntraced cannot be asked for the offer of process %d", (int)pid);
	if (a.code == -EBUSY)
		return err_setf(reterr, -EBUSY, "process %d is traced through its agent already", (int)pid);
	ret->sock = a.code ? -1 : fd;
	ret->tid = a.tid;
	return ret->sock >= 0 ? 0 : err_setf(reterr, -ESRCH, "process %d has not offered itself: it was not started with libdyntrace-agent.so, "
					     "or is a forked child", (int)pid);
}

/* Who had it last may be about to end. */
int offers_borrow(pid_t pid, struct session_offer *ret, struct err *reterr)
{
	int rc = -EBUSY;
	for (int i = 0; rc == -EBUSY && i < BUSY_TRIES; i++) {
		if (i)
			nanosleep(&(struct timespec){ .tv_nsec = BUSY_PAUSE_NS }, NULL);
		rc = borrow(pid, ret, reterr);
	}
	return rc;
}

/* ---- the socket ---- */

static void empty_folder(void)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.')
			unlinkat(folder, e->d_name, 0);
	if (d)
		closedir(d);
}

static int open_folder(const char *run_dir)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", run_dir, WIRE_OFFER_FOLDER);
	if (mkdir(path, 0755) && errno != EEXIST)
		return -errno;
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (folder < 0)
		return -errno;
	empty_folder();
	return 0;
}

/* Anybody may offer himself. */
static int open_socket(const char *run_dir, int *ret)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	if (snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", run_dir, WIRE_OFFER_NAME) >= (int)sizeof(a.sun_path))
		return -ENAMETOOLONG;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(a.sun_path); /* the lock says that nobody listens there */
	mode_t old = umask(0);
	int r = bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 512) ? -errno : 0;
	umask(old);
	if (r) {
		close(fd);
		return r;
	}
	memcpy(socket_path, a.sun_path, sizeof(socket_path));
	*ret = fd;
	return 0;
}

static void more_files(void)
{
	struct rlimit lim;
	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max < 4 * OFFERS_MAX ? lim.rlim_max : 4 * OFFERS_MAX;
	if (!setrlimit(RLIMIT_NOFILE, &lim) || !getrlimit(RLIMIT_NOFILE, &lim))
		offers_max = lim.rlim_cur / 2 < OFFERS_MAX ? (uint32_t)(lim.rlim_cur / 2) : OFFERS_MAX;
}

int offers_open(const char *run_dir, struct err *reterr)
{
	int fd = -1, r = open_folder(run_dir);
	more_files();
	r = r ? r : open_socket(run_dir, &fd);
	if (!r && ((epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0 || !add_end(END_LISTEN, fd, 0)))
		r = -errno;
	return r ? err_setf(reterr, r, "cannot listen at %s/%s: %s", run_dir, WIRE_OFFER_NAME, strerror(-r)) : 0;
}

void offers_close(void)
{
	if (socket_path[0])
		unlink(socket_path);
	if (folder >= 0)
		empty_folder();
}
