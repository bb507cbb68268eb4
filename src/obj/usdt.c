/* SPDX-License-Identifier: MIT */
/*
 * USDT: the notes that sys/sdt.h and its like leave (SystemTap's "UserSpaceProbe
 * Implementation", version 3).  They lie in a section that is not loaded:
 *
 *   Elf64_Nhdr, "stapsdt", then  address of the nop, address of .stapsdt.base
 *   when it was linked, address of the semaphore (0: none), and three strings:
 *   provider, name, arguments
 *
 * A program whose probes were declared to dyntrace (-h, -G) has notes of ours
 * besides, which say what the arguments mean: "dyntrace", then strings:
 * provider, name, "NUMBER TYPE" of each argument that scripts see.
 */
#include "obj/obj_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NOTE_STAPSDT 3
#define NOTE_DECL 1
#define ADDRS_BYTES (3 * sizeof(uint64_t))

/* The address of a section, whether or not the file holds it. */
static bool section_addr(const struct obj_img *img, const char *name, uint64_t *ret)
{
	for (uint32_t i = 0; i < img->sh_cnt; i++) {
		if (img->sh[i].sh_name >= img->shstr_bytes || strcmp(img->shstr + img->sh[i].sh_name, name))
			continue;
		*ret = img->sh[i].sh_addr;
		return true;
	}
	return false;
}

/* The next string of [*p, end), which @p is moved behind; NULL: it does not end there. */
static const char *next_string(const char **p, const char *end)
{
	const char *s = *p, *nul = memchr(s, 0, (size_t)(end - s));
	*p = nul ? nul + 1 : end;
	return nul ? s : NULL;
}

/* @delta: how far the file was moved since it was linked. */
static bool parse_desc(const struct obj_img *img, const struct obj_mod *m, const char *desc, const char *end, bool has_base,
		       uint64_t base, struct obj_usdt *ret)
{
	uint64_t at[3], code_end;
	if (end - desc < (ptrdiff_t)ADDRS_BYTES)
		return false;
	memcpy(at, desc, sizeof(at));
	desc += ADDRS_BYTES;
	uint64_t delta = has_base ? base - at[1] : 0;
	*ret = (struct obj_usdt){ .addr = at[0] + delta + m->pub.bias, .sema = at[2] ? at[2] + delta + m->pub.bias : 0 };
	ret->prov = next_string(&desc, end);
	ret->name = next_string(&desc, end);
	ret->args = next_string(&desc, end);
	return ret->prov && ret->name && ret->args && *ret->prov && *ret->name &&
	       obj_img_is_code(img, at[0] + delta, &code_end);
}

static int add(struct obj_mod *m, uint32_t *cap, const struct obj_usdt *u)
{
	if (obj_grow(&m->usdts, cap, m->usdt_cnt + 1ULL, sizeof(*m->usdts)))
		return -ENOMEM;
	m->usdts[m->usdt_cnt++] = *u;
	return 0;
}

/* The contents of the note at *at, if it is of @owner and @type; *at moves behind it. false: there are no more. */
static bool next_note(const char *data, uint64_t bytes, uint64_t *at, const char *owner, uint32_t type, const char **ret,
		      const char **ret_end)
{
	Elf64_Nhdr nh;
	*ret = NULL;
	if (bytes < sizeof(nh) || *at > bytes - sizeof(nh))
		return false;
	memcpy(&nh, data + *at, sizeof(nh));
	uint64_t name = *at + sizeof(nh), desc = name + align_up((uint64_t)nh.n_namesz, 4), end = desc + nh.n_descsz;
	if (end > bytes)
		return false;
	if (nh.n_type == type && nh.n_namesz == strlen(owner) + 1 && !memcmp(data + name, owner, nh.n_namesz)) {
		*ret = data + desc;
		*ret_end = data + end;
	}
	*at = desc + align_up((uint64_t)nh.n_descsz, 4);
	return true;
}

static int parse_notes(const struct obj_img *img, struct obj_mod *m, const char *data, uint64_t bytes)
{
	uint64_t base = 0, at = 0;
	bool has_base = section_addr(img, ".stapsdt.base", &base);
	const char *desc, *end;
	uint32_t cap = 0;
	int rc = 0;
	while (!rc && next_note(data, bytes, &at, "stapsdt", NOTE_STAPSDT, &desc, &end)) {
		struct obj_usdt u;
		if (desc && parse_desc(img, m, desc, end, has_base, base, &u))
			rc = add(m, &cap, &u);
	}
	return rc;
}

/* ---- what we say about them ---- */

static void declare(struct obj_mod *m, const char *desc, const char *end)
{
	const char *prov = next_string(&desc, end), *name = next_string(&desc, end), *types = desc;
	uint32_t cnt = 0;
	while (desc < end && next_string(&desc, end))
		cnt++;
	for (uint32_t i = 0; prov && name && i < m->usdt_cnt; i++) {
		struct obj_usdt *u = &m->usdts[i];
		if (u->types || strcmp(u->prov, prov) || strcmp(u->name, name))
			continue;
		u->types = types;
		u->type_cnt = cnt;
	}
}

static void parse_decls(const struct obj_img *img, struct obj_mod *m)
{
	const Elf64_Shdr *sh = m->usdt_cnt ? obj_img_section(img, ".note.dyntrace") : NULL;
	const char *desc, *end;
	uint64_t at = 0;
	m->usdt_decls = sh ? obj_img_load(img, sh->sh_offset, sh->sh_size) : NULL;
	while (m->usdt_decls && next_note(m->usdt_decls, sh->sh_size, &at, "dyntrace", NOTE_DECL, &desc, &end))
		if (desc)
			declare(m, desc, end);
}

const char *obj_usdt_type(const struct obj_usdt *u, uint32_t i, uint32_t *ret_native)
{
	const char *s = u->types;
	while (i--)
		s += strlen(s) + 1;
	char *end;
	unsigned long n = strtoul(s, &end, 10);
	*ret_native = n < WIRE_UARG_MAX ? (uint32_t)n : UINT32_MAX;
	return end + (*end == ' ');
}

static int by_addr(const void *a, const void *b)
{
	const struct obj_usdt *x = a, *y = b;
	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	int c = strcmp(x->prov, y->prov);
	return c ? c : strcmp(x->name, y->name);
}

static int load(struct obj_proc *p, struct obj_mod *m, struct err *reterr)
{
	struct obj_img img;
	int rc = obj_mod_image(p, m, &img, reterr);
	if (rc)
		return rc;
	const Elf64_Shdr *sh = obj_img_section(&img, ".note.stapsdt");
	m->usdt_data = sh ? obj_img_load(&img, sh->sh_offset, sh->sh_size) : NULL;
	if (m->usdt_data)
		rc = parse_notes(&img, m, m->usdt_data, sh->sh_size);
	if (!rc)
		parse_decls(&img, m);
	obj_img_deinit(&img);
	if (m->usdt_cnt)
		qsort(m->usdts, m->usdt_cnt, sizeof(*m->usdts), by_addr);
	return rc ? err_setf(reterr, rc, "out of memory") : 0;
}

int obj_module_usdt(struct obj_proc *p, struct obj_module *mod, const struct obj_usdt **ret, uint32_t *ret_cnt,
		    struct err *reterr)
{
	struct obj_mod *m = obj_mod(mod);
	int rc = m->has_usdt ? 0 : load(p, m, reterr);
	if (rc)
		return rc;
	m->has_usdt = true;
	*ret = m->usdts;
	*ret_cnt = m->usdt_cnt;
	return 0;
}
