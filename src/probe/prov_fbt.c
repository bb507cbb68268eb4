/* SPDX-License-Identifier: MIT */
/* fbt:MODULE:FUNCTION:entry and :return: functions of the kernel, where it lets programs be placed there. */
#include "probe/probe_int.h"

#include "kern/kern.h"

#include <string.h>

#define ID_FIRST 1000000u /* behind all others, by the kernel's list of functions */

static int offer(struct found *f, const struct probe_spec *s, const struct kern_func *fn, uint32_t id)
{
	struct probe p = { .id = id, .prov = "fbt", .mod = fn->module, .func = fn->name, .name = "entry", .kind = WIRE_SITE_KERNEL,
			   .place = { .at = PROBE_KERN_KPROBE, .name = fn->name, .group = fn->module } };
	int rc = probe_glob(s->name, p.name) ? probe_found(f, &p) : 0;
	p.id++;
	p.name = "return";
	p.place.at = PROBE_KERN_KRETPROBE;
	return rc ? rc : probe_glob(s->name, p.name) ? probe_found(f, &p) : 0;
}

/* A description without a provider means functions only where it names one. */
static bool meant(const struct probe_spec *s)
{
	return *s->prov ? probe_glob(s->prov, "fbt") : *s->func && !obj_is_glob(s->func);
}

static int match(const struct probe_query *q, struct found *f)
{
	const struct probe_spec *s = q->spec;
	const struct kern_func *v;
	uint32_t before = f->cnt, func_cnt = 0;
	bool is_named = !strcmp(s->prov, "fbt");
	if (!meant(s) || (!probe_glob(s->name, "entry") && !probe_glob(s->name, "return") && !is_named))
		return 0;
	if (!kern_can_probe_funcs(is_named ? q->reterr : NULL))
		return 0;
	uint32_t cnt = kern_funcs(&v);
	int rc = 0;
	for (uint32_t i = 0; i < cnt && !rc; i++) {
		if (!probe_glob(s->func, v[i].name) || !probe_glob(s->mod, v[i].module))
			continue;
		func_cnt++;
		rc = offer(f, s, &v[i], ID_FIRST + 2 * i);
	}
	if (!rc && is_named && func_cnt && f->cnt == before)
		err_setf(q->reterr, 0, "probes of functions of the kernel are called entry and return, not %s", s->name);
	else if (!rc && is_named && f->cnt == before)
		near_kernel_functions(s, q->reterr);
	return rc;
}

const struct probe_provider probe_fbt = { "fbt", match };
