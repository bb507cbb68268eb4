/* SPDX-License-Identifier: MIT */
/* Arguments of USDT probes: where the note of the place that was hit says. */
#include "rt/helpers.h"

static const struct wire_uargs *uargs_of(const struct rt_ctx *ctx)
{
	if (ctx->site->args == WIRE_NONE)
		return NULL;
	return (const struct wire_uargs *)((const uint8_t *)ctx->shm + ctx->shm->str_off + ctx->site->args);
}

static uint64_t extend(uint64_t v, unsigned bytes, bool is_signed)
{
	unsigned unused = 64 - 8 * bytes;
	return !bytes || bytes > 8 ? 0 : is_signed ? (uint64_t)((int64_t)(v << unused) >> unused) : v << unused >> unused;
}

static uint64_t reg_of(const struct rt_ctx *ctx, uint8_t reg)
{
	return reg < WIRE_REG_CNT ? ctx->regs[reg] : reg == WIRE_UARG_FS ? ctx->thr->key : 0;
}

/* false: *ret is the address that cannot be read. */
static bool value(struct rt_ctx *ctx, const struct wire_uarg *a, uint64_t *ret)
{
	uint64_t v = 0;
	switch ((enum wire_uarg_kind)a->kind) {
	case WIRE_UARG_NONE:
		break;
	case WIRE_UARG_CONST:
		v = a->val;
		break;
	case WIRE_UARG_REG:
		v = extend(reg_of(ctx, a->reg) >> (a->shift & 63), a->reg_bytes, a->is_signed);
		break;
	case WIRE_UARG_MEM: {
		uint64_t addr = reg_of(ctx, a->reg) + (reg_of(ctx, a->index) << (a->shift & 63)) + a->val;
		if (a->bytes > 8 || rt_mem_read(ctx, &v, addr, a->bytes)) {
			*ret = addr;
			return false;
		}
		break;
	}
	case WIRE_UARG_XMM:
		v = rt_xmm(ctx, a->reg, 0, 0, 0);
		break;
	}
	*ret = extend(v, a->bytes, a->is_signed);
	return true;
}

static bool nth(struct rt_ctx *ctx, uint64_t n, uint64_t *ret)
{
	const struct wire_uargs *args = uargs_of(ctx);
	*ret = 0;
	return !args || n >= args->cnt || n >= WIRE_UARG_MAX || value(ctx, &args->v[n], ret);
}

void rt_site_args(struct rt_ctx *ctx, uint32_t mask)
{
	ctx->args_bad = 0;
	for (uint32_t n = 0; mask; n++, mask >>= 1)
		if (mask & 1 && !nth(ctx, n, &ctx->tool_args[n]))
			ctx->args_bad |= 1u << n;
}

uint64_t rt_site_arg(struct rt_ctx *ctx, uint64_t n)
{
	uint64_t v;
	if (nth(ctx, n, &v))
		return v;
	rt_set_fault(ctx, WIRE_FAULT_BADADDR, v);
	return 0;
}
