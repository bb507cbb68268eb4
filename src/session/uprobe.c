/* SPDX-License-Identifier: MIT */
/*
 * Probes of processes as the kernel's uprobes, a trap for each hit: where that is asked for, for all of a script of a member of
 * the group over both worlds (ADR 33), or for the places that the in-process way refuses.
 *
 * Returns are probed where the function leaves, as in the process: the kernel's own way (uretprobes) changes return addresses,
 * which exceptions, backtraces and moving stacks do not survive.
 */
#include "session/arm_int.h"
#include "session/kern_int.h"

#include "isa/isa.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct obj_map *map_at(const struct target *t, uint64_t addr)
{
	for (uint32_t i = 0; i < obj_map_cnt(t->obj); i++) {
		const struct obj_map *m = obj_map_at(t->obj, i);
		if (addr >= m->start && addr < m->end)
			return *m->path ? m : NULL;
	}
	return NULL;
}

/* Its name there, malloc'ed; of one that has none any more (deleted, replaced) that of the mapping, which root may follow. */
static char *file_of(pid_t pid, const struct obj_map *m)
{
	char *path;
	if (asprintf(&path, "/proc/%d/root%s", (int)pid, m->path) < 0)
		return NULL;
	if (!access(path, F_OK))
		return path;
	free(path);
	if (asprintf(&path, "/proc/%d/map_files/%llx-%llx", (int)pid, (unsigned long long)m->start, (unsigned long long)m->end) < 0)
		return NULL;
	return path;
}

/* Whether the function is left by a jump to another one at @addr. */
static bool leaves_by_jump(struct target *t, uint64_t addr)
{
	uint8_t code[16];
	struct isa_insn in;
	size_t n = target_read_some(t, addr, code, sizeof(code));
	return isa_decode(code, n, addr, &in) >= 0 && in.flow != ISA_RET;
}

/* The kernel runs the instruction elsewhere, and takes none with some prefixes (arch/x86/kernel/uprobes.c).  It says so only of all places
 * that it is given at once, so asking beforehand saves a search.  Vector instructions (VEX, EVEX, XOP) it does take, and reads some for what
 * their opcodes mean without those prefixes: vxorps is a push to it, vpcmpeqb a jump, vpsubsb a call (6.18), and registers and stack are lost. */
static const char *cannot_run_elsewhere(struct target *t, uint64_t addr)
{
	uint8_t code[15];
	size_t n = target_read_some(t, addr, code, sizeof(code));
	for (size_t i = 0; i < n; i++)
		switch (code[i]) {
		case 0xf0: case 0x26: case 0x2e: case 0x36: case 0x3e:
			return "the kernel watches no instruction with this prefix";
		case 0x66: case 0x67: case 0xf2: case 0xf3: case 0x64: case 0x65:
			break;
		case 0x62: case 0xc4: case 0xc5:
			return "the kernel could take this vector instruction for another one";
		case 0x8f: /* pop, or XOP */
			return i + 1 < n && code[i + 1] & 0x38 ? "the kernel could take this vector instruction for another one" : NULL;
		default:
			return NULL;
		}
	return NULL;
}

/* Its site, and what the kernel has to know of it. */
static int describe(struct session *s, struct target *t, struct uplace *p, struct err *reterr)
{
	const struct probe *probe = p->sp->probe;
	bool is_go = obj_is_go_code(t->obj, probe->module, p->addr);
	uint32_t site = session_site_add(s, probe, p->addr, (enum wire_site_kind)probe->kind);
	if (site == WIRE_NONE)
		return err_setf(reterr, -ENOSPC, "too many probes");
	/* Who may write to the memory is not asked what stands there. */
	struct wire_site *shared = session_site(s, site), own = *shared, *w = &own;
	own.addr = p->addr;
	own.sema = 0;
	own.args = WIRE_NONE;
	p->at.site = site;
	p->kind = probe->kind == WIRE_SITE_USDT ? UPLACE_USDT : probe->kind == WIRE_SITE_RETURN ? UPLACE_RETURN : is_go ? UPLACE_GO : UPLACE_C;
	w->go_args = is_go;
	if (p->kind == UPLACE_RETURN) {
		p->at.word = (int32_t)(p->addr - probe->func_addr);
		w->leaves_by_jump = leaves_by_jump(t, p->addr);
	} else if (p->kind == UPLACE_USDT) {
		p->uargs = malloc(sizeof(*p->uargs));
		int r = p->uargs ? usdt_site_args(t, probe, w, p->uargs, reterr) : job_no_memory(reterr);
		if (r)
			return r;
		const struct obj_map *m = w->sema ? map_at(t, w->sema) : NULL;
		if (w->sema && !m)
			return err_setf(reterr, -ENOTSUP, "its semaphore is in no file that the kernel could count in");
		p->at.count_off = m ? w->sema - m->start + m->off : 0;
	}
	*shared = own;
	return 0;
}

/* @last: of the place before, for most lie in one file; the path is owned by the first that has it. */
static int locate(struct target *t, struct uplace *p, const struct uplace *before, const struct obj_map **last, struct err *reterr)
{
	const struct obj_map *m = map_at(t, p->addr);
	const char *why = cannot_run_elsewhere(t, p->addr);
	if (plan_is_taken(t, p->addr, p->addr + 1))
		return err_setf(reterr, -EBUSY, "a jump of another place has its bytes");
	if (!m || !(m->prot & PROT_EXEC))
		return err_setf(reterr, -ENOENT, "it is in no file that the kernel could watch");
	if (why)
		return err_setf(reterr, -ENOTSUP, "%s", why);
	p->at.off = p->addr - m->start + m->off;
	p->target = t;
	p->path = m == *last ? before->path : file_of(t->pid, m);
	p->owns_path = m != *last;
	*last = m;
	return p->path ? 0 : err_setf(reterr, -ENOMEM, "out of memory");
}

