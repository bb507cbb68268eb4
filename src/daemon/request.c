/* SPDX-License-Identifier: MIT */
/* START: from what a client asks for to processes that are attached to, if it may. */
#include "daemon/daemon_int.h"

#include "host/host.h"
#include "kern/kern.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* What changes the process that runs it; the verifier knows no rights. */
static bool is_destructive(const struct ir_insn *in)
{
	if (in->op != IR_OP_CALL)
		return false;
	switch ((enum ir_helper)in->imm) {
	case IR_HELPER_copyout: case IR_HELPER_copyoutstr: case IR_HELPER_raise: case IR_HELPER_stop: case IR_HELPER_chill:
		return true;
	default:
		return false;
	}
}

static bool image_is_destructive(const struct ir_image *im)
{
	for (uint32_t i = 0; i < im->prog_cnt; i++)
		for (uint32_t k = 0; k < im->progs[i].insn_cnt; k++)
			if (is_destructive(&im->progs[i].insns[k]))
				return true;
	return false;
}

static int check_image(struct worker *w, struct err *reterr)
{
	int rc = ir_image_decode(w->req.image, w->req.image_bytes, &w->image, reterr);
	if (rc)
		return err_prefixf(reterr, "the program is not accepted");
	if (w->image.prog_cnt != w->req.clause_cnt)
		return err_setf(reterr, -EPROTO, "malformed request: %u clauses, %u programs", w->req.clause_cnt, w->image.prog_cnt);
	return request_check_rights(w, &w->image, reterr);
}

int request_check_rights(const struct worker *w, const struct ir_image *image, struct err *reterr)
{
	bool destructive = image_is_destructive(image);
	if (destructive && !(w->req.flags & PROTO_DESTRUCTIVE))
		return err_setf(reterr, -EPERM, "Destructive actions not allowed (-w allows them)");
	if (destructive && !w->conf->destructive && w->peer.uid)
		return err_setf(reterr, -EPERM, "Destructive actions not allowed by dyntraced.conf (destructive = yes allows them)");
	return 0;
}

struct session_desc *request_descs(const struct worker *w)
{
	struct session_desc *v = calloc(w->req.desc_cnt + 1ul, sizeof(*v));
	for (uint32_t i = 0; v && i < w->req.desc_cnt; i++) {
		const struct proto_desc *d = &w->req.descs[i];
		v[i] = (struct session_desc){ { d->part[0], d->part[1], d->part[2], d->part[3] }, d->clause, d->id };
	}
	return v;
}

static int look_at_worlds(struct worker *w, struct err *reterr)
{
	struct session_desc *v = request_descs(w);
	if (!v)
		return err_setf(reterr, -ENOMEM, "out of memory");
	session_worlds_of(v, w->req.desc_cnt, &w->worlds);
	free(v);
	w->worlds.uprobes = w->worlds.user && w->req.flags & PROTO_UPROBES;
	w->worlds.kernel |= w->worlds.uprobes;
	if (!w->worlds.kernel)
		return 0;
	if (w->req.exe_ino)
		return err_setf(reterr, -ENOTSUP, "-x exe is for probes of processes alone through dyntraced: leave those of the kernel out");
	if (w->peer.uid && !conf_kernel(w->conf))
		return err_setf(reterr, -EPERM, "not permitted to trace the kernel: dyntraced.conf says so (kernel = yes allows it)");
	/* A process could read what the kernel records there, and change what its programs look at; and its client could
	 * write to a memory that the code in the process runs by (ADR 33).  So all of it runs in the kernel. */
	if (w->peer.uid && w->worlds.user)
		w->worlds.uprobes = true;
	return kern_may_trace(reterr) ? 0 : -EPERM;
}

/* What a session's processes share, each of them can write to, and each runs by it: one could make others do what its own
 * user may not do to them. */
int request_may(const struct worker *w, pid_t pid, struct err *reterr)
{
	struct owner o;
	int rc = peer_may_trace(&w->peer, w->conf, pid, reterr);
	if (rc || !w->peer.uid || w->watches || !w->has_owner)
		return rc;
	if (!peer_owner(pid, &o))
		return err_setf(reterr, -ESRCH, "process %d does not exist", (int)pid);
	if (memcmp(&o, &w->owner, sizeof(o)))
		return err_setf(reterr, -EPERM, "process %d belongs to another user than others of this script: trace them one by one, "
				"or as root", (int)pid);
	return 0;
}

