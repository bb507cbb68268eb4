/* SPDX-License-Identifier: MIT */
/*
 * Functions of Go programs.  Go's own table of functions stays in a program
 * that was stripped of all symbols, for its runtime needs it, and Go writes no
 * .eh_frame.  Layouts: Go's sources, debug/gosym/pclntab.go and
 * internal/abi/symtab.go.  Nothing in the table is trusted.
 */
#include "obj/obj_int.h"

#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_ALIGN 32

enum go_version { GO_1_2, GO_1_16, GO_1_18 };

struct gotab {
	uint8_t *data; /* all of the section, with a NUL behind it */
	uint64_t bytes;
	enum go_version version;
	uint64_t text;          /* what 4-byte entries count from */
	uint64_t names, funcs;  /* offsets in the section: of names; of the functions' table, whence it counts */
	uint64_t table;         /* that table itself */
	uint64_t cnt;
};

static bool read_at(const struct gotab *g, uint64_t off, uint32_t bytes, uint64_t *ret)
{
	*ret = 0;
	if (off > g->bytes || bytes > g->bytes - off)
		return false;
	memcpy(ret, g->data + off, bytes);
	return true;
}

static bool know_version(struct gotab *g)
{
	uint64_t magic, quantum_and_pointer;
	if (!read_at(g, 0, 4, &magic) || !read_at(g, 6, 2, &quantum_and_pointer) || quantum_and_pointer != 0x0801)
		return false; /* instructions of any length, pointers of 8 bytes */
	switch (magic) {
	case 0xfffffffb:
		g->version = GO_1_2;
		return true;
	case 0xfffffffa:
		g->version = GO_1_16;
		return true;
	case 0xfffffff0:
	case 0xfffffff1:
		g->version = GO_1_18;
		return true;
	default:
		return false;
	}
}

static bool read_header(struct gotab *g)
{
	uint64_t head = 8, skip = g->version == GO_1_18 ? 1 : 0;
	if (!read_at(g, head, 8, &g->cnt) || g->cnt > g->bytes / 8)
		return false;
	if (g->version == GO_1_2) {
		g->table = 16;
		return true;
	}
	/* number of functions, of files, (start of the text,) offsets of names, units, files, pc tables, functions */
	if ((skip && !read_at(g, head + 16, 8, &g->text)) || !read_at(g, head + 8 * (2 + skip), 8, &g->names) ||
	    !read_at(g, head + 8 * (6 + skip), 8, &g->funcs))
		return false;
	g->table = g->funcs;
	return true;
}

/* In a position-independent program the text's address is in its relocation. */
static uint64_t relocated(const struct obj_img *img, uint64_t vaddr, uint64_t value)
{
	const Elf64_Shdr *sh = obj_img_section(img, ".rela.dyn");
	Elf64_Rela *r = sh ? obj_img_load(img, sh->sh_offset, sh->sh_size) : NULL;
	for (uint64_t i = 0; r && i < sh->sh_size / sizeof(*r); i++)
		if (r[i].r_offset == vaddr && ELF64_R_TYPE(r[i].r_info) == R_X86_64_RELATIVE) {
			value = (uint64_t)r[i].r_addend;
			break;
		}
	free(r);
	return value;
}

/* The C compiler's linker, which makes programs that have both, puts it among other data where they are position-independent. */
static bool find_in_data(const struct obj_img *img, const Elf64_Shdr *sh, Elf64_Shdr *ret)
{
	uint8_t *data = sh ? obj_img_load(img, sh->sh_offset, sh->sh_size) : NULL;
	bool found = false;
	for (uint64_t at = 0; data && !found && at + TABLE_ALIGN <= sh->sh_size; at += TABLE_ALIGN) {
		struct gotab g = { .data = data + at, .bytes = sh->sh_size - at };
		found = know_version(&g) && read_header(&g) && g.cnt && g.names < g.bytes && g.table < g.bytes;
		if (found)
			*ret = (Elf64_Shdr){ .sh_addr = sh->sh_addr + at, .sh_offset = sh->sh_offset + at, .sh_size = sh->sh_size - at };
	}
	free(data);
	return found;
}

/* *ret: where it is, as if it were a section of its own. */
static bool find_table(const struct obj_img *img, Elf64_Shdr *ret)
{
	static const char *const names[] = { ".gopclntab", ".data.rel.ro.gopclntab" };
	const Elf64_Shdr *sh = NULL;
	for (size_t i = 0; i < ARRAY_CNT(names) && !sh; i++)
		sh = obj_img_section(img, names[i]);
	if (sh)
		*ret = *sh;
	return sh || ((obj_img_section(img, ".go.buildinfo") || obj_img_section(img, ".note.go.buildid")) &&
		      find_in_data(img, obj_img_section(img, ".data.rel.ro"), ret));
}

