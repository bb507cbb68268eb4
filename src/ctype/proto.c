/* SPDX-License-Identifier: MIT */
/*
 * Functions: parameters, and where the System V ABI for x86-64 (section 3.2.3)
 * puts each: integers and pointers in argN, one after the other; what has a
 * floating-point register's class takes none of them; large structures lie on
 * the stack.
 */
#include "ctype/ctype_int.h"

#include <stdlib.h>
#include <string.h>

#define INT_REGS 6
#define SSE_REGS 8

enum class { CLASS_NONE, CLASS_INT, CLASS_SSE, CLASS_MEM };

/* ---- classes ---- */

static enum class merge(enum class a, enum class b)
{
	return a > CLASS_SSE || b > CLASS_SSE ? CLASS_MEM : a == CLASS_INT || b == CLASS_INT ? CLASS_INT : a > b ? a : b;
}

static void put_class(enum class v[2], uint64_t off, uint64_t bytes, enum class c)
{
	for (uint64_t i = off / 8; i < 2 && i * 8 < off + (bytes ? bytes : 1); i++)
		v[i] = merge(v[i], c);
}

/* The classes of the two words of a value of at most 16 bytes. */
static void classify(struct ctype_db *db, const struct tdesc *t, uint64_t off, enum class v[2], uint32_t depth)
{
	t = tdesc_resolve(t);
	if (!t || depth > CTYPE_DEPTH_MAX)
		return;
	switch (t->kind) {
	case TDESC_FLOAT: /* long double goes to the stack, or comes in st(0) */
		put_class(v, off, t->bytes, t->bytes > 8 ? CLASS_MEM : CLASS_SSE);
		break;
	case TDESC_STRUCT:
	case TDESC_UNION:
		ctype_load(db, t);
		for (uint32_t i = 0; i < t->part_cnt; i++)
			classify(db, t->members[i].type, off + t->members[i].bit_off / 8, v, depth + 1);
		break;
	case TDESC_ARRAY:
		for (uint64_t i = 0; i < t->cnt && i < 16 && t->base; i++)
			classify(db, t->base, off + i * t->base->bytes, v, depth + 1);
		break;
	case TDESC_VOID:
		break;
	default:
		put_class(v, off, t->bytes, CLASS_INT);
	}
}

/* ---- places ---- */

struct regs {
	uint32_t ints, sses, words; /* used: registers of both kinds, words of the stack */
};

static void place_int(struct regs *r, struct tdesc_param *p)
{
	p->where = TDESC_ARG;
	/* arg6 and on are the words on the stack. */
	p->slot = r->ints < INT_REGS ? r->ints++ : INT_REGS + r->words++;
}

static void place_stack(struct regs *r, struct tdesc_param *p, uint64_t bytes)
{
	p->where = TDESC_STACK;
	p->slot = r->words;
	r->words += (uint32_t)(align_up(bytes, 8) / 8);
}

/* In registers, if there are enough for all of it. */
static void place_pair(struct regs *r, struct tdesc_param *p, const enum class v[2], uint64_t bytes)
{
	uint32_t ints = (v[0] == CLASS_INT) + (v[1] == CLASS_INT), sses = (v[0] == CLASS_SSE) + (v[1] == CLASS_SSE);
	if (r->ints + ints > INT_REGS || r->sses + sses > SSE_REGS) {
		place_stack(r, p, bytes);
		return;
	}
	p->where = TDESC_WORDS;
	for (int i = 0; i < 2; i++)
		p->slots[i] = v[i] == CLASS_INT ? r->ints++ : v[i] == CLASS_SSE ? TDESC_XMM(r->sses++) : TDESC_NO_WORD;
}

static void place(struct ctype_db *db, struct regs *r, struct tdesc_param *p)
{
	const struct tdesc *t = tdesc_resolve(p->type);
	bool is_sou = t->kind == TDESC_STRUCT || t->kind == TDESC_UNION;
	enum class v[2] = { CLASS_NONE, CLASS_NONE };
	if (is_sou && ctype_by_ref(db, t)) {
		place_int(r, p);
		p->where = TDESC_AT_ARG;
		return;
	}
	if (t->bytes > 16) {
		place_stack(r, p, t->bytes);
		return;
	}
	classify(db, t, 0, v, 0);
	if (v[0] == CLASS_MEM || v[1] == CLASS_MEM)
		place_stack(r, p, t->bytes);
	else if (is_sou || t->bytes > 8 || v[0] == CLASS_SSE)
		place_pair(r, p, v, t->bytes);
	else
		place_int(r, p);
}