static void answer(struct session_uprobe *v, const struct uplace *p)
{
	v[p->index].armed = !p->rc;
	v[p->index].why = p->why;
}

void session_uprobes_free(struct session_uprobe *v, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt && v; i++)
		free(v[i].why);
	free(v);
}

int session_arm_uprobes(struct session *s, struct session_uprobe *v, uint32_t cnt, struct err *reterr)
{
	struct uplace *places = calloc(cnt + 1ul, sizeof(*places));
	const struct obj_map *last = NULL;
	uint32_t n = 0;
	int r = places ? 0 : err_setf(reterr, -ENOMEM, "out of memory");
	if (!r && !s->kern)
		r = err_setf(reterr, -ENOTSUP, "the session has no memory of the kernel's");
	for (uint32_t i = 0; i < cnt && !r; i++) {
		struct err e = { 0 };
		struct target *t = target_at(s, v[i].probe->proc);
		struct uplace *p = &places[n];
		*p = (struct uplace){ .sp = v[i].probe, .addr = v[i].addr, .index = i, .rc = -ECANCELED };
		int bad = t ? locate(t, p, n ? p - 1 : NULL, &last, &e) : err_setf(&e, -ESRCH, "the process is gone");
		bad = bad ? bad : describe(s, t, p, &e);
		if (bad && p->owns_path) {
			free(p->path);
			last = NULL;
		}
		if (bad) {
			free(p->uargs);
			v[i].why = strdup(e.msg);
		}
		n += !bad;
	}
	if (!r)
		r = skern_arm_uplaces(s->kern, places, n, reterr);
	for (uint32_t i = 0; i < n; i++) {
		answer(v, &places[i]);
		free(places[i].uargs);
		if (places[i].owns_path)
			free(places[i].path);
	}
	free(places);
	return r;
}

/* ---- all of a target's probes ---- */

struct wanted {
	struct session_uprobe *v;
	uint32_t cnt, cap;
	const struct session_probe *probes;
	session_refused_fn *refused;
	void *arg;
	bool failed;
};

static void want(struct wanted *w, uint32_t probe, uint64_t addr)
{
	if (w->cnt == w->cap) {
		uint32_t cap = w->cap ? w->cap * 2 : 64;
		struct session_uprobe *v = realloc(w->v, cap * sizeof(*v));
		w->failed |= !v;
		if (!v)
			return;
		w->v = v;
		w->cap = cap;
	}
	w->v[w->cnt++] = (struct session_uprobe){ .probe = &w->probes[probe], .addr = addr };
}

/* Nobody needs to know the code of a function to watch where it begins. */
static void no_places(void *arg, const struct session_refusal *why)
{
	struct wanted *w = arg;
	if (why->is_whole && why->probe->kind == WIRE_SITE_ENTRY)
		want(w, why->index, why->addr);
	else if (w->refused)
		w->refused(w->arg, why);
}

static int find_places(struct session *s, struct target *t, uint32_t cnt, struct wanted *w, struct err *reterr)
{
	struct request *req = malloc((cnt + 1ul) * sizeof(*req));
	struct job j = { .s = s, .t = t, .probes = w->probes, .probe_cnt = cnt, .refused = no_places, .refused_arg = w, .places_only = true };
	uint32_t n = 0;
	for (uint32_t i = 0; i < cnt && req; i++)
		if (w->probes[i].proc == t->proc)
			req[n++] = (struct request){ w->probes[i].probe->func_addr, i };
	if (req)
		qsort(req, n, sizeof(*req), job_compare_requests);
	int r = req ? job_plan_requests(&j, req, n, reterr) : job_no_memory(reterr);
	for (uint32_t i = 0; i < j.func_cnt && !r; i++)
		for (uint32_t k = 0; k < j.funcs[i].anchor_cnt; k++)
			want(w, j.funcs[i].probe_of[k], j.funcs[i].addr + j.funcs[i].anchors[k].offset);
	job_free(&j);
	free(req);
	return !r && w->failed ? job_no_memory(reterr) : r;
}

int uprobes_arm(struct session *s, struct target *t, const struct session_probe *probes, uint32_t cnt, session_refused_fn *refused,
		void *arg, uint32_t *ret_cnt, struct err *reterr)
{
	struct wanted w = { .probes = probes, .refused = refused, .arg = arg };
	int r = find_places(s, t, cnt, &w, reterr);
	if (!r)
		r = session_arm_uprobes(s, w.v, w.cnt, reterr);
	for (uint32_t i = 0; i < w.cnt && !r; i++) {
		const struct session_uprobe *u = &w.v[i];
		*ret_cnt += u->armed;
		if (!u->armed && refused)
			refused(arg, &(struct session_refusal){ .probe = u->probe->probe, .index = (uint32_t)(u->probe - probes),
								.addr = u->addr, .why = u->why ? u->why : "out of memory", .is_last = true });
	}
	session_uprobes_free(w.v, w.cnt);
	return r;
}
