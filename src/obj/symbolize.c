/* SPDX-License-Identifier: MIT */
/* From addresses to symbols. */
#include "obj/obj_int.h"

#include "host/host.h"

#include <errno.h>

/* The innermost symbol that covers @addr. Symbols nest (entry points inside
 * assembly functions), so the last one that starts before it may end too
 * early; max_end says how far back a covering one can still be. */
static const struct obj_sym *covering(const struct obj_mod *m, uint64_t addr)
{
	for (uint32_t i = HOST_FIRST(m->syms, m->sym_cnt, addr, addr + 1); i-- > 0 && m->max_end[i] > addr;) {
		uint64_t start = m->syms[i].addr;
		const struct obj_sym *best = NULL;
		for (;; i--) {
			if (addr - start < m->syms[i].bytes)
				best = &m->syms[i];
			if (!i || m->syms[i - 1].addr != start)
				break;
		}
		if (best)
			return best;
	}
	return NULL;
}

int obj_symbolize(struct obj_proc *p, uint64_t addr, const struct obj_sym **ret, struct obj_module **ret_mod)
{
	struct obj_module *mod = obj_module_by_addr(p, addr);
	if (ret_mod)
		*ret_mod = mod;
	const struct obj_sym *syms;
	uint32_t cnt;
	if (!mod || obj_module_syms(p, mod, &syms, &cnt, NULL))
		return -ENOENT;
	const struct obj_sym *s = covering(obj_mod(mod), addr);
	if (!s)
		return -ENOENT;
	*ret = s;
	return 0;
}
