/* SPDX-License-Identifier: MIT */
/*
 * Landing pads: the language-specific data of C++ ("Exception Handling Tables",
 * HP/Itanium; as gcc writes it, see also LSB 5.0 Core, .gcc_except_table).
 *
 *   lpstart encoding, [lpstart], ttype encoding, [ttype uleb], call site
 *   encoding, bytes uleb, { start, length, landing pad, action uleb } ...
 */
#include "obj/obj_int.h"

#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>

#define LSDA_MAX (1u << 20)

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static uint32_t add_pad(uint64_t *ret, uint32_t cap, uint32_t cnt, uint64_t addr)
{
	for (uint32_t i = 0; i < cnt && i < cap; i++)
		if (ret[i] == addr)
			return cnt;
	if (cnt < cap)
		ret[cnt] = addr;
	return cnt + 1;
}

static int parse(struct obj_cur *c, uint64_t vaddr, uint64_t base, uint64_t bias, uint64_t *ret, uint32_t cap)
{
	const uint8_t *start = c->p;
	uint8_t enc = (uint8_t)obj_cur_u(c, 1);
	if (enc != DW_EH_PE_omit)
		base = obj_cur_encoded(c, enc, vaddr + (uint64_t)(c->p - start));
	if (obj_cur_u(c, 1) != DW_EH_PE_omit)
		obj_cur_uleb(c);
	enc = (uint8_t)obj_cur_u(c, 1);
	uint64_t bytes = obj_cur_uleb(c);
	if (c->bad || bytes > (uint64_t)(c->end - c->p))
		return -EBADMSG;
	c->end = c->p + bytes;
	uint32_t cnt = 0;
	while (c->p < c->end) {
		/* Offsets, whatever the encoding's application bits say. */
		obj_cur_encoded(c, enc & 0x0f, 0);
		obj_cur_encoded(c, enc & 0x0f, 0);
		uint64_t pad = obj_cur_encoded(c, enc & 0x0f, 0);
		obj_cur_uleb(c);
		if (c->bad)
			return -EBADMSG;
		if (pad)
			cnt = add_pad(ret, cap, cnt, base + pad + bias);
	}
	if (cap)
		qsort(ret, cnt < cap ? cnt : cap, sizeof(*ret), by_value);
	return (int)cnt;
}

int obj_landing_pads(struct obj_proc *p, struct obj_module *mod, uint64_t func_addr, uint64_t *ret, uint32_t cap)
{
	struct obj_mod *m = obj_mod(mod);
	int rc = obj_mod_frames(p, m, NULL);
	if (rc)
		return rc;
	const struct obj_fde *fde = obj_frames_find(&m->frames, func_addr - mod->bias);
	if (!fde || !fde->lsda)
		return 0;
	uint8_t head[64];
	/* How long it is stands in its head; all of it is read then. */
	size_t n = sizeof(head);
	while (n > 8 && obj_module_text(p, mod, fde->lsda + mod->bias, head, n))
		n /= 2;
	struct obj_cur c = { head, head + n, false };
	uint8_t enc = (uint8_t)obj_cur_u(&c, 1);
	obj_cur_encoded(&c, enc, 0);
	if (obj_cur_u(&c, 1) != DW_EH_PE_omit)
		obj_cur_uleb(&c);
	obj_cur_u(&c, 1);
	uint64_t bytes = obj_cur_uleb(&c) + (uint64_t)(c.p - head);
	if (c.bad || bytes > LSDA_MAX)
		return -EBADMSG;
	uint8_t *data = malloc(bytes + 1);
	if (!data)
		return -ENOMEM;
	rc = obj_module_text(p, mod, fde->lsda + mod->bias, data, bytes);
	c = (struct obj_cur){ data, data + bytes, false };
	if (!rc)
		rc = parse(&c, fde->lsda, fde->start, mod->bias, ret, cap);
	free(data);
	return rc;
}