static void place_result_words(struct tdesc *f, const enum class v[2])
{
	uint32_t ints = 0, sses = 0;
	f->where = TDESC_WORDS;
	for (int i = 0; i < 2; i++)
		f->slots[i] = v[i] == CLASS_SSE ? TDESC_XMM(sses++) : v[i] != CLASS_INT ? TDESC_NO_WORD :
			      ints++ ? TDESC_RDX : 1;
}

/* Where the result is; true if the caller gave an address for it, as a first argument. */
static bool place_result(struct ctype_db *db, struct tdesc *f)
{
	const struct tdesc *t = tdesc_resolve(f->base);
	bool is_sou = t->kind == TDESC_STRUCT || t->kind == TDESC_UNION;
	enum class v[2] = { CLASS_NONE, CLASS_NONE };
	if (t->bytes <= 16 && !(is_sou && ctype_by_ref(db, t)))
		classify(db, t, 0, v, 0);
	else
		v[0] = CLASS_MEM;
	if (is_sou && v[0] != CLASS_MEM && v[1] != CLASS_MEM) {
		place_result_words(f, v);
		return false;
	}
	if (is_sou) {
		f->where = TDESC_AT_ARG;
		return true;
	}
	if (v[0] == CLASS_MEM)
		f->where = TDESC_LOST;
	else if (v[0] == CLASS_SSE || t->bytes > 8)
		place_result_words(f, v);
	else
		f->where = TDESC_ARG;
	return false;
}

/* ---- parameters ---- */

static uint32_t read_params(struct ctype_db *db, struct ctype_desc *d, Dwarf_Die *from, struct tdesc_param *v,
			    uint32_t cap)
{
	uint32_t cnt = 0;
	Dwarf_Die die;
	for (int rc = dwarf_child(from, &die); !rc; rc = dwarf_siblingof(&die, &die)) {
		if (dwarf_tag(&die) == DW_TAG_unspecified_parameters)
			d->t.is_varargs = true;
		if (dwarf_tag(&die) != DW_TAG_formal_parameter)
			continue;
		if (cnt < cap)
			v[cnt] = (struct tdesc_param){ .name = dwarf_diename(&die),
						       .type = ctype_of_attr(db, d->mod, &die, 0) };
		cnt++;
	}
	return cnt < cap ? cnt : cap;
}

static bool is_go(Dwarf_Die *die)
{
	Dwarf_Die cu;
	return dwarf_diecu(die, &cu, NULL, NULL) && dwarf_srclang(&cu) == DW_LANG_Go;
}

void ctype_load_func(struct ctype_db *db, struct ctype_desc *d)
{
	struct tdesc_param v[64];
	struct regs r = { 0 };
	Dwarf_Attribute a;
	Dwarf_Die origin;
	uint32_t cnt = read_params(db, d, &d->die, v, ARRAY_CNT(v));
	/* A copy of an inlined function can leave out what its original says. */
	if (!cnt && dwarf_attr(&d->die, DW_AT_abstract_origin, &a) && dwarf_formref_die(&a, &origin))
		cnt = read_params(db, d, &origin, v, ARRAY_CNT(v));
	bool go = is_go(&d->die); /* its registers are others */
	r.ints = place_result(db, &d->t);
	for (uint32_t i = 0; i < cnt; i++) {
		place(db, &r, &v[i]);
		if (go)
			v[i].where = TDESC_LOST;
	}
	if (go)
		d->t.where = TDESC_LOST;
	struct tdesc_param *params = ctype_alloc(db, cnt * sizeof(*params));
	if (!params)
		return;
	if (cnt)
		memcpy(params, v, cnt * sizeof(*v));
	d->t.params = params;
	d->t.part_cnt = cnt;
}

/* ---- finding ---- */

/* A function in several pieces begins where one of them does. */
static bool begins_at(Dwarf_Die *func, Dwarf_Addr pc)
{
	Dwarf_Addr base, start, end;
	if (!dwarf_entrypc(func, &start))
		return start == pc;
	if (!dwarf_hasattr(func, DW_AT_ranges))
		return false;
	for (ptrdiff_t off = 0; (off = dwarf_ranges(func, off, &base, &start, &end)) > 0;)
		if (start == pc)
			return true;
	return false;
}

