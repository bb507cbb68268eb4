/* SPDX-License-Identifier: MIT */
#include "exec.h"

#include "ir/interp.h"
#include "ring/ring.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRINGS 3

uint8_t exec_mem[1024];

void exec_input_init(struct exec_input *in)
{
	static const char text[] = "/opt/some.dir/file name with 42 things in it";
	for (size_t i = 0; i < sizeof(exec_mem); i++)
		exec_mem[i] = (uint8_t)(i * 37 + 11);
	memcpy(exec_mem + 512, text, sizeof(text));
	uint64_t addr = (uint64_t)(uintptr_t)(exec_mem + 512);
	for (unsigned i = 0; i < WIRE_REG_CNT; i++)
		in->regs[i] = 0x1111111111111111ULL * (i % 16) + i;
	for (unsigned i = 0; i < ARRAY_CNT(in->tool_args); i++)
		in->tool_args[i] = (uint64_t)i * 1000 - 3000;
	in->regs[WIRE_RDI] = 3;
	in->regs[WIRE_RSI] = in->regs[WIRE_RAX] = in->tool_args[1] = addr;
	in->regs[WIRE_RSP] = addr - 64;
	in->regs[WIRE_RBP] = addr - 32;
}

void exec_interp(void *arg, struct mkshm *m, const struct wire_site *site, const struct exec_input *in,
		 const struct ir_prog *const *progs, uint32_t prog_cnt)
{
	(void)arg;
	struct rt_ctx *ctx = rt_enter(m->shm, mkshm_proc(m, 0), mkshm_thread(m, 0), site, in->regs[WIRE_RSP]);
	if (!ctx)
		return;
	memcpy(ctx->regs, in->regs, sizeof(ctx->regs));
	memcpy(ctx->tool_args, in->tool_args, sizeof(ctx->tool_args));
	ctx->tsc = rt_now_tsc();
	ir_interp_run_all(ctx, progs, prog_cnt);
	rt_leave(ctx);
}

/* ---- what a run leaves behind, as text ---- */

static void dump_area(FILE *f, const char *name, const void *p, uint64_t bytes)
{
	const uint8_t *b = p;
	for (uint64_t off = 0; off < bytes; off += 8) {
		uint64_t v = 0;
		memcpy(&v, b + off, bytes - off < 8 ? bytes - off : 8);
		if (v)
			fprintf(f, "%s+%" PRIu64 ": %016" PRIx64 "\n", name, off, v);
	}
}

static void dump_hex(FILE *f, const uint8_t *p, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i++)
		fprintf(f, "%02x%s", p[i], i % 8 == 7 ? " " : "");
	fputc('\n', f);
}

static void dump_error(FILE *f, const struct wire_rec *rec, unsigned flags)
{
	struct wire_rec_error e;
	if (rec->bytes < sizeof(*rec) + sizeof(e)) {
		fprintf(f, "too short\n");
		return;
	}
	memcpy(&e, rec->payload, sizeof(e));
	fprintf(f, "fault %u value %" PRIx64 " action %" PRIu64, e.fault, e.value, e.action);
	if (!(flags & EXEC_NO_PC))
		fprintf(f, " pc %u", e.pc);
	fputc('\n', f);
}

static void dump_ring(FILE *f, struct mkshm *m, struct wire_thread *t, unsigned flags)
{
	struct ring_reader r;
	const struct wire_rec *rec;
	ring_reader_init(&r, &t->ring, (const uint8_t *)t + m->shm->geom.ring_off, m->shm->geom.ring_bytes);
	while ((rec = ring_reader_next(&r))) {
		if (rec->type == WIRE_REC_VOID || rec->type == WIRE_REC_PAD)
			continue;
		fprintf(f, "record type %u clause %u site %u: ", rec->type, rec->clause, rec->site);
		if (rec->type == WIRE_REC_ERROR)
			dump_error(f, rec, flags);
		else
			dump_hex(f, rec->payload, rec->bytes - sizeof(*rec));
	}
	if (r.bad)
		fprintf(f, "bad records: %" PRIu64 "\n", r.bad);
}

static void dump_aggs(FILE *f, struct mkshm *m, struct wire_thread *t)
{
	const struct wire_thread_geom *g = &m->shm->geom;
	dump_area(f, "counts", (char *)t + g->counts_off, 8 * m->shm->agg_cnt);
	dump_area(f, "aggs", (char *)t + g->agg_off, g->agg_bytes);
}

static void dump_specs(FILE *f, const struct mkshm *m)
{
	const struct wire_shm *s = m->shm;
	const struct wire_spec *specs = (const struct wire_spec *)((const char *)s + s->spec_off);
	fprintf(f, "speculations:");
	for (uint32_t i = 0; i < s->spec_cnt; i++)
		fprintf(f, " %u", specs[i].state);
	fprintf(f, "; lost %u %u %u\n", s->spec_drops, s->spec_busy, s->spec_unavail);
}

static void dump(FILE *f, struct mkshm *m, unsigned flags)
{
	const struct wire_shm *s = m->shm;
	struct wire_thread *t = mkshm_thread(m, 0);
	dump_ring(f, m, t, flags);
	dump_area(f, "global", (const char *)s + s->global_off, s->global_bytes);
	dump_area(f, "self", (char *)t + s->geom.self_off, s->geom.self_bytes);
	dump_area(f, "drops", (char *)t + s->geom.drops_off, 8 * s->clause_cnt);
	dump_area(f, "errors", (char *)t + s->geom.errors_off, 8 * s->clause_cnt);
	dump_aggs(f, m, t);
	dump_area(f, "dyn", (const char *)s + s->dyn_off, s->dyn_bytes);
	dump_specs(f, m);
	if (!(flags & EXEC_NO_SCRATCH))
		dump_area(f, "scratch", mkshm_ctx(m, 0, 0)->scratch, s->scratch_bytes);
	fprintf(f, "level %u, drops %" PRIu64 " %" PRIu64 " %" PRIu64 ", exit status %d\n", t->level, t->level_drops, t->agg_drops,
		t->dyn_drops, s->exit_status);
}

char *exec_run(struct mkshm *m, exec_fn *fn, void *arg, enum wire_site_kind kind, const struct ir_prog *const *progs,
	       uint32_t prog_cnt, unsigned flags)
{
	static char *text; /* static: gcc takes the text for its address otherwise */
	static size_t cnt;
	struct exec_input in;
	unsigned exits = 0;
	exec_input_init(&in);
	mkshm_reset(m);
	for (int i = 0; i < FIRINGS; i++) {
		fn(arg, m, mkshm_site(m, kind), &in, progs, prog_cnt);
		exits += m->shm->exiting != 0;
		m->shm->exiting = 0; /* the next firing runs all the same */
	}
	FILE *f = open_memstream(&text, &cnt);
	if (!f)
		abort();
	dump(f, m, flags);
	fprintf(f, "exits %u\n", exits);
	fclose(f);
	return text;
}

bool exec_diff(const char *a, const char *b, char *line, size_t cap)
{
	while (*a && *b) {
		size_t la = strcspn(a, "\n"), lb = strcspn(b, "\n");
		if (la != lb || memcmp(a, b, la)) {
			snprintf(line, cap, "%.*s | %.*s", (int)la, a, (int)lb, b);
			return true;
		}
		a += la + (a[la] == '\n');
		b += lb + (b[lb] == '\n');
	}
	if (*a != *b)
		snprintf(line, cap, "one text ends before the other: %.200s | %.200s", a, b);
	return *a != *b;
}
