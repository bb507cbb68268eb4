/* SPDX-License-Identifier: MIT */
/* Reads what notes.c wrote: from an address and a time to functions, files and lines. */
#include "export/export_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sym {
	uint64_t vaddr, bytes;
	char *name;  /* into text, mangled */
	char *others; /* names for the same, with tabs between them; NULL: none */
	char *plain; /* demangled, once it was asked for; owned */
};
struct sym_file {
	char *id;    /* owned */
	bool loaded;
	char *text; /* of the file, owned; NULL: there is none */
	struct sym *v;
	uint32_t cnt;
	struct obj_lines *lines;
	bool lines_tried;
};
struct mod {
	uint64_t since, start, end, bias;
	uint32_t pid;
	char *path; /* owned */
	uint32_t file; /* index */
};
struct line {
	uint64_t vaddr;
	uint32_t file; /* index of the sym_file */
	uint32_t first, cnt; /* of the recs */
};
struct symbols {
	char *dir;
	struct mod *mods; /* in the order of time */
	uint32_t mod_cnt;
	uint64_t mods_read; /* bytes */
	struct sym_file *files;
	uint32_t file_cnt;
	char *frames;       /* text */
	struct line *lines; /* sorted by vaddr */
	uint32_t line_cnt;
	struct obj_line *recs; /* strings in frames */
	uint32_t rec_cnt;
};

static char *load(const char *dir, const char *name, uint64_t from, uint64_t *ret_bytes)
{
	char *path, *text = NULL;
	size_t bytes = 0, n;
	if (asprintf(&path, "%s/dyntrace/%s", dir, name) < 0)
		return NULL;
	FILE *fp = fopen(path, "re");
	free(path);
	if (!fp)
		return NULL;
	if (from)
		fseek(fp, (long)from, SEEK_SET);
	do {
		char *more = realloc(text, bytes + 65536 + 1);
		if (!more)
			break;
		text = more;
		n = fread(text + bytes, 1, 65536, fp);
		bytes += n;
	} while (n);
	fclose(fp);
	if (text)
		text[bytes] = 0;
	if (ret_bytes)
		*ret_bytes = bytes;
	return text;
}

/* Cuts the next line off; NULL: no whole one is left. */
static char *next_line(char **at)
{
	char *s = *at, *end = strchr(s, '\n');
	if (!end)
		return NULL;
	*end = 0;
	*at = end + 1;
	return s;
}

/* Room for one more of what doubles from 256 on. */
static bool grow(void *arr, uint32_t cnt, size_t size)
{
	if (cnt && (cnt < 256 || cnt & (cnt - 1)))
		return true;
	void *more = realloc(*(void **)arr, (cnt ? cnt * 2ul : 256) * size);
	if (more)
		*(void **)arr = more;
	return more != NULL;
}

/* ---- symbols of a module ---- */

static int cmp_sym(const void *a, const void *b)
{
	const struct sym *x = a, *y = b;
	return x->vaddr < y->vaddr ? -1 : x->vaddr > y->vaddr;
}

static void load_syms(const struct symbols *s, struct sym_file *f)
{
	char name[2 * OBJ_LINES_ID_MAX + 16], *at, *line;
	if (f->loaded)
		return;
	f->loaded = true;
	snprintf(name, sizeof(name), "symbols/%.130s", f->id);
	f->text = at = load(s->dir, name, 0, NULL);
	while (at && (line = next_line(&at))) {
		char *end;
		struct sym y = { .vaddr = strtoull(line, &end, 16) };
		y.bytes = strtoull(end, &end, 16);
		y.name = *end == ' ' ? end + 1 : end;
		y.others = strchr(y.name, '\t');
		if (y.others)
			*y.others++ = 0;
		if (!grow(&f->v, f->cnt, sizeof(*f->v)))
			return;
		f->v[f->cnt++] = y;
	}
	if (f->cnt)
		qsort(f->v, f->cnt, sizeof(*f->v), cmp_sym);
}

static struct sym *sym_at(const struct sym_file *f, uint64_t vaddr)
{
	uint32_t after = HOST_FIRST(f->v, f->cnt, vaddr, vaddr + 1);
	/* Symbols nest; a few steps back there may be one that reaches further. */
	for (uint32_t i = after, steps = 0; i-- > 0 && steps < 16; steps++)
		if (vaddr - f->v[i].vaddr < f->v[i].bytes)
			return &f->v[i];
	return NULL;
}

