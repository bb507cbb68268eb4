/* SPDX-License-Identifier: MIT */
/*
 * Symbols of large modules, kept from one run to the next (host/cache.h): sorted, without doubles, complete.  An entry depends
 * on the module's file and on that of its separate symbols, or on there being none; each is the very file, which only root or
 * the user may have written.  What is read is checked as if a stranger had written it.
 */
#include "obj/obj_int.h"

#include "host/cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define VERSION 1
#define WORTH (10000u * sizeof(Elf64_Sym)) /* of tables: less is read sooner than looked up */

enum { IS_FUNC = 1, IS_IFUNC = 2, IS_LOCAL = 4, IS_WEAK = 8 };

struct kept_sym {
	uint64_t vaddr, bytes;
	uint32_t name; /* from the first string */
	uint32_t flags;
};

static bool keeps;

void obj_keep_tables(bool on) { keeps = on; }

static uint64_t table_bytes(const struct obj_img *img)
{
	const Elf64_Shdr *sym = obj_img_section_type(img, SHT_SYMTAB), *dyn = obj_img_section_type(img, SHT_DYNSYM);
	return (sym ? sym->sh_size : 0) + (dyn ? dyn->sh_size : 0);
}

static bool file_of(const struct obj_img *img, struct host_cache_file *ret)
{
	struct stat st;
	return img->fd >= 0 && !fstat(img->fd, &st) && host_cache_file(&st, ret);
}

bool obj_kept_file(const struct obj_img *img, const char *kind, uint32_t version, struct obj_kept *ret)
{
	ret->key = (struct host_cache_key){ .id = ret->id, .kind = kind, .version = version };
	return keeps && file_of(img, &ret->key.file) && (ret->key.id_bytes = obj_img_build_id(img, ret->id)) >= 8;
}

bool obj_kept_key(struct obj_proc *p, struct obj_mod *m, const struct obj_img *img, struct obj_kept *ret)
{
	struct host_cache_file file = { 0 };
	struct obj_img dbg;
	uint64_t bytes = table_bytes(img);
	bool ok = obj_kept_file(img, "symbols", VERSION, ret);
	if (ok && !obj_img_section_type(img, SHT_SYMTAB) && !obj_debug_image(p, m, img, &dbg)) {
		bytes += table_bytes(&dbg);
		ok = file_of(&dbg, &file);
		obj_img_deinit(&dbg);
	}
	ret->key.key = host_hash(m->frames.fde_cnt, &file, sizeof(file));
	return ok && bytes >= WORTH;
}

/* ---- reading ---- */

static bool take(struct obj_mod *m, const struct obj_img *img, const struct kept_sym *k, uint64_t cnt, const char *strs, uint64_t str_bytes)
{
	for (uint64_t i = 0; i < cnt; i++) {
		uint64_t end;
		bool fine = k[i].name < str_bytes && k[i].bytes && k[i].vaddr + k[i].bytes > k[i].vaddr &&
			    (!i || k[i].vaddr >= k[i - 1].vaddr) && obj_img_is_code(img, k[i].vaddr, &end);
		if (!fine)
			return false;
		m->syms[i] = (struct obj_sym){ .name = strs + k[i].name, .addr = k[i].vaddr + m->pub.bias, .bytes = k[i].bytes,
			.is_func = k[i].flags & IS_FUNC, .is_ifunc = k[i].flags & IS_IFUNC,
			.is_local = k[i].flags & IS_LOCAL, .is_weak = k[i].flags & IS_WEAK };
	}
	return true;
}

static bool take_all(struct obj_mod *m, const struct obj_img *img, const uint8_t *data, uint64_t bytes)
{
	uint64_t cnt;
	if (bytes <= sizeof(cnt))
		return false;
	memcpy(&cnt, data, sizeof(cnt));
	bytes -= sizeof(cnt);
	if (!cnt || cnt >= UINT32_MAX || cnt >= bytes / sizeof(struct kept_sym))
		return false;
	const struct kept_sym *v = (const struct kept_sym *)(data + sizeof(cnt));
	const char *strs = (const char *)(v + cnt);
	uint64_t str_bytes = bytes - cnt * sizeof(*v);
	m->syms = malloc(cnt * sizeof(*m->syms));
	bool ok = str_bytes && !strs[str_bytes - 1] && m->syms && take(m, img, v, cnt, strs, str_bytes);
	m->sym_cnt = ok ? (uint32_t)cnt : 0;
	return ok;
}

bool obj_kept_load(struct obj_mod *m, const struct obj_img *img, const struct obj_kept *k)
{
	uint64_t bytes;
	uint8_t *data = host_cache_load(&k->key, &bytes);
	if (data && take_all(m, img, data, bytes)) {
		m->strs[m->str_cnt++] = (char *)data;
		return true;
	}
	free(m->syms);
	m->syms = NULL;
	free(data);
	return false;
}

/* ---- writing ---- */

static void fill(const struct obj_mod *m, struct kept_sym *v, char *strs)
{
	uint32_t at = 0;
	for (uint32_t i = 0; i < m->sym_cnt; i++) {
		const struct obj_sym *s = &m->syms[i];
		size_t n = strlen(s->name) + 1;
		v[i] = (struct kept_sym){ .vaddr = s->addr - m->pub.bias, .bytes = s->bytes, .name = at,
			.flags = (s->is_func ? IS_FUNC : 0) | (s->is_ifunc ? IS_IFUNC : 0) | (s->is_local ? IS_LOCAL : 0) |
				 (s->is_weak ? IS_WEAK : 0) };
		memcpy(strs + at, s->name, n);
		at += (uint32_t)n;
	}
}

void obj_kept_store(const struct obj_mod *m, const struct obj_kept *k)
{
	uint64_t cnt = m->sym_cnt, str_bytes = 0;
	for (uint32_t i = 0; i < m->sym_cnt; i++)
		str_bytes += strlen(m->syms[i].name) + 1;
	uint64_t bytes = sizeof(cnt) + cnt * sizeof(struct kept_sym) + str_bytes;
	uint8_t *data = cnt && str_bytes < UINT32_MAX ? malloc(bytes) : NULL;
	if (!data)
		return;
	memcpy(data, &cnt, sizeof(cnt));
	fill(m, (struct kept_sym *)(data + sizeof(cnt)), (char *)data + sizeof(cnt) + cnt * sizeof(struct kept_sym));
	host_cache_store(&k->key, data, bytes);
	free(data);
}
