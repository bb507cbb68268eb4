/* SPDX-License-Identifier: MIT */
/* dyntraced: arguments, the lock, the socket, and a worker for each client. */
#include "daemon/daemon_int.h"

#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#define END_MS 10000 /* that workers get to disarm */
#define WORKERS_MAX 4096u
#define AGAIN_NS 3000000000ull /* until what could not be repaired is tried again; twice that each time, up to: */
#define AGAIN_MAX_NS 600000000000ull

struct daemon {
	struct conf conf;
	const char *conf_path, *run_dir;
	bool daemonize, conf_must;
	int lock_fd, listen_fd, signal_fd;
	bool own_socket;      /* made here, and to be removed */
	char socket_path[108];
	gid_t group;
	struct served {
		pid_t pid;
		uid_t uid;
		bool repairs;     /* no client: it repairs what one left */
		pid_t of;
	} *served;
	uint32_t served_cnt;
	uint64_t again_ns, again_step_ns; /* when repairs are tried again; 0: there are none */
};

static int usage(FILE *f, int rc)
{
	fprintf(f, "usage: dyntraced [--daemonize] [-f FILE] [--run-dir DIR]\n"
		"  --daemonize     go to the background once clients can connect\n"
		"  -f, --config FILE   read FILE in place of /etc/dyntraced.conf\n"
		"  --run-dir DIR   keep the socket, the lock and notes in DIR (/run/dyntrace)\n"
		"  --version, --help\n");
	return rc;
}

/* < 0: go on. */
static int parse(struct daemon *d, int argc, char **argv)
{
	static const struct option opts[] = {
		{ "daemonize", 0, 0, 'd' }, { "config", 1, 0, 'f' }, { "run-dir", 1, 0, 'r' }, { "version", 0, 0, 'V' },
		{ "help", 0, 0, 'h' }, { 0 }
	};
	int c;
	while ((c = getopt_long(argc, argv, "f:hV", opts, NULL)) != -1) {
		switch (c) {
		case 'd':
			d->daemonize = true;
			break;
		case 'f':
			d->conf_path = optarg;
			d->conf_must = true;
			break;
		case 'r':
			d->run_dir = optarg;
			break;
		case 'V':
			printf("dyntraced %s, protocol %u\n", DYNTRACE_VERSION, PROTO_VERSION);
			return 0;
		case 'h':
			return usage(stdout, 0);
		default:
			return usage(stderr, 2);
		}
	}
	return optind < argc ? usage(stderr, 2) : -1;
}

static int make_run_dir(const struct daemon *d, struct err *reterr)
{
	struct stat st;
	if (mkdir(d->run_dir, 0755) && errno != EEXIST)
		return err_setf(reterr, -errno, "cannot make %s: %s", d->run_dir, strerror(errno));
	if (lstat(d->run_dir, &st) || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 022)
		return err_setf(reterr, -EPERM, "%s must be a folder of root's that nobody else may write to", d->run_dir);
	return 0;
}

static int take_lock(struct daemon *d, struct err *reterr)
{
	char path[4096], text[32] = "";
	snprintf(path, sizeof(path), "%s/dyntraced.lock", d->run_dir);
	d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (d->lock_fd < 0)
		return err_setf(reterr, -errno, "cannot open %s: %s", path, strerror(errno));
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	if (fcntl(d->lock_fd, F_OFD_SETLK, &l)) {
		ssize_t n = pread(d->lock_fd, text, sizeof(text) - 1, 0);
		return err_setf(reterr, -EBUSY, "another dyntraced runs: process %d holds %s", n > 0 ? atoi(text) : 0, path);
	}
	return 0;
}

/* After the fork of --daemonize, whose lock it is, too. */
static void sign_lock(const struct daemon *d)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (ftruncate(d->lock_fd, 0) || pwrite(d->lock_fd, text, (size_t)n, 0) != n)
		log_sayf(LOG_WARNING, "cannot write to the lock file: %s", strerror(errno));
}

static void find_group(struct daemon *d)
{
	const struct group *g = getgrnam(d->conf.group);
	d->group = g ? g->gr_gid : (gid_t)-1;
	if (!g)
		log_sayf(LOG_WARNING, "there is no group %s: only root may trace (make it with groupadd --system %s)", d->conf.group,
			 d->conf.group);
}