static uint32_t file_of(struct symbols *s, const char *id)
{
	for (uint32_t i = 0; i < s->file_cnt; i++)
		if (!strcmp(s->files[i].id, id))
			return i;
	struct sym_file *v = realloc(s->files, (s->file_cnt + 1ul) * sizeof(*v));
	char *copy = v ? strdup(id) : NULL;
	if (v)
		s->files = v;
	if (!copy)
		return WIRE_NONE;
	v[s->file_cnt] = (struct sym_file){ .id = copy };
	return s->file_cnt++;
}

/* ---- modules ---- */

static void add_module(struct symbols *s, char *line)
{
	char *at = line, id[2 * OBJ_LINES_ID_MAX + 1];
	struct mod m = { .since = strtoull(at, &at, 16) };
	m.pid = (uint32_t)strtoul(at, &at, 10);
	m.start = strtoull(at, &at, 16);
	m.end = strtoull(at, &at, 16);
	m.bias = strtoull(at, &at, 16);
	int used = 0;
	if (sscanf(at, " %128s %n", id, &used) != 1 || !used || strchr(id, '/')) /* the name of a file */
		return;
	m.path = strdup(at + used);
	m.file = file_of(s, id);
	struct mod *v = m.path && m.file != WIRE_NONE ? realloc(s->mods, (s->mod_cnt + 1ul) * sizeof(*v)) : NULL;
	if (!v) {
		free(m.path);
		return;
	}
	s->mods = v;
	v[s->mod_cnt++] = m;
}

void symbols_refresh(struct symbols *s)
{
	char *text = load(s->dir, "modules", s->mods_read, NULL), *at = text, *line;
	while (at && (line = next_line(&at)))
		add_module(s, line);
	if (text)
		s->mods_read += (uint64_t)(at - text);
	free(text);
}

/* What was last mapped there before @ns; failing that, what came first. */
static const struct mod *mod_at(const struct symbols *s, uint32_t pid, uint64_t ns, uint64_t addr)
{
	const struct mod *best = NULL;
	for (uint32_t i = 0; i < s->mod_cnt; i++) {
		const struct mod *m = &s->mods[i];
		if (m->pid == pid && addr >= m->start && addr < m->end && (!best || m->since <= ns))
			best = m;
	}
	return best;
}

/* ---- lines ---- */

static int cmp_line(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	return x->vaddr != y->vaddr ? (x->vaddr < y->vaddr ? -1 : 1) : x->file < y->file ? -1 : x->file > y->file;
}

/* "LINE INLINED FUNC\tFILE"; FUNC is cut off there */
static bool parse_frame(char *text, struct obj_line *ret)
{
	char *at;
	ret->line = (uint32_t)strtoul(text, &at, 10);
	ret->inlined = strtoul(at, &at, 10) != 0;
	char *tab = strchr(at, '\t');
	if (*at != ' ' || !tab)
		return false;
	*tab = 0;
	ret->func = at[1] ? at + 1 : NULL;
	ret->file = tab[1] ? tab + 1 : NULL;
	return true;
}

static void load_frames(struct symbols *s)
{
	char *at, *line;
	s->frames = at = load(s->dir, "frames", 0, NULL);
	while (at && (line = next_line(&at))) {
		char *sp = *line == '@' ? strchr(line, ' ') : NULL;
		if (sp && grow(&s->lines, s->line_cnt, sizeof(*s->lines))) {
			*sp = 0;
			s->lines[s->line_cnt++] = (struct line){ .vaddr = strtoull(sp + 1, NULL, 16),
								 .file = file_of(s, line + 1), .first = s->rec_cnt };
		} else if (!sp && s->line_cnt && grow(&s->recs, s->rec_cnt, sizeof(*s->recs)) &&
			   parse_frame(line, &s->recs[s->rec_cnt])) {
			s->rec_cnt++;
			s->lines[s->line_cnt - 1].cnt++;
		}
	}
	if (s->line_cnt)
		qsort(s->lines, s->line_cnt, sizeof(*s->lines), cmp_line);
}

