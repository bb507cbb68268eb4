/* SPDX-License-Identifier: MIT */
/* One client, from its greeting to its end. */
#include "daemon/daemon_int.h"

#include "host/host.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <syslog.h>
#include <unistd.h>

#define GREET_NS 20000000000ULL   /* in which a client has to say what it wants */
#define DECIDE_NS 60000000000ULL
#define WAIT_NS 10000000ULL       /* how late a message may be heard */
#define HOT_NS 5000000ULL         /* a client that spoke goes on speaking */
#define REAP_NS 100000000ULL
#define LIMIT_NS 200000000ULL

static volatile sig_atomic_t told_to_end;

static void on_signal(int sig)
{
	(void)sig;
	told_to_end = 1;
}

int worker_sayf(struct worker *w, const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	proto_said_encode(&w->io.out, PROTO_SAY, 0, text);
	return io_send(&w->io, NULL, 0);
}

int worker_tell(struct worker *w, struct err *reterr)
{
	return io_send(&w->io, NULL, 0) ? err_setf(reterr, -ECONNRESET, "the client does not read") : 0;
}

static void enter(struct worker *w, enum worker_state s)
{
	w->state = s;
	w->since_ns = host_now_ns();
}

/* The message's memory is used again by the next one, and the request points into it. */
static int take_start(struct worker *w, struct proto_in *in, struct err *reterr)
{
	w->start_bytes = malloc(in->left + 1);
	if (!w->start_bytes)
		return err_setf(reterr, -ENOMEM, "out of memory");
	memcpy(w->start_bytes, in->p, in->left);
	in->p = w->start_bytes;
	int rc = request_start(w, in, reterr);
	rc = rc ? rc : run_match_all(w, reterr);
	if ((rc || w->bad != UINT32_MAX) && rc != -EPERM && request_is_stale(w))
		rc = err_setf(reterr, -ESTALE, "the process runs another program now");
	if (!rc && event_send_matched(w, 0))
		rc = err_setf(reterr, -ECONNRESET, "the client does not read");
	enter(w, WORKER_MATCHED);
	return rc;
}

static int send_armed(struct worker *w, struct err *reterr)
{
	struct session_shared sh;
	struct proto_armed *a = calloc(1, sizeof(*a));
	if (!a)
		return err_setf(reterr, -ENOMEM, "out of memory");
	int rc = session_share(w->session, &sh, reterr);
	if (!rc) {
		memcpy(a->page, session_shm(w->session), PROTO_PAGE);
		a->bytes = session_shm(w->session)->bytes;
		a->own_off = sh.own_off;
		a->own_bytes = sh.own_bytes;
		a->sites = w->aim.armed_cnt;
		for (uint32_t i = 0; i < w->req.target_cnt; i++) {
			if (w->targets[i].gone)
				continue;
			a->targets[a->target_cnt].proc = w->targets[i].proc;
			a->targets[a->target_cnt++].pid = (uint32_t)w->targets[i].pid;
		}
		proto_armed_encode(&w->io.out, a);
		if (io_send(&w->io, (int[]){ sh.shm_fd, sh.own_fd }, 2))
			rc = err_setf(reterr, -ECONNRESET, "the client does not read");
		close(sh.shm_fd);
		close(sh.own_fd);
	}
	free(a);
	return rc;
}

/* As the command line does it for itself: armed, BEGIN, live, free to run. */
static int arm(struct worker *w, struct err *reterr)
{
	int rc = run_arm_new(w, reterr);
	if (rc)
		return request_is_stale(w) ? err_setf(reterr, -ESTALE, "the process runs another program now") : rc;
	aim_fire(&w->aim, w->session, "BEGIN", NULL);
	if (!LOAD_ACQUIRE(&session_shm(w->session)->exiting))
		session_enable(w->session, true);
	rc = session_go(w->session, reterr);
	/* Commands that the client has stopped may go on from then on. */
	rc = rc ? rc : send_armed(w, reterr);
	aim_ticks_start(&w->aim);
	enter(w, WORKER_RUNS);
	w->rung = PROTO_RUNG_DATA;
	log_sayf(LOG_INFO, "%s (pid %d): %u places armed", w->peer.name, (int)w->peer.pid, w->aim.armed_cnt);
	return rc;
}

