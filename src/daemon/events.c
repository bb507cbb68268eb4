/* SPDX-License-Identifier: MIT */
/* What happens in the targets, and what the client hears of it. */
#include "daemon/daemon_int.h"

#include <errno.h>
#include <unistd.h>

int event_send_matched(struct worker *w, uint32_t proc)
{
	struct proto_matched m = { .proc = proc, .cnts = w->match_cnts, .cnt = w->req.desc_cnt, .bad = w->bad, .code = w->bad_code,
				   .why = w->bad_why, .kernel = w->worlds.kernel };
	for (uint32_t i = 0; i < w->target_cnt; i++)
		m.starting += w->targets[i].starting && !w->targets[i].gone;
	return proto_matched_encode(&w->io.out, &m) ? io_send(&w->io, NULL, 0) : -ENOMEM;
}

int event_send(struct worker *w, enum proto_event what, const struct run_target *t, int status, struct err *reterr)
{
	const uint64_t v[] = { what, t->proc, (uint64_t)t->pid, (uint64_t)(unsigned)status };
	proto_words_encode(&w->io.out, PROTO_EVENT, v);
	return worker_tell(w, reterr);
}

static int modules_came(struct worker *w, uint32_t proc, struct err *reterr)
{
	struct run_target *t = run_target_by_proc(w, proc);
	struct err e;
	int rc = run_match_all(w, reterr);
	if (t && t->starting && w->bad < w->req.desc_cnt)
		run_target_stop(t); /* it would run before the client has said that it does without */
	if (t)
		t->starting = false;
	rc = rc ? rc : run_arm_new(w, reterr);
	if (!rc && t && t->root)
		points_followed(w, t);
	if (session_modules_done(w->session, proc, &e) < 0)
		worker_sayf(w, "%s", e.msg);
	if (!rc && event_send_matched(w, proc))
		rc = err_setf(reterr, -ECONNRESET, "the client does not read");
	return rc;
}

static int gone(struct worker *w, uint32_t proc, enum proto_event what, int status, struct err *reterr)
{
	struct run_target *t = run_target_by_proc(w, proc);
	if (!t || t->gone)
		return 0;
	t->gone = true;
	t->starting = false;
	if (what == PROTO_EV_EXECED)
		aim_exe_execed(&w->exe, t->pid);
	if (what == PROTO_EV_EXITED)
		notes_remove(getpid(), t->pid);
	/* What its number stands for now is not what was permitted. */
	if (w->target_cnt && t == &w->targets[0])
		session_tool_reads(w->session, SESSION_READS_NOTHING);
	return event_send(w, what, t, status, reterr);
}

static int forked(struct worker *w, uint32_t proc, struct err *reterr)
{
	struct run_target *t = run_target_add(w, session_pid(w->session, proc), proc);
	if (!t)
		return err_setf(reterr, -ENOMEM, "out of memory");
	int rc = request_note(w, t->pid, reterr);
	return rc ? rc : event_send(w, PROTO_EV_FORKED, t, 0, reterr);
}

/* It stands before its first instruction; the client may trace it (request.c). */
static int started(struct worker *w, uint32_t proc, struct err *reterr)
{
	pid_t pid = session_pid(w->session, proc), root = w->target_cnt ? w->targets[0].pid : 0;
	struct err e = { 0 };
	for (uint32_t i = 0; i < w->target_cnt; i++)
		if (w->targets[i].pid == pid && !w->targets[i].gone)
			w->targets[i].gone = true;
	struct run_target *t = run_target_add(w, pid, proc);
	if (!t)
		return err_setf(reterr, -ENOMEM, "out of memory");
	t->root = root;
	t->obj = session_obj(w->session, proc);
	int rc = request_note(w, pid, reterr);
	rc = rc ? rc : run_match_all(w, reterr);
	rc = rc ? rc : run_arm_new(w, reterr);
	if (!rc)
		points_followed(w, run_target_by_proc(w, proc));
	if (session_go(w->session, &e) < 0)
		worker_sayf(w, "%s", e.msg);
	return rc ? rc : event_send(w, PROTO_EV_STARTED, run_target_by_proc(w, proc), 0, reterr);
}

int event_handle(struct worker *w, enum session_event ev, uint32_t proc, int status, struct err *reterr)
{
	switch (ev) {
	case SESSION_MODULES:
		return modules_came(w, proc, reterr);
	case SESSION_STARTED:
		return started(w, proc, reterr);
	case SESSION_FORKED:
		return forked(w, proc, reterr);
	case SESSION_EXITED:
		return gone(w, proc, PROTO_EV_EXITED, status, reterr);
	case SESSION_EXECED:
		return gone(w, proc, PROTO_EV_EXECED, 0, reterr);
	case SESSION_DATA:
		w->rung |= PROTO_RUNG_DATA;
		return 0;
	default:
		return 0;
	}
}