static uint32_t frames_kept(const struct symbols *s, uint32_t file, uint64_t vaddr, struct obj_line *ret)
{
	struct line key = { .vaddr = vaddr, .file = file };
	const struct line *l = s->line_cnt ? bsearch(&key, s->lines, s->line_cnt, sizeof(key), cmp_line) : NULL;
	uint32_t n = l ? (l->cnt < EXPORT_FRAMES_MAX ? l->cnt : EXPORT_FRAMES_MAX) : 0;
	if (n)
		memcpy(ret, s->recs + l->first, n * sizeof(*ret));
	return n;
}

/* The file is still there: its lines can be looked up. */
static uint32_t frames_live(struct symbols *s, const struct mod *m, uint64_t vaddr, struct obj_line *ret)
{
	struct sym_file *f = &s->files[m->file];
	if (!f->lines_tried && *f->id != 'm') {
		uint8_t id[OBJ_LINES_ID_MAX];
		char text[2 * OBJ_LINES_ID_MAX + 1] = "";
		if (!obj_lines_open(m->path, &f->lines)) {
			uint32_t cnt = obj_lines_build_id(f->lines, id);
			for (uint32_t i = 0; i < cnt; i++)
				snprintf(text + 2ul * i, 3, "%02x", id[i]);
		}
		if (strcmp(text, f->id)) {
			obj_lines_close(f->lines);
			f->lines = NULL;
		}
	}
	f->lines_tried = true;
	return f->lines ? obj_lines_at(f->lines, vaddr, ret, EXPORT_FRAMES_MAX) : 0;
}

/* ---- all of it ---- */

struct symbols *symbols_open(const char *dir)
{
	struct symbols *s = calloc(1, sizeof(*s));
	if (!s || !(s->dir = strdup(dir))) {
		free(s);
		return NULL;
	}
	symbols_refresh(s);
	load_frames(s);
	return s;
}

void symbols_close(struct symbols *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->mod_cnt; i++)
		free(s->mods[i].path);
	for (uint32_t i = 0; i < s->file_cnt; i++) {
		free(s->files[i].id);
		free(s->files[i].text);
		for (uint32_t k = 0; k < s->files[i].cnt; k++)
			free(s->files[i].v[k].plain);
		free(s->files[i].v);
		obj_lines_close(s->files[i].lines);
	}
	free(s->recs);
	free(s->mods);
	free(s->files);
	free(s->frames);
	free(s->lines);
	free(s->dir);
	free(s);
}

static const char *plain_name(struct sym *y)
{
	if (!y->plain)
		y->plain = obj_demangle(y->name);
	return y->plain ? y->plain : y->name;
}

static uint32_t lines_at(struct symbols *s, const struct mod *m, uint64_t vaddr, struct obj_line *ret)
{
	uint32_t n = frames_kept(s, m->file, vaddr, ret);
	return n ? n : frames_live(s, m, vaddr, ret);
}

uint32_t symbols_frames(struct symbols *s, uint32_t pid, uint64_t ns, uint64_t addr, bool is_ret,
			struct export_frame ret[EXPORT_FRAMES_MAX])
{
	const struct mod *m = mod_at(s, pid, ns, addr - is_ret);
	ret[0] = (struct export_frame){ .addr = addr, .off = addr };
	if (!m)
		return 1;
	uint64_t vaddr = addr - m->bias;
	load_syms(s, &s->files[m->file]);
	struct sym *y = sym_at(&s->files[m->file], vaddr - is_ret);
	struct obj_line lines[EXPORT_FRAMES_MAX];
	uint32_t n = lines_at(s, m, vaddr - is_ret, lines);
	if (!n)
		lines[n++] = (struct obj_line){ 0 };
	for (uint32_t i = 0; i < n; i++) {
		bool outer = i + 1 == n;
		ret[i] = (struct export_frame){ .addr = addr, .module = m->path, .func = lines[i].func, .file = lines[i].file,
						.line = lines[i].line, .inlined = !outer };
		/* The symbol is what the rest of the program calls the outermost one. */
		if (outer)
			ret[i].off = y ? vaddr - y->vaddr : vaddr;
		if (outer && y) {
			ret[i].func = plain_name(y);
			ret[i].others = y->others;
		}
	}
	return n;
}
