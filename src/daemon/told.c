/* SPDX-License-Identifier: MIT */
/* What a client with a session says: what it has read, what it would write, what it wants to know. */
#include "daemon/daemon_int.h"

#include "kern/kern.h"

#include <errno.h>
#include <string.h>

static struct wire_thread *thread_at(struct worker *w, uint32_t slot)
{
	struct wire_shm *shm = session_shm(w->session);
	return (struct wire_thread *)((uint8_t *)shm + shm->thread_off + slot * shm->geom.stride);
}

static int wrong(enum proto_type type, struct err *reterr)
{
	return err_setf(reterr, -EPROTO, "message %s is about something that is not there", proto_name(type));
}

/* A ring that the client had before its area went to another thread is no error: it did not know. */
static int tails(struct worker *w, struct proto_in *in, struct err *reterr)
{
	struct proto_tail v[PROTO_TAILS];
	uint32_t cnt;
	int rc = proto_tails_decode(in, v, &cnt, reterr);
	for (uint32_t i = 0; !rc && i < cnt; i++) {
		const struct wire_shm *shm = session_shm(w->session);
		if (v[i].slot >= shm->thread_cnt || shm->flight)
			return wrong(PROTO_TAIL, reterr);
		struct wire_ring *r = &thread_at(w, v[i].slot)->ring;
		uint64_t tail = LOAD_RELAXED(&r->tail), published = LOAD_ACQUIRE(&r->published);
		if (v[i].pos >= tail && v[i].pos <= published)
			STORE_RELEASE(&r->tail, v[i].pos);
	}
	return rc;
}

static int folded(struct worker *w, const uint64_t *v, struct err *reterr)
{
	if (v[0] >= session_shm(w->session)->thread_cnt || v[1] > UINT32_MAX)
		return wrong(PROTO_FOLDED, reterr);
	w->folded[v[0]] = v[1] + 1;
	return 0;
}

static int gen(struct worker *w, const uint64_t *v, struct err *reterr)
{
	if (v[0] >= w->image.agg_cnt || v[1] >= UINT32_MAX)
		return wrong(PROTO_GEN, reterr);
	session_agg_gen(w->session, (uint32_t)v[0], (uint32_t)v[1]);
	return 0;
}

static int spec(struct worker *w, const uint64_t *v, struct err *reterr)
{
	struct wire_shm *shm = session_shm(w->session);
	if (v[0] >= PROTO_SPEC_WHATS || !v[1] || v[1] > shm->spec_cnt)
		return wrong(PROTO_SPEC, reterr);
	struct wire_spec *s = (struct wire_spec *)((uint8_t *)shm + shm->spec_off) + (v[1] - 1);
	if (v[0] == PROTO_SPEC_BYTES_KEPT) {
		STORE_RELAXED(&s->bytes, v[2]);
		return 0;
	}
	STORE_RELAXED(&s->bytes, 0);
	STORE_RELAXED(&s->gen, (uint32_t)v[2]);
	STORE_RELEASE(&s->state, WIRE_SPEC_FREE);
	return 0;
}

/* Keys that are there leave their room to others (-x aggrate). */
static int aggs_read(struct worker *w)
{
	for (uint32_t i = 0; i < session_shm(w->session)->thread_cnt; i++) {
		struct wire_thread *thr = thread_at(w, i);
		if (LOAD_ACQUIRE(&thr->state) == WIRE_THREAD_LIVE)
			STORE_RELAXED(&thr->agg_read, LOAD_RELAXED(&thr->agg_cnt));
	}
	return 0;
}

static int answer(struct worker *w, enum proto_type type, const uint64_t *v, struct err *reterr)
{
	proto_words_encode(&w->io.out, type, v);
	return worker_tell(w, reterr);
}

static int error(struct worker *w, const uint64_t *v, struct err *reterr)
{
	const uint64_t args[10] = { 0, v[0], v[1], v[2], v[3], v[4] };
	aim_fire(&w->aim, w->session, "ERROR", args);
	return answer(w, PROTO_FIRED, NULL, reterr);
}

/* Those of the kernel are told to who may trace it. */
static void lookup_kernel(struct worker *w, uint64_t addr, struct proto_symbol *ret)
{
	uint64_t start = 0;
	const char *mod = NULL, *name = w->worlds.kernel ? kern_symbolize(addr, &start, &mod) : NULL;
	if (name)
		*ret = (struct proto_symbol){ (char *)mod, (char *)name, kern_module_start(mod), start };
}

static void lookup_user(struct worker *w, uint32_t proc, uint64_t addr, struct proto_symbol *ret)
{
	const struct obj_sym *sym = NULL;
	struct obj_module *mod = NULL;
	struct obj_proc *p = session_obj(w->session, proc);
	if (p && obj_symbolize(p, addr, &sym, &mod) < 0)
		sym = NULL;
	if (mod)
		*ret = (struct proto_symbol){ mod->name, sym ? (char *)sym->name : NULL, mod->text_start, sym ? sym->addr : mod->bias };
}

static int lookup(struct worker *w, const uint64_t *v, struct err *reterr)
{
	struct proto_symbol s = { 0 };
	if (v[1] >> 63)
		lookup_kernel(w, v[1], &s);
	else if (v[0] && v[0] <= UINT32_MAX)
		lookup_user(w, (uint32_t)v[0], v[1], &s);
	if (!proto_symbol_encode(&w->io.out, &s))
		proto_symbol_encode(&w->io.out, &(struct proto_symbol){ 0 }); /* a name too long for a message */
	return worker_tell(w, reterr);
}

/* Of others than its targets only where the kernel may have recorded addresses of any. */
static int proc_of(struct worker *w, const uint64_t *v, struct err *reterr)
{
	uint64_t proc = 0;
	for (uint32_t i = 0; i < w->target_cnt; i++)
		if ((uint64_t)w->targets[i].pid == v[0] && !w->targets[i].gone)
			proc = w->targets[i].proc;
	if (!proc && w->worlds.kernel && v[0] && v[0] < INT32_MAX && !peer_may_trace(&w->peer, w->conf, (pid_t)v[0], NULL))
		proc = session_proc_of(w->session, (uint32_t)v[0]);
	return answer(w, PROTO_PROC, &proc, reterr);
}

int told(struct worker *w, enum proto_type type, struct proto_in *in, struct err *reterr)
{
	uint64_t v[PROTO_WORDS] = { 0 };
	int rc = type == PROTO_TAIL ? 0 : proto_words_decode(in, type, v, reterr);
	if (rc)
		return rc;
	switch (type) {
	case PROTO_TAIL:
		return tails(w, in, reterr);
	case PROTO_FOLDED:
		return folded(w, v, reterr);
	case PROTO_GEN:
		return gen(w, v, reterr);
	case PROTO_AGGS_READ:
		return aggs_read(w);
	case PROTO_DRAINS:
		__atomic_add_fetch(&session_shm(w->session)->drains, 1, __ATOMIC_SEQ_CST);
		return 0;
	case PROTO_SPEC:
		return spec(w, v, reterr);
	case PROTO_ERROR:
		return error(w, v, reterr);
	case PROTO_LOOKUP:
		return lookup(w, v, reterr);
	case PROTO_PROC_OF:
		return proc_of(w, v, reterr);
	default:
		return wrong(type, reterr);
	}
}