static bool func_in(Dwarf_Die *parent, Dwarf_Addr pc, Dwarf_Die *ret, uint32_t depth)
{
	Dwarf_Die die;
	if (depth > CTYPE_DEPTH_MAX || dwarf_child(parent, &die))
		return false;
	do {
		int tag = dwarf_tag(&die);
		if (tag == DW_TAG_subprogram && begins_at(&die, pc)) {
			*ret = die;
			return true;
		}
		/* Functions stand in namespaces and classes, and Rust's in other functions. */
		if ((tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_structure_type ||
		     tag == DW_TAG_class_type || tag == DW_TAG_subprogram) && func_in(&die, pc, ret, depth + 1))
			return true;
	} while (!dwarf_siblingof(&die, &die));
	return false;
}

/* Without .debug_aranges the units' own ranges tell. */
static bool unit_of(struct ctype_mod *m, Dwarf_Addr pc, Dwarf_Die *ret)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die die;
	uint8_t type;
	if (dwarf_addrdie(m->dw[0], pc, ret))
		return true;
	while (!dwarf_get_units(m->dw[0], cu, &cu, NULL, &type, &die, NULL)) {
		if (dwarf_haspc(&die, pc) == 1) {
			*ret = die;
			return true;
		}
	}
	return false;
}

static const struct tdesc *proto_in(struct ctype_db *db, struct ctype_mod *m, uint64_t vaddr)
{
	Dwarf_Die cu, split = { 0 }, func;
	uint8_t type;
	Dwarf_Addr pc = vaddr - m->dw_bias;
	if (!ctype_mod_open(db, m) || !unit_of(m, pc, &cu))
		return NULL;
	if (!dwarf_cu_info(cu.cu, NULL, &type, NULL, ctype_split_of(m, &split), NULL, NULL, NULL) && type == DW_UT_skeleton && split.addr)
		cu = split;
	if (!func_in(&cu, pc, &func, 0))
		return NULL;
	const struct tdesc *t = ctype_of_die(db, m, &func, 0);
	if (t->kind != TDESC_FUNC)
		return NULL;
	ctype_load(db, t);
	return t;
}

const struct tdesc *ctype_proto(struct ctype_db *db, const char *file, uint64_t vaddr)
{
	for (uint32_t i = 0; i < db->mod_cnt; i++)
		if (!strcmp(db->mods[i]->pub.file, file))
			return proto_in(db, db->mods[i], vaddr);
	return NULL;
}

/* Without the version that a library's symbols carry. */
static bool name_matches(ctype_match_fn *match, const char *func, const char *name)
{
	char plain[512];
	size_t n = strcspn(name, "@");
	if (!name[n] || n >= sizeof(plain))
		return match(func, name);
	memcpy(plain, name, n);
	plain[n] = 0;
	return match(func, plain);
}

static bool is_seen(const struct tdesc *const *v, uint32_t cnt, const struct tdesc *t)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (v[i] == t)
			return true;
	return false;
}

uint32_t ctype_protos(struct ctype_db *db, const char *scope, const char *func, ctype_match_fn *match,
		      const struct tdesc **ret, uint32_t cap, uint32_t *ret_unknown)
{
	uint32_t cnt = 0;
	*ret_unknown = 0;
	for (uint32_t i = 0; i < db->mod_cnt; i++) {
		struct ctype_mod *m = db->mods[i];
		Dwfl_Module *elf = *scope && !ctype_mod_rank(m, scope) ? NULL : ctype_mod_elf(db, m);
		int syms = elf ? dwfl_module_getsymtab(elf) : 0;
		for (int k = 1; k < syms && cnt < cap; k++) {
			GElf_Sym sym;
			GElf_Addr addr;
			const char *name = dwfl_module_getsym_info(elf, k, &sym, &addr, NULL, NULL, NULL);
			if (!name || GELF_ST_TYPE(sym.st_info) != STT_FUNC || !sym.st_value || !name_matches(match, func, name))
				continue;
			const struct tdesc *t = proto_in(db, m, addr);
			if (!t)
				++*ret_unknown;
			else if (!is_seen(ret, cnt, t))
				ret[cnt++] = t;
		}
	}
	return cnt;
}