static int make_socket(struct daemon *d, struct err *reterr)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	d->listen_fd = notify_listen_fd();
	if (d->listen_fd >= 0)
		return 0;
	if (snprintf(a.sun_path, sizeof(a.sun_path), "%s/dyntraced.sock", d->run_dir) >= (int)sizeof(a.sun_path))
		return err_setf(reterr, -ENAMETOOLONG, "%s is too long a name for a socket's folder", d->run_dir);
	memcpy(d->socket_path, a.sun_path, sizeof(a.sun_path));
	d->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->listen_fd < 0)
		return err_setf(reterr, -errno, "cannot make a socket: %s", strerror(errno));
	unlink(a.sun_path); /* the lock says that nobody listens there */
	mode_t old = umask(0177);
	int r = bind(d->listen_fd, (struct sockaddr *)&a, sizeof(a)) ? -errno : 0;
	umask(old);
	if (!r && d->group != (gid_t)-1 && (chown(a.sun_path, 0, d->group) || chmod(a.sun_path, 0660)))
		r = -errno;
	if (!r && listen(d->listen_fd, 64))
		r = -errno;
	d->own_socket = !r;
	return r ? err_setf(reterr, r, "cannot listen at %s: %s", a.sun_path, strerror(-r)) : 0;
}

static int catch_signals(struct daemon *d, struct err *reterr)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return d->signal_fd < 0 ? err_setf(reterr, -errno, "cannot wait for signals: %s", strerror(errno)) : 0;
}

/* ---- processes of ours ---- */

static void become_child(struct daemon *d, int pair[2])
{
	sigset_t none;
	offers_child(pair);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	close(d->listen_fd);
	close(d->signal_fd);
	close(d->lock_fd);
}

/* As fork(). */
static pid_t start_child(struct daemon *d)
{
	int pair[2];
	offers_pair(pair);
	pid_t pid = fork();
	if (!pid)
		become_child(d, pair);
	else
		offers_parent(pair, pid);
	return pid;
}

static bool add_served(struct daemon *d, const struct served *s)
{
	struct served *v = realloc(d->served, (d->served_cnt + 1) * sizeof(*v));
	if (!v)
		return false;
	d->served = v;
	v[d->served_cnt++] = *s;
	return true;
}

static bool is_his(const void *worker, pid_t w) { return w == *(const pid_t *)worker; }

/* Nobody is at work on what @worker left. */
static bool is_left(const void *arg, pid_t worker)
{
	const struct daemon *d = arg;
	for (uint32_t i = 0; i < d->served_cnt; i++)
		if (worker == (d->served[i].repairs ? d->served[i].of : d->served[i].pid))
			return false;
	return true;
}

/* What @worker left; 0: all that dead ones did. */
static void start_repair(struct daemon *d, pid_t worker, bool again)
{
	notes_which_fn *which = worker ? is_his : is_left;
	const void *arg = worker ? (const void *)&worker : d;
	if (!notes_any(which, arg))
		return;
	pid_t pid = start_child(d);
	if (!pid) {
		prctl(PR_SET_NAME, "dyntraced-fix");
		notes_repair(which, arg, again);
		_exit(0);
	}
	if (pid > 0)
		add_served(d, &(struct served){ .pid = pid, .repairs = true, .of = worker });
}

/* A debugger held the process, a thread stood in our code: both end some day. */
static void repair_later(struct daemon *d, bool again)
{
	if (!notes_any(is_left, d)) {
		d->again_ns = 0;
		return;
	}
	uint64_t step = again && d->again_step_ns ? d->again_step_ns * 2 : AGAIN_NS;
	d->again_step_ns = step < AGAIN_MAX_NS ? step : AGAIN_MAX_NS;
	d->again_ns = host_now_ns() + d->again_step_ns;
}

static void repair_again(struct daemon *d)
{
	if (!d->again_ns || host_now_ns() < d->again_ns)
		return;
	d->again_ns = 0;
	start_repair(d, 0, true);
}

static int wait_ms(const struct daemon *d)
{
	uint64_t now = host_now_ns();
	int ms = offers_wait_ms(), own = d->again_ns > now ? (int)((d->again_ns - now) / 1000000) + 1 : d->again_ns ? 0 : -1;
	return ms < 0 || (own >= 0 && own < ms) ? own : ms;
}

