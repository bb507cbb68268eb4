/* SPDX-License-Identifier: MIT */
/* Processes of an executable, as root sees them: those that the client may trace, as they are and as they come (ADR 33). */
#include "daemon/daemon_int.h"

#include <errno.h>
#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>

#define SAID_MOST 8u
#define RUNNING_NS 200000000ull /* each is a walk through /proc */
#define RUNNINGS 10u

int exe_running(struct worker *w, struct proto_in *in, struct err *reterr)
{
	uint64_t v[PROTO_WORDS];
	struct aim_exe x;
	uint32_t cnt = 0;
	int rc = proto_words_decode(in, PROTO_RUNNING, v, reterr);
	if (rc)
		return rc;
	look_pace(&w->looks.running_ns, RUNNING_NS, RUNNINGS);
	if (aim_exe_open(&x, v[0], v[1], false))
		x.seen_cnt = 0;
	for (uint32_t i = 0; i < x.seen_cnt && cnt < PROTO_RUN_MAX; i++)
		if (!peer_may_trace(&w->peer, w->conf, x.seen[i], NULL))
			x.seen[cnt++] = x.seen[i];
	log_sayf(LOG_INFO, "%s (pid %d): which processes run file %llu of device %llu: %u of %u named", w->peer.name, (int)w->peer.pid,
		 (unsigned long long)v[1], (unsigned long long)v[0], cnt, x.seen_cnt);
	proto_run_encode(&w->io.out, x.seen, cnt);
	aim_exe_close(&x);
	return worker_tell(w, reterr);
}

void exe_skipped(struct worker *w, pid_t pid, const struct err *why)
{
	if (w->exe_said++ < SAID_MOST)
		worker_sayf(w, "pid %d is not traced: %s%s", (int)pid, why->msg, w->exe_said == SAID_MOST ? " (others are not named)" : "");
}

static bool is_traced(const struct worker *w, pid_t pid)
{
	for (uint32_t i = 0; i < w->target_cnt; i++)
		if (w->targets[i].pid == pid && !w->targets[i].gone)
			return true;
	return false;
}

/* Its threads stand until it has its probes. */
static int arm(struct worker *w, struct run_target *t, struct err *reterr)
{
	uint32_t proc = t->proc;
	struct err e = { 0 };
	t->obj = session_obj(w->session, proc);
	t->root = (pid_t)w->req.exe_root == t->pid ? 0 : (pid_t)w->req.exe_root;
	t->starting = session_is_loading(w->session, proc);
	int rc = run_match_all(w, reterr);
	rc = rc ? rc : run_arm_new(w, reterr);
	if (session_go(w->session, &e) < 0)
		worker_sayf(w, "%s", e.msg);
	rc = rc ? rc : event_send(w, PROTO_EV_STARTED, run_target_by_proc(w, proc), 0, reterr);
	return !rc && event_send_matched(w, proc) ? err_setf(reterr, -ECONNRESET, "the client does not read") : rc;
}

struct taking {
	struct worker *w;
	struct err *reterr;
};

/* may_follow() (request.c) is asked while it stands, before anything of it is touched. */
static int take(void *arg, pid_t pid, bool *ret_came)
{
	struct taking *tk = arg;
	struct worker *w = tk->w;
	uint32_t proc;
	struct err e = { 0 };
	if (is_traced(w, pid) || peer_may_trace(&w->peer, w->conf, pid, &e) == -ESRCH)
		return 0;
	int rc = e.code ? e.code : request_note(w, pid, &e);
	rc = rc ? rc : session_attach_held(w->session, pid, &proc, &e);
	if (rc) {
		notes_remove(getpid(), pid);
		if (rc != -ESRCH && rc != -EALREADY)
			exe_skipped(w, pid, &e);
		return 0;
	}
	*ret_came = true;
	w->has_owner = true;
	request_log(w, pid, 0, NULL);
	struct run_target *t = run_target_add(w, pid, proc);
	return t ? arm(w, t, tk->reterr) : err_setf(tk->reterr, -ENOMEM, "out of memory");
}

int exe_look(struct worker *w, struct err *reterr)
{
	struct taking tk = { w, reterr };
	return w->exe.ino ? aim_exe_look(&w->exe, take, &tk) : 0;
}