static bool may_follow(void *arg, pid_t pid)
{
	struct worker *w = arg;
	struct err e = { 0 };
	if (!w->has_owner)
		peer_owner(pid, &w->owner);
	int rc = request_may(w, pid, &e);
	log_sayf(rc ? LOG_WARNING : LOG_INFO, "%s (pid %d): follow process %d: %s", w->peer.name, (int)w->peer.pid, (int)pid,
		 rc ? e.msg : "permitted");
	return !rc;
}

static bool starts_some(const struct proto_start *req)
{
	for (uint32_t i = 0; i < req->target_cnt; i++)
		if (req->targets[i].is_new)
			return true;
	return false;
}

static struct session_opts opts_of(struct worker *w)
{
	const uint64_t *z = w->req.sizes;
	bool no_threads = w->watches || (!w->req.target_cnt && !w->req.exe_ino);
	struct session_opts so = {
		.ring_bytes = z[PROTO_RING_BYTES],
		.agg_bytes = z[PROTO_AGG_BYTES],
		.dyn_bytes = z[PROTO_DYN_BYTES],
		.thread_cnt = no_threads ? 1 : (uint32_t)z[PROTO_THREADS],
		.alloca_bytes = z[PROTO_ALLOCA_BYTES],
		.spec_cnt = (uint32_t)z[PROTO_SPEC_CNT],
		.spec_bytes = z[PROTO_SPEC_BYTES],
		.one_cpu = z[PROTO_CPU] != UINT32_MAX,
		.cpu = (uint32_t)z[PROTO_CPU],
		.flight = w->req.flags & PROTO_FLIGHT,
		.follow = w->req.exe_ino || w->req.flags & PROTO_FOLLOW,
		.forks_only = w->req.exe_ino && !(w->req.flags & PROTO_FOLLOW),
		.watch = w->watches,
		.from_entry = w->watches && w->worlds.user,
		.unwinds = w->worlds.kernel,
		.shared = true,
		.grows = w->req.flags & PROTO_GROWS,
		.may_follow = may_follow,
		.may_arg = w,
		.may_write = !w->peer.uid,
		.site_max = w->conf->probe_max,
	};
	session_opts_fit(&so, &w->worlds, z[PROTO_AGG_ELEM_BYTES], z[PROTO_DYN_ELEM_BYTES]);
	so.max_frames = (uint32_t)z[PROTO_MAX_FRAMES];
	return so;
}

static void say_whose(struct worker *w)
{
	struct session_identity who = { w->peer.pid, 0, w->peer.uid, w->peer.gid, w->req.progname };
	struct obj_proc_info info;
	if (!obj_proc_info(w->peer.pid, &info, NULL))
		who.ppid = info.ppid;
	session_tool_is(w->session, &who);
}

static int make_session(struct worker *w, struct err *reterr)
{
	bool starts = starts_some(&w->req) && w->req.flags & PROTO_ADDRESSES;
	w->watches = w->worlds.kernel && (w->peer.uid || (!w->worlds.user && !starts));
	struct session_opts so = opts_of(w);
	/* The kernel's buffers are there in full: two for each CPU. */
	uint64_t areas = 2 * (uint64_t)sysconf(_SC_NPROCESSORS_CONF);
	if (w->worlds.kernel && so.ring_bytes + so.agg_bytes > w->conf->memory_max / areas)
		return err_setf(reterr, -E2BIG, "buffers of that size are more than dyntraced.conf allows; lower bufsize or aggsize");
	int rc = session_create(&w->image, &so, &w->session, reterr);
	if (rc)
		return rc;
	w->folded = calloc(session_shm(w->session)->thread_cnt, sizeof(*w->folded));
	say_whose(w);
	session_tool_reads(w->session, SESSION_READS_NOTHING);
	return w->folded ? 0 : err_setf(reterr, -ENOMEM, "out of memory");
}

static bool has_loader(const struct obj_proc *p)
{
	for (uint32_t i = 0; p && i < obj_module_cnt(p); i++)
		if (obj_module_at(p, i)->is_loader && !obj_module_at(p, i)->is_exe)
			return true;
	return false;
}

int request_note(struct worker *w, pid_t pid, struct err *reterr)
{
	return w->watches ? 0 : notes_add(getpid(), pid, reterr);
}

#define EXEC_TRIES 5
#define EXEC_PAUSE_NS 2000000

static bool is_refused(int rc)
{
	return rc == -EPERM || rc == -EACCES || rc == -EBUSY;
}

