/* SPDX-License-Identifier: MIT */
/* Symbol tables: from sections, or, where there are none, from the dynamic segment. */
#include "obj/obj_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Versions ("memcpy@@GLIBC_2.14") are cut off in the strings themselves: names
 * that share a tail share the version too. */
static void cut_versions(struct obj_symtab *t)
{
	for (uint64_t i = 0; i < t->cnt; i++) {
		if (t->syms[i].st_name >= t->str_bytes)
			continue;
		char *at = strchr(t->str + t->syms[i].st_name, '@');
		if (!at || at == t->str + t->syms[i].st_name)
			continue;
		const char *ver = at + 1 + (at[1] == '@');
		if ((isalpha((unsigned char)*ver) || *ver == '_') && !strpbrk(ver, "/(<"))
			*at = 0;
	}
}

/* The dynamic symbols' number stands nowhere; the hash tables imply it. */
static uint64_t gnu_hash_cnt(const struct obj_img *img, uint64_t off)
{
	uint32_t h[4]; /* buckets, first symbol, bloom words, shift */
	if (obj_img_read(img, off, h, sizeof(h)) || h[0] > 1u << 24 || h[2] > 1u << 24)
		return 0;
	uint64_t buckets = off + sizeof(h) + h[2] * 8ULL, chains = buckets + h[0] * 4ULL;
	uint32_t max = 0, v;
	for (uint32_t i = 0; i < h[0]; i++) {
		if (obj_img_read(img, buckets + i * 4ULL, &v, 4))
			return 0;
		max = v > max ? v : max;
	}
	if (max < h[1])
		return h[1];
	do {
		if (obj_img_read(img, chains + (max - h[1]) * 4ULL, &v, 4))
			return 0;
		max++;
	} while (!(v & 1));
	return max;
}

static uint64_t dynsym_cnt(const struct obj_img *img, uint64_t bias)
{
	uint64_t vaddr, off, left;
	uint32_t h[2];
	if (!obj_img_dyn(img, DT_HASH, bias, &vaddr) && !obj_img_off(img, vaddr, &off, &left) &&
	    !obj_img_read(img, off, h, sizeof(h)))
		return h[1];
	if (!obj_img_dyn(img, DT_GNU_HASH, bias, &vaddr) && !obj_img_off(img, vaddr, &off, &left))
		return gnu_hash_cnt(img, off);
	return 0;
}

/* ---- one by its name ---- */

/* The section or segment that @tag of the dynamic table means, and what is there from its start on. */
static int dynamic_part(const struct obj_img *img, uint64_t bias, int64_t tag, uint64_t *ret_off)
{
	uint64_t vaddr, left;
	return obj_img_dyn(img, tag, bias, &vaddr) ? -ENOENT : obj_img_off(img, vaddr, ret_off, &left);
}

struct gnu_hash {
	uint64_t bloom, buckets, chains, syms, strs;
	uint32_t bucket_cnt, first, bloom_cnt, shift;
};

static int gnu_hash_open(const struct obj_img *img, uint64_t bias, struct gnu_hash *ret)
{
	uint64_t off;
	uint32_t h[4];
	if (dynamic_part(img, bias, DT_GNU_HASH, &off) || dynamic_part(img, bias, DT_SYMTAB, &ret->syms) ||
	    dynamic_part(img, bias, DT_STRTAB, &ret->strs) || obj_img_read(img, off, h, sizeof(h)) || !h[0] || !h[2])
		return -ENOTSUP;
	ret->bucket_cnt = h[0];
	ret->first = h[1];
	ret->bloom_cnt = h[2];
	ret->shift = h[3] & 31;
	ret->bloom = off + sizeof(h);
	ret->buckets = ret->bloom + h[2] * 8ull;
	ret->chains = ret->buckets + h[0] * 4ull;
	return 0;
}

static bool is_named(const struct obj_img *img, uint64_t off, const char *name)
{
	char have[256];
	size_t len = strlen(name) + 1;
	return len <= sizeof(have) && !obj_img_read(img, off, have, len) && !memcmp(have, name, len);
}