/* What is noted stays noted: it is repaired when we are gone. */
static void tell_left(struct worker *w)
{
	for (uint32_t i = 0; i < w->target_cnt; i++) {
		const struct run_target *t = &w->targets[i];
		uint32_t cnt = session_left(w->session, t->pid);
		if (!t->gone && !t->is_child && session_stays(w->session, t->pid))
			worker_sayf(w, SESSION_STAYS "dyntraced takes it away once none is", (int)t->pid);
		if (cnt)
			worker_sayf(w, "process %d: %u jump%s had to stay between its functions, where no code leads any more, since not all of "
				    "its threads were seen elsewhere in time: dyntraced takes them away, later if it has to, and dyntrace repair %d "
				    "at once", (int)t->pid, cnt, cnt == 1 ? "" : "s", (int)t->pid);
	}
}

static int stop(struct worker *w, struct err *reterr)
{
	struct err e = { 0 };
	int rc = session_disarm(w->session, &e);
	if (!rc)
		tell_left(w);
	aim_fire(&w->aim, w->session, "END", NULL);
	enter(w, WORKER_STOPPED);
	proto_said_encode(&w->io.out, PROTO_STOPPED, rc, rc ? e.msg : "");
	return worker_tell(w, reterr);
}

static uint64_t rights(const struct worker *w)
{
	bool root = !w->peer.uid;
	return (root || !w->conf->own_only ? PROTO_RIGHT_ANY : 0) | (root || conf_kernel(w->conf) ? PROTO_RIGHT_KERNEL : 0);
}

static int greet(struct worker *w, struct proto_in *in, struct err *reterr)
{
	uint64_t v[PROTO_WORDS], welcome[] = { PROTO_VERSION, rights(w) };
	int rc = proto_words_decode(in, PROTO_HELLO, v, reterr);
	if (!rc && (v[0] != PROTO_MAGIC || v[1] != PROTO_VERSION))
		rc = err_setf(reterr, -EPROTO, "this dyntraced speaks version %u of the protocol: install the same version of both",
			      PROTO_VERSION);
	if (rc)
		return rc;
	enter(w, WORKER_GREETED);
	proto_words_encode(&w->io.out, PROTO_WELCOME, welcome);
	return worker_tell(w, reterr);
}

static int obey(struct worker *w, enum proto_type type, struct proto_in *in, struct err *reterr)
{
	if (w->state == WORKER_NEW && type == PROTO_HELLO)
		return greet(w, in, reterr);
	if (w->state >= WORKER_GREETED && type == PROTO_LOOK)
		return look(w, in, reterr);
	if (w->state >= WORKER_GREETED && type == PROTO_RUNNING)
		return exe_running(w, in, reterr);
	if (w->state == WORKER_RUNS && type == PROTO_POINTS)
		return points(w, in, reterr);
	if (w->state == WORKER_GREETED && type == PROTO_START)
		return take_start(w, in, reterr);
	if (w->state == WORKER_MATCHED && type == PROTO_ARM)
		return arm(w, reterr);
	if (w->state == WORKER_RUNS && type == PROTO_STOP)
		return stop(w, reterr);
	if (w->state >= WORKER_RUNS && type != PROTO_HELLO && type != PROTO_START && type != PROTO_ARM && type != PROTO_STOP)
		return told(w, type, in, reterr);
	return err_setf(reterr, -EPROTO, "message %s comes at the wrong time", proto_name(type));
}

static int hear(struct worker *w, struct err *reterr)
{
	enum proto_type type;
	struct proto_in in;
	int rc;
	while ((rc = io_next(&w->io, &type, &in, reterr)) == 1) {
		w->hot_ns = host_now_ns() + HOT_NS;
		rc = obey(w, type, &in, reterr);
		if (rc)
			return rc;
	}
	return rc;
}

static bool is_folded(void *arg, uint32_t slot)
{
	struct worker *w = arg;
	const struct wire_shm *shm = session_shm(w->session);
	const struct wire_thread *t = (const struct wire_thread *)((const uint8_t *)shm + shm->thread_off + slot * shm->geom.stride);
	return w->folded[slot] == (uint64_t)t->incarnation + 1;
}