static int attach_offered(struct worker *w, struct run_target *t, struct err *reterr)
{
	struct session_offer o;
	int rc = offers_borrow(t->pid, &o, reterr);
	if (rc)
		return rc;
	rc = session_attach_offered(w->session, t->pid, &o, &t->proc, reterr);
	close(o.sock);
	return rc;
}

/* By ptrace, which reaches more places, or by the thread of a program that offered itself. */
static int attach_either(struct worker *w, struct run_target *t, struct err *reterr)
{
	struct err why;
	if (w->req.flags & PROTO_BY_AGENT)
		return attach_offered(w, t, reterr);
	int rc = session_attach(w->session, t->pid, &t->proc, reterr);
	if (!is_refused(rc) || w->req.flags & PROTO_BY_PTRACE)
		return rc;
	int by_agent = attach_offered(w, t, &why);
	if (by_agent == -ESRCH)
		return rc;
	if (by_agent)
		return err_prefixf(reterr, "by the agent in it: %s; by ptrace", why.msg);
	log_sayf(LOG_INFO, "%s (pid %d): process %d is traced by the agent in it: %s", w->peer.name, (int)w->peer.pid, (int)t->pid,
		 reterr->msg);
	return worker_sayf(w, "process %d is traced by the agent in it, which reaches fewer places: %s", (int)t->pid, reterr->msg);
}

/* Between fork and exec there is no program for a moment. */
static int attach_running(struct worker *w, struct run_target *t, struct err *reterr)
{
	int rc = -ESRCH;
	for (int i = 0; rc == -ESRCH && i < EXEC_TRIES && !host_pidfd_ended(t->pidfd); i++) {
		if (i)
			nanosleep(&(struct timespec){ .tv_nsec = EXEC_PAUSE_NS }, NULL);
		rc = attach_either(w, t, reterr);
	}
	return rc;
}

static bool exe_of(pid_t pid, uint64_t ret[2])
{
	char path[64];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	if (stat(path, &st))
		return false;
	ret[0] = st.st_dev;
	ret[1] = st.st_ino;
	return true;
}

bool request_is_stale(const struct worker *w)
{
	bool stale = false;
	for (uint32_t i = 0; i < w->target_cnt; i++) {
		const struct run_target *t = &w->targets[i];
		uint64_t now[2];
		if (t->is_new)
			return false;
		stale |= t->exe_known && exe_of(t->pid, now) && (now[0] != t->exe[0] || now[1] != t->exe[1]);
	}
	return stale;
}

/* Whose parent the client is when it hands it over; it may have ended when the process is to be stopped. */
static bool is_child(const struct worker *w, pid_t pid)
{
	struct obj_proc_info info;
	return !obj_proc_info(pid, &info, NULL) && info.ppid == w->peer.pid;
}

/* The number is used again when its process has gone: whose it was when it was looked at is known by a descriptor. */
static int attach_checked(struct worker *w, struct run_target *t, struct err *reterr)
{
	t->pidfd = (int)syscall(SYS_pidfd_open, t->pid, 0);
	if (t->pidfd < 0)
		return err_setf(reterr, errno == EINVAL ? -EINVAL : -ESRCH, "process %d: %s", (int)t->pid,
				errno == EINVAL ? "this is the number of a thread" : "there is none");
	t->is_child = t->is_new && is_child(w, t->pid);
	if (!w->has_owner)
		peer_owner(t->pid, &w->owner);
	w->has_owner = true;
	int rc = request_may(w, t->pid, reterr);
	rc = rc ? rc : request_note(w, t->pid, reterr);
	if (rc)
		return rc;
	t->exe_known = exe_of(t->pid, t->exe);
	rc = t->is_new ? session_attach_new(w->session, t->pid, &t->proc, reterr) : attach_running(w, t, reterr);
	if (!rc && host_pidfd_ended(t->pidfd))
		rc = err_setf(reterr, -ESRCH, "process %d has ended", (int)t->pid);
	return rc ? rc : request_may(w, t->pid, reterr);
}

void request_log(const struct worker *w, pid_t pid, int rc, const struct err *e)
{
	log_sayf(rc ? LOG_WARNING : LOG_INFO, "%s (pid %d): trace process %d: %s", w->peer.name, (int)w->peer.pid, (int)pid,
		 rc ? e->msg : "permitted");
}

/* Who is not traced is not what was asked for: it has gone, runs something else now, or is another user's.  Who became so
 * while it was attached to is in the session, and would be given what others are: so there is none. */
