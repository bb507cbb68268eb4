/* SPDX-License-Identifier: MIT */
/*
 * print(): an object by its type, a line a member, as dtrace shows it: what is
 * all zero is left out below the top, an array of characters ends at its NUL,
 * and "..." stands where the object goes on but printsize does not.
 *
 * A structure's closing brace is written when the next line is known, because
 * "..." comes before it.
 */
#include "consume/consume_int.h"

#include <string.h>

#define INDENT 44
#define DEPTH_MAX 10
#define PRINTSIZE 8192

struct printer {
	const struct plan *plan;
	FILE *out;
	const uint8_t *data;
	uint32_t shown, bytes; /* of data: to show, there */
	int closing[DEPTH_MAX]; /* depths of braces to come, the innermost first */
	int closing_cnt;
};

static void flush(struct printer *p)
{
	for (int i = 0; i < p->closing_cnt; i++)
		fprintf(p->out, "%*s}%s\n", INDENT + p->closing[i], "", p->closing[i] ? "," : "");
	p->closing_cnt = 0;
}

static uint64_t load(const uint8_t *at, uint32_t bytes)
{
	uint64_t v = 0;
	memcpy(&v, at, bytes > 8 ? 8 : bytes);
	return v;
}

static int64_t extend(uint64_t v, uint32_t bits, bool is_signed)
{
	uint32_t drop = bits && bits < 64 ? 64 - bits : 0;
	return is_signed ? (int64_t)(v << drop) >> drop : (int64_t)(v << drop >> drop);
}

static bool is_zero(const uint8_t *at, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		if (at[i])
			return false;
	return true;
}

static void put_enum(struct printer *p, const struct plan_type *t, int64_t v)
{
	for (uint32_t i = 0; i < t->part_cnt; i++)
		if (t->parts[i].val == v) {
			fprintf(p->out, "%s", t->parts[i].name);
			return;
		}
	fprintf(p->out, "%lld", (long long)v);
}

static void put_float(struct printer *p, const struct plan_type *t, const uint8_t *at)
{
	char text[CONSUME_FLOAT_MAX];
	if (consume_float_text(text, at, t->bytes))
		fputs(text, p->out);
	else
		fprintf(p->out, "?(%u byte value)", t->bytes);
}

static void put_scalar(struct printer *p, const struct plan_type *t, const struct plan_part *part, const uint8_t *at)
{
	uint32_t bits = part && part->bits ? part->bits : 8 * (t->bytes > 8 ? 8 : t->bytes);
	uint64_t raw = load(at, t->bytes) >> (part && part->bits ? part->bit_off : 0);
	int64_t v = extend(raw, bits, t->is_signed);
	fprintf(p->out, "(%s)", t->name);
	switch (t->kind) {
	case PLAN_TYPE_CHAR: fprintf(p->out, "'%c'", (char)v); break;
	case PLAN_TYPE_ENUM: put_enum(p, t, v); break;
	case PLAN_TYPE_FLOAT: put_float(p, t, at); break;
	case PLAN_TYPE_PTR: fprintf(p->out, "0x%llx", (unsigned long long)raw); break;
	default:
		if (t->is_signed)
			fprintf(p->out, "%lld", (long long)v);
		else
			fprintf(p->out, "%llu", (unsigned long long)v);
	}
	fprintf(p->out, ",\n");
}

/* false: the data ended. */
static bool put(struct printer *p, uint32_t type, const struct plan_part *part, uint64_t off, int depth);

static bool put_array(struct printer *p, const struct plan_type *t, uint64_t off, int depth)
{
	const struct plan_type *elem = &p->plan->types[t->base];
	fprintf(p->out, "(%s) [%s\n", t->name, t->cnt ? "" : "],");
	for (uint32_t i = 0; i < t->cnt; i++) {
		uint64_t at = off + (uint64_t)i * elem->bytes;
		if (elem->is_char && at < p->bytes && !p->data[at])
			break;
		if (!put(p, t->base, NULL, at, depth + 1))
			return false;
	}
	flush(p);
	if (t->cnt)
		fprintf(p->out, "%*s],\n", INDENT + depth, "");
	return true;
}

static bool put_sou(struct printer *p, const struct plan_type *t, uint64_t off, int depth)
{
	bool ok = true;
	fprintf(p->out, "(%s) {\n", t->name);
	for (uint32_t i = 0; ok && i < t->part_cnt; i++)
		ok = put(p, t->parts[i].type, &t->parts[i], off + t->parts[i].off, depth + 1);
	p->closing[p->closing_cnt++] = depth;
	return ok;
}

static bool bits_are_zero(const struct plan_part *part, const uint8_t *at, uint32_t bytes)
{
	return !(load(at, bytes) >> part->bit_off & (part->bits < 64 ? (1ULL << part->bits) - 1 : ~0ULL));
}

static bool put(struct printer *p, uint32_t type, const struct plan_part *part, uint64_t off, int depth)
{
	const struct plan_type *t = &p->plan->types[type];
	bool is_leaf = t->kind != PLAN_TYPE_SOU && t->kind != PLAN_TYPE_ARRAY;
	if (off >= p->shown || depth >= DEPTH_MAX || (is_leaf && off + t->bytes > p->bytes)) {
		fprintf(p->out, "%*s...\n", INDENT + depth, "");
		return false;
	}
	uint32_t there = off + t->bytes > p->bytes ? (uint32_t)(p->bytes - off) : t->bytes;
	if (t->kind == PLAN_TYPE_NONE || (depth && is_zero(p->data + off, there)) ||
	    (part && part->bits && bits_are_zero(part, p->data + off, t->bytes)))
		return true;
	flush(p);
	fprintf(p->out, "%*s", INDENT + depth, "");
	if (part && part->name)
		fprintf(p->out, ".%s = ", part->name);
	if (t->kind == PLAN_TYPE_SOU)
		return put_sou(p, t, off, depth);
	if (t->kind == PLAN_TYPE_ARRAY)
		return put_array(p, t, off, depth);
	put_scalar(p, t, part, p->data + off);
	return true;
}

void consume_print(struct consume *c, FILE *out, const struct plan_act *act, const struct datum_src *src)
{
	struct printer p = { .plan = c->plan, .out = out };
	p.data = consume_val_bytes(c, &act->vals[1], src, &p.bytes);
	uint64_t most = align_up(c->opts.printsize ? c->opts.printsize : PRINTSIZE, 8); /* as dtrace rounds it */
	p.shown = p.bytes < most ? p.bytes : (uint32_t)most;
	fprintf(out, "%p = *\n", (void *)(uintptr_t)consume_val_u64(&act->vals[0], src));
	put(&p, act->type, NULL, 0, 0);
	flush(&p);
}