#define CHAIN_MAX 65536

int obj_symtab_lookup(const struct obj_img *img, uint64_t bias, const char *name, Elf64_Sym *ret)
{
	struct gnu_hash g;
	uint32_t hash = 5381, i, v;
	uint64_t word;
	if (gnu_hash_open(img, bias, &g))
		return -ENOTSUP;
	for (const char *c = name; *c; c++)
		hash = hash * 33 + (unsigned char)*c;
	if (obj_img_read(img, g.bloom + hash / 64 % g.bloom_cnt * 8ull, &word, sizeof(word)) ||
	    obj_img_read(img, g.buckets + hash % g.bucket_cnt * 4ull, &i, sizeof(i)))
		return -ENOTSUP;
	if (!(word >> hash % 64 & 1) || !(word >> (hash >> g.shift) % 64 & 1) || !i)
		return -ENOENT;
	for (uint32_t n = 0; n < CHAIN_MAX && i >= g.first; n++, i++) {
		if (obj_img_read(img, g.chains + (i - g.first) * 4ull, &v, sizeof(v)))
			return -ENOTSUP;
		if ((v | 1) == (hash | 1) && !obj_img_read(img, g.syms + i * sizeof(*ret), ret, sizeof(*ret)) &&
		    ret->st_shndx != SHN_UNDEF && is_named(img, g.strs + ret->st_name, name))
			return 0;
		if (v & 1)
			return -ENOENT;
	}
	return -ENOTSUP;
}

/* ---- all ---- */

static int load_dynamic(const struct obj_img *img, uint64_t bias, struct obj_symtab *ret)
{
	uint64_t sym, str, str_bytes, sym_off, str_off, left;
	if (obj_img_dyn(img, DT_SYMTAB, bias, &sym) || obj_img_dyn(img, DT_STRTAB, bias, &str) ||
	    obj_img_dyn(img, DT_STRSZ, bias, &str_bytes))
		return -ENOENT;
	if (obj_img_off(img, sym, &sym_off, &left) || obj_img_off(img, str, &str_off, &left))
		return -ENOENT;
	ret->cnt = dynsym_cnt(img, bias);
	ret->str_bytes = str_bytes;
	ret->syms = obj_img_load(img, sym_off, ret->cnt * sizeof(Elf64_Sym));
	ret->str = obj_img_load(img, str_off, str_bytes);
	return 0;
}

static int load_section(const struct obj_img *img, uint32_t type, struct obj_symtab *ret)
{
	const Elf64_Shdr *sh = obj_img_section_type(img, type);
	if (!sh || sh->sh_link >= img->sh_cnt || sh->sh_entsize != sizeof(Elf64_Sym))
		return -ENOENT;
	const Elf64_Shdr *str = &img->sh[sh->sh_link];
	ret->cnt = sh->sh_size / sizeof(Elf64_Sym);
	ret->str_bytes = str->sh_size;
	ret->syms = obj_img_load(img, sh->sh_offset, ret->cnt * sizeof(Elf64_Sym));
	ret->str = obj_img_load(img, str->sh_offset, str->sh_size);
	return 0;
}

int obj_symtab_load(const struct obj_img *img, uint32_t type, uint64_t bias, struct obj_symtab *ret)
{
	struct obj_symtab t = { 0 };
	int rc = load_section(img, type, &t);
	if (rc && type == SHT_DYNSYM)
		rc = load_dynamic(img, bias, &t);
	if (!rc && (!t.syms || !t.str))
		rc = -ENOENT;
	if (rc) {
		obj_symtab_deinit(&t);
		return rc;
	}
	cut_versions(&t);
	*ret = t;
	return 0;
}

void obj_symtab_deinit(struct obj_symtab *t)
{
	if (!t)
		return;
	free(t->syms);
	free(t->str);
	*t = (struct obj_symtab){ 0 };
}

const char *obj_symtab_name(const struct obj_symtab *t, const Elf64_Sym *s)
{
	return s->st_name < t->str_bytes ? t->str + s->st_name : "";
}