bool obj_go_has_table(const struct obj_img *img)
{
	Elf64_Shdr sh;
	return find_table(img, &sh);
}

bool obj_module_is_go(struct obj_proc *p, struct obj_module *mod)
{
	struct obj_mod *m = obj_mod(mod);
	struct obj_img img;
	if (!m->knows_go && !obj_mod_image(p, m, &img, NULL)) {
		m->is_go = obj_go_has_table(&img);
		m->knows_go = true;
		obj_img_deinit(&img);
	}
	return m->is_go;
}

/* Entry @i: where it begins, and where its record is; behind the last there is only the end. */
static bool entry_at(const struct gotab *g, uint64_t i, uint64_t *ret_addr, uint64_t *ret_record)
{
	uint32_t width = g->version == GO_1_18 ? 4 : 8;
	uint64_t at = g->table + i * 2 * width;
	if (!read_at(g, at, width, ret_addr))
		return false;
	*ret_addr += g->text;
	if (i == g->cnt)
		return true;
	if (!read_at(g, at + width, width, ret_record))
		return false;
	*ret_record += g->funcs;
	return true;
}

static uint64_t symbol_in(const struct obj_img *img, const char *name)
{
	struct obj_symtab t;
	uint64_t value = 0;
	if (obj_symtab_load(img, SHT_SYMTAB, 0, &t))
		return 0;
	for (uint64_t i = 1; i < t.cnt && !value; i++)
		if (!strcmp(obj_symtab_name(&t, &t.syms[i]), name))
			value = t.syms[i].st_value;
	obj_symtab_deinit(&t);
	return value;
}

/* Since Go 1.26 the header does not say it.  Go's own linker makes .text of nothing else; the C compiler's has more there. */
static uint64_t find_text(const struct obj_img *img, const struct gotab *g)
{
	const Elf64_Shdr *sh = obj_img_section(img, ".text");
	uint64_t text = symbol_in(img, "runtime.text"), lo, hi, record;
	if (text || !sh || !entry_at(g, 0, &lo, &record) || !entry_at(g, g->cnt, &hi, &record))
		return text;
	return !lo && hi == sh->sh_size ? sh->sh_addr : 0;
}

/* Whether entries are addresses of code: else nothing in the table tells where anything is. */
static bool is_placed(const struct obj_img *img, const struct gotab *g)
{
	uint64_t addr, record, end;
	return (g->version != GO_1_18 || g->text) && entry_at(g, 0, &addr, &record) && obj_img_is_code(img, addr, &end);
}

static int open_table(const struct obj_img *img, struct gotab *ret)
{
	Elf64_Shdr sh;
	if (!find_table(img, &sh))
		return -ENOENT;
	struct gotab g = { .bytes = sh.sh_size, .data = obj_img_load(img, sh.sh_offset, sh.sh_size) };
	if (!g.data || !know_version(&g) || !read_header(&g)) {
		free(g.data);
		return -ENOENT;
	}
	if (g.version == GO_1_18)
		g.text = relocated(img, sh.sh_addr + 24, g.text);
	if (g.version == GO_1_18 && !g.text)
		g.text = find_text(img, &g);
	if (!is_placed(img, &g)) {
		free(g.data);
		return -ENOENT;
	}
	*ret = g;
	return 0;
}

static const char *name_of(const struct gotab *g, uint64_t record)
{
	uint64_t off;
	if (!read_at(g, record + (g->version == GO_1_18 ? 4 : 8), 4, &off) || off > g->bytes ||
	    g->names > g->bytes - off)
		return "";
	return (const char *)g->data + g->names + off;
}

static int add(struct obj_mod *m, const struct obj_img *img, const struct gotab *g, uint32_t *cap)
{
	for (uint64_t i = 0; i < g->cnt; i++) {
		uint64_t addr, next, record, end;
		if (!entry_at(g, i, &addr, &record) || !entry_at(g, i + 1, &next, &end))
			break;
		const char *name = name_of(g, record);
		if (!*name || next <= addr || !strcmp(name, "go.buildid") || !strcmp(name, "go:buildid") ||
		    !obj_img_is_code(img, addr, &end) || next > end)
			continue;
		int rc = obj_grow(&m->syms, cap, m->sym_cnt + 1ULL, sizeof(*m->syms));
		if (rc)
			return rc;
		m->syms[m->sym_cnt++] = (struct obj_sym){ .name = name, .addr = addr + m->pub.bias, .bytes = next - addr,
			.is_func = true };
	}
	return 0;
}

