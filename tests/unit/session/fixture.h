/* SPDX-License-Identifier: MIT */
/* A session over one hand-made program: count() and quantize(arg0) at each probe. */
#ifndef TESTS_SESSION_FIXTURE_H
#define TESTS_SESSION_FIXTURE_H

#include "../tap.h"
#include "../../trigger/target.h"
#include "rt/rt.h"
#include "session/session.h"

#define PROBES_MAX 64

struct fixture {
	struct ir_image img;
	struct ir_prog prog;
	struct session *s;
	uint32_t proc;
	struct probe probes[PROBES_MAX];
	struct session_probe sp[PROBES_MAX];
	uint32_t probe_cnt;
	uint32_t refused;
};

static inline bool fixture_init(struct fixture *f)
{
	static struct wire_agg aggs[] = { { .fn = WIRE_AGG_COUNT, .val_cnt = 1 },
					  { .fn = WIRE_AGG_QUANTIZE, .val_cnt = WIRE_QUANTIZE_CNT } };
	struct session_opts opts = { .agent_path = AGENT_PATH, .ring_bytes = 1 << 16, .agg_bytes = 1 << 16 };
	struct ir_builder *b = ir_builder_create(0);
	struct err e;
	*f = (struct fixture){ 0 };
	f->img = (struct ir_image){ .progs = &f->prog, .prog_cnt = 1, .aggs = aggs, .agg_cnt = 2, .strsize = 64 };
	uint32_t arg = ir_vreg(b);
	ir_emit(b, IR_OP_ARG, arg, WIRE_NONE, WIRE_NONE, 0, 0);
	ir_emit(b, IR_OP_AGG, WIRE_NONE, arg, WIRE_NONE, 0, IR_NO_TUPLE);
	ir_emit(b, IR_OP_AGG, WIRE_NONE, arg, WIRE_NONE, 1, IR_NO_TUPLE);
	ir_emit(b, IR_OP_RET, WIRE_NONE, WIRE_NONE, WIRE_NONE, 0, 0);
	CHECK(ir_builder_finish(b, &f->prog) == 0);
	ir_builder_destroy(b);
	ir_image_intern(&f->img, "", 0);
	CHECK_MSG(!ir_image_verify(&f->img, &e), "%s", e.msg);
	return CHECK_MSG(!session_create(&f->img, &opts, &f->s, &e), "%s", e.msg);
}

static inline void fixture_deinit(struct fixture *f)
{
	session_destroy(f->s);
	ir_prog_deinit(&f->prog);
	free(f->img.strs);
}

/* Adds a probe at @name of a module whose name begins with @mod. */
static inline bool fixture_probe(struct fixture *f, const char *mod, const char *name, uint8_t kind)
{
	static const uint32_t progs[] = { 0 };
	struct obj_proc *obj = session_obj(f->s, f->proc);
	for (uint32_t i = 0; i < obj_module_cnt(obj); i++) {
		struct obj_module *m = obj_module_at(obj, i);
		const struct obj_sym *syms;
		uint32_t cnt;
		if (strncmp(m->name, mod, strlen(mod)) || !m->end || obj_module_syms(obj, m, &syms, &cnt, NULL))
			continue;
		for (uint32_t k = 0; k < cnt && f->probe_cnt < PROBES_MAX; k++) {
			if (strcmp(syms[k].name, name) || !syms[k].is_func)
				continue;
			uint32_t n = f->probe_cnt++;
			f->probes[n] = (struct probe){ .id = n + 1, .prov = "pid", .mod = m->name, .func = syms[k].name,
				.name = kind == WIRE_SITE_RETURN ? "return" : "entry", .kind = kind, .module = m,
				.func_addr = syms[k].addr, .func_bytes = syms[k].bytes };
			f->sp[n] = (struct session_probe){ &f->probes[n], f->proc, progs, 1 };
			return true;
		}
	}
	return CHECK_MSG(false, "no function %s in %s", name, mod);
}

static inline void fixture_refused(void *arg, const struct session_refusal *r)
{
	struct fixture *f = arg;
	printf("# refused: %s:%s at 0x%llx: %s\n", r->probe->func, r->probe->name, (unsigned long long)r->addr, r->why);
	f->refused++;
}

static inline uint32_t fixture_arm(struct fixture *f)
{
	uint32_t sites = 0;
	struct err e;
	CHECK_MSG(!session_arm(f->s, f->sp, f->probe_cnt, fixture_refused, f, &sites, &e), "%s", e.msg);
	session_enable(f->s, true);
	return sites;
}

static inline bool fixture_attach(struct fixture *f, pid_t pid)
{
	struct err e;
	return CHECK_MSG(!session_attach(f->s, pid, &f->proc, &e), "%s", e.msg);
}

static inline bool fixture_disarm(struct fixture *f)
{
	struct err e;
	return CHECK_MSG(!session_disarm(f->s, &e), "%s", e.msg);
}

static inline int fixture_add(void *arg, uint32_t agg, uint32_t gen, const uint8_t *key, uint32_t key_bytes,
			      const uint64_t *val, uint32_t cnt)
{
	uint64_t *sum = arg;
	(void)gen;
	(void)key;
	(void)key_bytes;
	for (uint32_t i = 0; i < cnt; i++)
		sum[agg] += val[i];
	return 0;
}

/* Hits counted so far. */
static inline uint64_t fixture_hits(struct fixture *f)
{
	struct wire_shm *shm = session_shm(f->s);
	uint64_t sum[2] = { 0 };
	for (uint32_t i = 0; i < shm->thread_cnt; i++) {
		const uint8_t *area = (const uint8_t *)shm + shm->thread_off + i * shm->geom.stride;
		if (((const struct wire_thread *)area)->state != WIRE_THREAD_FREE)
			rt_agg_walk(shm, area, f->img.aggs, f->img.agg_cnt, fixture_add, sum);
	}
	return sum[0];
}

/* Lines of /proc/PID/maps that show anything of ours. */
static inline uint32_t fixture_traces(pid_t pid)
{
	char path[64], line[512];
	uint32_t n = 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	FILE *m = fopen(path, "re");
	while (m && fgets(line, sizeof(line), m))
		n += strstr(line, "dyntrace") != NULL;
	if (m)
		fclose(m);
	return n;
}

/* Executable file mappings, hashed: equal before and after. */
static inline uint64_t fixture_text_hash(pid_t pid)
{
	char path[64], line[512], perm[8];
	uint64_t h = 0xcbf29ce484222325ULL;
	unsigned long long start, end;
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	FILE *m = fopen(path, "re");
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	while (m && fgets(line, sizeof(line), m)) {
		if (sscanf(line, "%llx-%llx %7s", &start, &end, perm) != 3 || perm[2] != 'x' || !strchr(line, '/') ||
		    strstr(line, "dyntrace"))
			continue;
		uint8_t *buf = malloc(end - start);
		ssize_t n = pread(fd, buf, end - start, (off_t)start);
		for (ssize_t i = 0; i < n; i++)
			h = (h ^ buf[i]) * 0x100000001b3ULL;
		free(buf);
	}
	if (m)
		fclose(m);
	close(fd);
	return h;
}

#endif