static int attach_of_exe(struct worker *w, struct run_target *t, struct err *reterr)
{
	bool had_owner = w->has_owner;
	struct err e = { .msg = "it runs another program now" };
	int rc = aim_exe_runs(&w->exe, t->pid) ? attach_checked(w, t, &e) : -ESRCH;
	if (rc != -ESRCH)
		request_log(w, t->pid, rc, &e);
	if (rc && rc != -ESRCH && t->proc)
		return err_setf(reterr, rc, "%s", e.msg);
	if (rc && rc != -ESRCH && rc != -EALREADY)
		exe_skipped(w, t->pid, &e);
	w->has_owner = had_owner || !rc;
	t->gone = rc != 0;
	t->root = (pid_t)w->req.exe_root == t->pid ? 0 : (pid_t)w->req.exe_root;
	return rc;
}

static int attach_all(struct worker *w, struct err *reterr)
{
	for (uint32_t i = 0; i < w->req.target_cnt; i++) {
		struct run_target *t = run_target_add(w, (pid_t)w->req.targets[i].pid, 0);
		if (!t)
			return err_setf(reterr, -ENOMEM, "out of memory");
		t->is_new = w->req.targets[i].is_new;
		int rc = w->exe.ino ? attach_of_exe(w, t, reterr) : attach_checked(w, t, reterr);
		if (!w->exe.ino)
			request_log(w, t->pid, rc, reterr);
		if (t->gone)
			continue;
		if (rc)
			return err_prefixf(reterr, "failed to grab pid %d", (int)t->pid);
		t->obj = session_obj(w->session, t->proc);
		t->starting = t->is_new && has_loader(t->obj) && !w->watches;
	}
	if (w->req.target_cnt == 1 && !w->exe.ino && (!w->peer.uid || !w->conf->own_only))
		session_tool_reads(w->session, w->targets[0].pid);
	return 0;
}

int request_start(struct worker *w, struct proto_in *in, struct err *reterr)
{
	int rc = proto_start_decode(in, &w->req, reterr);
	rc = rc ? rc : check_image(w, reterr);
	rc = rc ? rc : look_at_worlds(w, reterr);
	if (rc)
		log_sayf(LOG_WARNING, "%s (pid %d): refused: %s", w->peer.name, (int)w->peer.pid, reterr->msg);
	else if (w->worlds.kernel || !w->req.target_cnt)
		log_sayf(LOG_INFO, "%s (pid %d): trace %s: permitted", w->peer.name, (int)w->peer.pid,
			 w->worlds.kernel ? "the kernel" : "no process");
	if (!rc && w->req.exe_ino && aim_exe_open(&w->exe, w->req.exe_dev, w->req.exe_ino, true))
		rc = err_setf(reterr, -EIO, "cannot look for processes");
	rc = rc ? rc : make_session(w, reterr);
	if (!rc && w->watches && w->worlds.user && w->req.flags & PROTO_FOLLOW)
		worker_sayf(w, "children are not followed by a script that has probes of the kernel, too: they have no probes");
	return rc ? rc : attach_all(w, reterr);
}

void run_target_stop(const struct run_target *t)
{
	if (t->is_child && t->proc)
		syscall(SYS_pidfd_send_signal, t->pidfd, SIGSTOP, NULL, 0);
}

/* Disarms first. */
void request_deinit(struct worker *w)
{
	struct err e;
	for (uint32_t i = 0; w->state < WORKER_RUNS && i < w->target_cnt; i++)
		run_target_stop(&w->targets[i]); /* it was so when it came here, and is the client's to end */
	if (w->session && session_disarm(w->session, &e) < 0)
		log_sayf(LOG_ERR, "%s", e.msg);
	else
		for (uint32_t i = 0; i < w->target_cnt; i++)
			if (!w->session || !(session_left(w->session, w->targets[i].pid) || session_stays(w->session, w->targets[i].pid)))
				notes_remove(getpid(), w->targets[i].pid);
	session_destroy(w->session);
	w->session = NULL;
	for (uint32_t i = 0; i < w->target_cnt; i++)
		if (w->targets[i].pidfd >= 0)
			close(w->targets[i].pidfd);
	free(w->targets);
	aim_exe_close(&w->exe);
	aim_deinit(&w->aim);
	points_deinit(w);
	free(w->match_cnts);
	free(w->folded);
	proto_start_deinit(&w->req);
	ir_image_deinit(&w->image);
}
