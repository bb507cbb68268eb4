/* SPDX-License-Identifier: MIT */
#include "jit/jit.h"

#include "jit/x86_64/gen_int.h"

#include <errno.h>

static int64_t finish(struct jit_gen *g, struct err *reterr)
{
	int64_t n = x64_finish(&g->a);
	if (n == -ENOSPC)
		err_setf(reterr, -ENOSPC, "the code needs %zu bytes, there are %zu", g->a.len, g->a.cap);
	else if (n < 0)
		err_setf(reterr, (int)n, "no memory to generate code");
	return n;
}

int64_t jit_gen_finish(struct jit_gen *g, struct err *reterr)
{
	int r = jit_gen_body(g, reterr);
	return r < 0 ? r : finish(g, reterr);
}

int64_t jit_body(const struct jit_env *env, enum wire_site_kind kind, const struct ir_prog *const *progs, uint32_t prog_cnt,
		 uint64_t addr, uint8_t *buf, size_t cap, struct err *reterr)
{
	struct jit_gen g;
	jit_gen_init(&g, env, kind, progs, prog_cnt, addr, buf, cap);
	int64_t n = jit_gen_finish(&g, reterr);
	jit_gen_deinit(&g);
	return n;
}

int64_t jit_spot_body(const struct jit_env *env, enum wire_site_kind kind, const struct ir_prog *const *progs, uint32_t prog_cnt,
		      const struct jit_spot *spot, uint8_t *buf, size_t cap, uint32_t *ret_hot_bytes, struct err *reterr)
{
	struct jit_gen g;
	jit_gen_init(&g, env, kind, progs, prog_cnt, spot->addr, buf, cap);
	g.spot = spot;
	int64_t n = jit_gen_finish(&g, reterr);
	*ret_hot_bytes = (uint32_t)g.a.split;
	jit_gen_deinit(&g);
	return n;
}

int64_t jit_hook_body(const struct jit_env *env, enum ir_helper helper, uint64_t addr, uint8_t *buf, size_t cap,
		      struct err *reterr)
{
	struct jit_gen g;
	if ((unsigned)helper >= IR_HELPER_CNT)
		return err_setf(reterr, -EINVAL, "there is no helper %d", (int)helper);
	jit_gen_init(&g, env, WIRE_SITE_HOOK, NULL, 0, addr, buf, cap);
	jit_gen_hook(&g, helper);
	int64_t n = finish(&g, reterr);
	jit_gen_deinit(&g);
	return n;
}