int obj_go_syms(struct obj_mod *m, const struct obj_img *img, uint32_t *cap)
{
	struct gotab g;
	uint32_t before = m->sym_cnt;
	int rc = open_table(img, &g);
	if (rc)
		return rc;
	rc = add(m, img, &g, cap);
	if (!rc && m->sym_cnt == before)
		rc = -ENOENT;
	if (rc) {
		m->sym_cnt = before;
		free(g.data);
		return rc;
	}
	m->strs[m->str_cnt++] = (char *)g.data;
	return 0;
}

int obj_file_go_names(int fd, bool (*fn)(void *arg, const char *name), void *arg)
{
	struct obj_img img;
	struct gotab g;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* an image closes its own */
	int rc = copy < 0 ? -ENOENT : obj_img_open_fd(copy, &img);
	if (rc)
		return rc == -ENOMEM ? rc : -ENOENT;
	rc = open_table(&img, &g);
	for (uint64_t i = 0, addr, record, end; !rc && i < g.cnt && entry_at(&g, i, &addr, &record); i++) {
		const char *name = name_of(&g, record);
		if (*name && strcmp(name, "go.buildid") && strcmp(name, "go:buildid") && obj_img_is_code(&img, addr, &end) && !fn(arg, name))
			break;
	}
	if (!rc)
		free(g.data);
	obj_img_deinit(&img);
	return rc;
}

/* ---- what the runtime enters in the middle ---- */

/* The record's `deferreturn`: a call where a function goes on whose deferred function has recovered from a panic.
 * runtime.goexit: the return address at a goroutine's very first frame is the one behind its first byte, a nop. */
static uint64_t entered_in(const struct gotab *g, uint64_t record, uint64_t bytes)
{
	uint64_t off;
	if (!strcmp(name_of(g, record), "runtime.goexit"))
		return 1;
	if (!read_at(g, record + (g->version == GO_1_18 ? 12 : 16), 4, &off) || off >= bytes)
		return 0;
	return off;
}

static int collect_entered(struct obj_mod *m, const struct gotab *g)
{
	uint32_t cap = 0;
	for (uint64_t i = 0; i < g->cnt; i++) {
		uint64_t addr, next, record, end;
		if (!entry_at(g, i, &addr, &record) || !entry_at(g, i + 1, &next, &end))
			break;
		uint64_t off = next > addr ? entered_in(g, record, next - addr) : 0;
		if (!off)
			continue;
		if (obj_grow(&m->go_entered, &cap, m->go_entered_cnt + 1ULL, sizeof(*m->go_entered)))
			return -ENOMEM;
		m->go_entered[m->go_entered_cnt++] = addr + off + m->pub.bias;
	}
	if (m->go_entered_cnt)
		qsort(m->go_entered, m->go_entered_cnt, sizeof(*m->go_entered), host_compare_u64);
	return 0;
}

/* Go's code is one piece, whoever links it. */
static void note_text(struct obj_mod *m, const struct gotab *g)
{
	uint64_t record;
	if (!entry_at(g, 0, &m->go_lo, &record) || !entry_at(g, g->cnt, &m->go_hi, &record))
		m->go_hi = 0;
}

static int load_entered(struct obj_proc *p, struct obj_mod *m)
{
	struct obj_img img;
	struct gotab g;
	m->lacks_go_entered = true;
	if (obj_mod_image(p, m, &img, NULL))
		return 0;
	int rc = open_table(&img, &g);
	if (!rc) {
		m->lacks_go_entered = false;
		note_text(m, &g);
		rc = collect_entered(m, &g);
		free(g.data);
	}
	obj_img_deinit(&img);
	return rc == -ENOMEM ? rc : 0;
}

static int know_entered(struct obj_proc *p, struct obj_mod *m)
{
	if (!obj_module_is_go(p, &m->pub) || m->has_go_entered)
		return 0;
	int rc = load_entered(p, m);
	if (rc)
		m->go_entered_cnt = 0;
	m->has_go_entered = !rc;
	return rc;
}

bool obj_is_go_code(struct obj_proc *p, struct obj_module *mod, uint64_t addr)
{
	struct obj_mod *m = obj_mod(mod);
	if (!obj_module_is_go(p, mod))
		return false;
	return know_entered(p, m) || !m->go_hi || addr - mod->bias - m->go_lo < m->go_hi - m->go_lo;
}

int obj_go_entered(struct obj_proc *p, struct obj_module *mod, uint64_t lo, uint64_t hi, const uint64_t **ret, uint32_t *ret_cnt)
{
	struct obj_mod *m = obj_mod(mod);
	int rc = know_entered(p, m);
	if (rc || m->lacks_go_entered)
		return rc ? rc : -ENOENT;
	uint32_t a = host_first_u64(m->go_entered, m->go_entered_cnt, lo), b;
	for (b = a; b < m->go_entered_cnt && m->go_entered[b] < hi;)
		b++;
	*ret = m->go_entered + a;
	*ret_cnt = b - a;
	return 0;
}