static int keep_limits(struct worker *w, uint64_t now, struct err *reterr)
{
	if (now >= w->next_reap_ns) {
		session_reap_threads(w->session, is_folded, w);
		w->next_reap_ns = now + REAP_NS;
	}
	if (now < w->next_limit_ns)
		return 0;
	w->next_limit_ns = now + LIMIT_NS;
	if (session_memory_used(w->session) <= w->conf->memory_max)
		return 0;
	return err_setf(reterr, -ENOMEM, "the session uses more than the %llu MiB of memory that dyntraced.conf allows",
			(unsigned long long)(w->conf->memory_max >> 20));
}

/* One turn while probes fire. */
static int run(struct worker *w, struct err *reterr)
{
	uint64_t now = host_now_ns();
	bool hot = now < w->hot_ns, fired = false;
	uint64_t tick = aim_ticks_fire(&w->aim, w->session, &fired), wait = hot ? 0 : tick < WAIT_NS ? tick : WAIT_NS;
	uint32_t proc = 0;
	int status = 0;
	w->rung |= fired ? PROTO_RUNG_TICKED : 0;
	enum session_event ev = session_wait(w->session, wait, &proc, &status);
	int rc = event_handle(w, ev, proc, status, reterr);
	rc = rc ? rc : exe_look(w, reterr);
	rc = rc ? rc : keep_limits(w, now, reterr);
	if (!rc && w->rung && io_is_idle(&w->io)) {
		proto_words_encode(&w->io.out, PROTO_RUNG, &w->rung);
		w->rung = 0;
		io_send(&w->io, NULL, 0);
	}
	return rc;
}

/* Who has been asked what it wants does not have all the time of the world. */
static bool is_overdue(const struct worker *w)
{
	uint64_t age = host_now_ns() - w->since_ns;
	return (w->state <= WORKER_GREETED && age > GREET_NS) || (w->state == WORKER_MATCHED && age > DECIDE_NS);
}

static int serve(struct worker *w, struct err *reterr)
{
	int rc = 0;
	while (!rc && !told_to_end) {
		bool runs = w->state == WORKER_RUNS;
		struct pollfd p = { .fd = w->io.fd, .events = POLLIN };
		poll(&p, 1, !runs ? 1000 : host_now_ns() < w->hot_ns ? 1 : 0);
		rc = hear(w, reterr);
		if (!rc && w->state == WORKER_RUNS)
			rc = run(w, reterr);
		if (!rc && is_overdue(w))
			rc = err_setf(reterr, -ETIMEDOUT, "the client does not say what it wants");
	}
	return rc ? rc : err_setf(reterr, -ESHUTDOWN, "dyntraced ends");
}

/* Its shadow of all memory counts as memory of ours. */
#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED true
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED false
#endif

static void become_worker(const struct conf *conf, const struct peer *peer)
{
	struct sigaction end = { .sa_handler = on_signal }, pipe = { .sa_handler = SIG_IGN }, dfl = { .sa_handler = SIG_DFL };
	struct rlimit heap = { conf->memory_max + (512ull << 20), conf->memory_max + (512ull << 20) }, none = { 0, 0 };
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGHUP, &pipe, NULL);
	sigaction(SIGPIPE, &pipe, NULL);
	sigaction(SIGXFSZ, &pipe, NULL);
	sigaction(SIGCHLD, &dfl, NULL);
	if (!IS_SANITIZED)
		setrlimit(RLIMIT_DATA, &heap);
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NAME, "dyntraced-work");
	host_title_set("dyntraced: traces for %s (pid %d)", peer->name, (int)peer->pid);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
}

_Noreturn void worker_main(const struct conf *conf, const struct peer *peer, int fd)
{
	struct worker *w = calloc(1, sizeof(*w));
	struct err e = { 0 };
	become_worker(conf, peer);
	if (!w)
		_exit(1);
	w->conf = conf;
	w->peer = *peer;
	w->io.fd = fd;
	enter(w, WORKER_NEW);
	int rc = serve(w, &e);
	request_deinit(w); /* who is told that it is over finds nothing left */
	if (rc != -ECONNRESET) {
		proto_said_encode(&w->io.out, PROTO_REFUSED, rc, e.msg);
		io_send(&w->io, NULL, 0);
	}
	log_sayf(rc == -ECONNRESET || rc == -ESHUTDOWN ? LOG_INFO : LOG_WARNING, "%s (pid %d): ended: %s", peer->name, (int)peer->pid, e.msg);
	free(w->start_bytes);
	io_deinit(&w->io);
	free(w);
	_exit(0);
}