static void refuse(int fd, const char *text)
{
	struct io io = { .fd = fd };
	proto_said_encode(&io.out, PROTO_REFUSED, -EPERM, text);
	if (!io.out.bad && send(fd, io.out.p, io.out.cnt, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_sayf(LOG_INFO, "a client went before it was told: %s", strerror(errno));
	io_deinit(&io);
}

static void count_clients(const struct daemon *d, uid_t uid, uint32_t *ret_all, uint32_t *ret_his)
{
	*ret_all = *ret_his = 0;
	for (uint32_t i = 0; i < d->served_cnt; i++) {
		*ret_all += !d->served[i].repairs;
		*ret_his += !d->served[i].repairs && d->served[i].uid == uid;
	}
}

/* NULL: he may. */
static const char *why_not(const struct daemon *d, int fd, const struct peer *p)
{
	static char text[256];
	uint32_t all, his;
	count_clients(d, p->uid, &all, &his);
	snprintf(text, sizeof(text), PROTO_NO_MEMBER, d->conf.group, d->conf.group);
	if (!peer_is_member(fd, p, d->group))
		return text;
	if (all >= d->conf.client_max || all >= WORKERS_MAX)
		return "dyntraced serves as many clients as dyntraced.conf allows";
	if (p->uid && his >= d->conf.client_max_each)
		return "dyntraced serves as many clients of yours as dyntraced.conf allows";
	return NULL;
}

static void serve_client(struct daemon *d, int fd)
{
	struct peer p;
	struct err e;
	if (peer_of(fd, &p, &e)) {
		log_sayf(LOG_WARNING, "%s", e.msg);
		return;
	}
	const char *why = why_not(d, fd, &p);
	if (why) {
		log_sayf(LOG_WARNING, "%s (pid %d): refused: %s", p.name, (int)p.pid, why);
		refuse(fd, why);
		return;
	}
	pid_t pid = start_child(d);
	if (!pid)
		worker_main(&d->conf, &p, fd);
	if (pid < 0 || !add_served(d, &(struct served){ .pid = pid, .uid = p.uid })) {
		log_sayf(LOG_ERR, "cannot start a worker: %s", strerror(errno));
		refuse(fd, "dyntraced cannot start another process");
	}
}

#define ACCEPT_PAUSE_US 100000
#define ACCEPTS_MAX 64u /* before signals are looked at again */

static void accept_some(struct daemon *d)
{
	int fd = 0;
	for (uint32_t i = 0; i < ACCEPTS_MAX && (fd = accept4(d->listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0; i++) {
		serve_client(d, fd);
		close(fd);
	}
	if (fd >= 0 || (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS))
		return;
	log_sayf(LOG_ERR, "cannot accept a client: %s", strerror(errno));
	usleep(ACCEPT_PAUSE_US); /* it still waits: poll() would tell of it at once */
}

static void reap(struct daemon *d)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (uint32_t i = 0; i < d->served_cnt; i++) {
			if (d->served[i].pid != pid)
				continue;
			bool repairs = d->served[i].repairs, again = !d->served[i].of;
			d->served[i] = d->served[--d->served_cnt];
			if (repairs) {
				repair_later(d, again);
				break;
			}
			if (WIFSIGNALED(status))
				log_sayf(LOG_ERR, "worker %d died: %s", (int)pid, strsignal(WTERMSIG(status)));
			start_repair(d, pid, false);
			break;
		}
	}
}

/* Whether to end. */
static bool hear_signals(struct daemon *d)
{
	struct signalfd_siginfo si;
	bool end = false;
	while (read(d->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		end |= si.ssi_signo == SIGTERM || si.ssi_signo == SIGINT;
		if (si.ssi_signo == SIGHUP) {
			struct conf c;
			struct err e;
			conf_init(&c);
			if (conf_read(&c, d->conf_path, d->conf_must, &e)) {
				log_sayf(LOG_ERR, "the configuration stays as it was: %s", e.msg);
			} else {
				d->conf = c;
				log_sayf(LOG_INFO, "%s read again; it is for clients that come", d->conf_path);
			}
		}
	}
	reap(d);
	return end;
}

static void loop(struct daemon *d)
{
	struct pollfd p[] = { { .fd = d->listen_fd, .events = POLLIN }, { .fd = d->signal_fd, .events = POLLIN },
			      { .fd = offers_poll_fd(), .events = POLLIN } };
	bool end = false;
	while (!end) {
		poll(p, ARRAY_CNT(p), wait_ms(d));
		repair_again(d);
		if (p[1].revents)
			end = hear_signals(d);
		if (!end && p[0].revents)
			accept_some(d);
		offers_hear();
	}
}

/* They ask for offers still: for repairs. */
static void wait_for_served(struct daemon *d)
{
	for (uint64_t end = host_now_ns() + END_MS * 1000000ull; d->served_cnt && host_now_ns() < end;) {
		struct pollfd p[] = { { .fd = d->signal_fd, .events = POLLIN }, { .fd = offers_poll_fd(), .events = POLLIN } };
		poll(p, ARRAY_CNT(p), 50);
		hear_signals(d);
		offers_hear();
	}
}

static void end_workers(struct daemon *d)
{
	for (uint32_t i = 0; i < d->served_cnt; i++)
		kill(d->served[i].pid, SIGTERM);
	wait_for_served(d);
	if (!d->served_cnt) {
		start_repair(d, 0, false);
		wait_for_served(d);
	}
	for (uint32_t i = 0; i < d->served_cnt; i++) {
		log_sayf(LOG_ERR, "process %d does not end; killed", (int)d->served[i].pid);
		kill(d->served[i].pid, SIGKILL);
		waitpid(d->served[i].pid, NULL, 0);
	}
}

/* The parent waits until the child says that clients can connect. */
static int go_to_background(int *ret_fd, struct err *reterr)
{
	int p[2];
	char c = 1;
	*ret_fd = -1;
	if (pipe2(p, O_CLOEXEC))
		return err_setf(reterr, -errno, "cannot make a pipe: %s", strerror(errno));
	pid_t pid = fork();
	if (pid < 0)
		return err_setf(reterr, -errno, "cannot start a process: %s", strerror(errno));
	close(p[!pid ? 0 : 1]);
	if (pid) {
		ssize_t n = read(p[0], &c, 1);
		_exit(n == 1 ? c : 1);
	}
	setsid();
	*ret_fd = p[1];
	return 0;
}

static void leave_terminal(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (chdir("/"))
		log_sayf(LOG_WARNING, "cannot go to /: %s", strerror(errno));
	for (int i = 0; i < 3 && null >= 0; i++)
		dup2(null, i);
	if (write(fd, "", 1) != 1)
		log_sayf(LOG_WARNING, "who started dyntraced is gone");
	close(fd);
	log_open(false);
}

static int start(struct daemon *d, int *ret_ready, struct err *reterr)
{
	int rc = geteuid() ? err_setf(reterr, -EPERM, "dyntraced has to be started by root") : 0;
	rc = rc ? rc : conf_read(&d->conf, d->conf_path, d->conf_must, reterr);
	rc = rc ? rc : make_run_dir(d, reterr);
	rc = rc ? rc : take_lock(d, reterr);
	if (!rc && d->daemonize)
		rc = go_to_background(ret_ready, reterr);
	if (rc)
		return rc;
	sign_lock(d);
	find_group(d);
	rc = notes_init(d->run_dir, reterr);
	rc = rc ? rc : catch_signals(d, reterr);
	rc = rc ? rc : offers_open(d->run_dir, reterr);
	return rc ? rc : make_socket(d, reterr);
}

int main(int argc, char **argv)
{
	struct daemon d = { .conf_path = "/etc/dyntraced.conf", .run_dir = "/run/dyntrace", .lock_fd = -1, .listen_fd = -1 };
	struct err e;
	int ready = -1, rc;
	host_title_init(argv);
	rc = parse(&d, argc, argv);
	if (rc >= 0)
		return rc;
	conf_init(&d.conf);
	log_open(true);
	umask(022);
	if (start(&d, &ready, &e)) {
		fprintf(stderr, "dyntraced: %s\n", e.msg);
		return 1;
	}
	start_repair(&d, 0, false);
	bool has_group = d.group != (gid_t)-1;
	log_sayf(LOG_INFO, "ready, for root%s%s", has_group ? " and group " : "", has_group ? d.conf.group : "");
	if (ready >= 0)
		leave_terminal(ready);
	notify_say("READY=1");
	loop(&d);
	notify_say("STOPPING=1");
	if (d.own_socket)
		unlink(d.socket_path);
	end_workers(&d);
	offers_close();
	log_sayf(LOG_INFO, "ended");
	free(d.served);
	return 0;
}
