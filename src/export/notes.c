/* SPDX-License-Identifier: MIT */
/*
 * What a reader needs of the programs after they have gone, in DIR/dyntrace:
 *
 *   modules      NS PID START END BIAS ID PATH      a line each, hexadecimal but for PID
 *   symbols/ID   VADDR BYTES NAME[<tab>NAME...]      a line each, sorted; stacks have the first name
 *   frames       @ID VADDR, then a line for each function at that address, from
 *                inside out: LINE INLINED FUNC<tab>FILE
 *
 * ID: the build-id, or a number where there is none.  VADDR of a frame is that
 * of the address that was looked up.  Lines of source take long to look up, so
 * that is done at the end; who reads a trace without them can look them up if the
 * file with that build-id is still there.
 */
#include "export/export_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct note_mod {
	uint32_t pid;
	uint64_t start, end, bias;
	char *path, *file; /* as the process sees it; as we open it */
	char id[2 * OBJ_LINES_ID_MAX + 1];
};
struct note_addr {
	uint32_t pid; /* 0: empty */
	bool is_ret;
	uint64_t addr;
};
struct notes {
	char *dir;
	FILE *modules;
	struct note_mod *mods;
	uint32_t mod_cnt, nameless;
	struct note_addr *addrs; /* a hash */
	uint32_t addr_cnt, addr_cap;
#define SEEN_BITS 10
	uint64_t seen[1 << SEEN_BITS]; /* stacks that came lately, by their hash */
};

#define ADDR_MAX (1u << 22)

struct notes *notes_create(const char *dir)
{
	struct notes *n = calloc(1, sizeof(*n));
	char *path;
	if (!n)
		return NULL;
	n->dir = strdup(dir);
	if (n->dir && asprintf(&path, "%s/dyntrace/modules", dir) >= 0) {
		n->modules = fopen(path, "we");
		free(path);
	}
	if (n->modules)
		return n;
	notes_destroy(n);
	return NULL;
}

void notes_destroy(struct notes *n)
{
	if (!n)
		return;
	if (n->modules)
		fclose(n->modules);
	for (uint32_t i = 0; i < n->mod_cnt; i++) {
		free(n->mods[i].path);
		free(n->mods[i].file);
	}
	free(n->mods);
	free(n->addrs);
	free(n->dir);
	free(n);
}

/* ---- modules ---- */

static bool is_noted(const struct notes *n, uint32_t pid, const struct obj_module *m)
{
	for (uint32_t i = n->mod_cnt; i-- > 0;) {
		const struct note_mod *o = &n->mods[i];
		if (o->pid == pid && o->start == m->start && o->end == m->end && !strcmp(o->path, m->path))
			return true;
	}
	return false;
}

static void make_id(struct notes *n, struct obj_proc *p, struct obj_module *m, struct note_mod *ret)
{
	uint8_t id[OBJ_LINES_ID_MAX];
	uint32_t bytes = obj_module_build_id(p, m, id);
	if (!bytes)
		snprintf(ret->id, sizeof(ret->id), "m%u", ++n->nameless);
	for (uint32_t i = 0; i < bytes; i++)
		snprintf(ret->id + 2ul * i, 3, "%02x", id[i]);
}

/* A file appears when it is complete. */
static FILE *file_begin(const struct notes *n, char **ret_tmp)
{
	if (asprintf(ret_tmp, "%s/dyntrace/.new", n->dir) < 0)
		return NULL;
	FILE *fp = fopen(*ret_tmp, "we");
	if (!fp)
		free(*ret_tmp);
	return fp;
}

static int file_end(const struct notes *n, FILE *fp, char *tmp, const char *name)
{
	char *path = NULL;
	bool bad = ferror(fp);
	int rc = 0;
	errno = EIO;
	if (fclose(fp) || bad)
		rc = -errno;
	else if (asprintf(&path, "%s/dyntrace/%s", n->dir, name) < 0)
		rc = -ENOMEM;
	else if (rename(tmp, path))
		rc = -errno;
	if (rc)
		unlink(tmp);
	free(path);
	free(tmp);
	return rc;
}

static int note_symbols(struct notes *n, struct obj_proc *p, struct obj_module *m, const char *id)
{
	char name[2 * OBJ_LINES_ID_MAX + 16], *tmp;
	const struct obj_sym *syms = NULL;
	uint32_t cnt = 0;
	snprintf(name, sizeof(name), "symbols/%s", id);
	if (obj_module_syms(p, m, &syms, &cnt, NULL))
		return 0;
	FILE *fp = file_begin(n, &tmp);
	if (!fp)
		return -errno;
	for (uint32_t i = 0; i < cnt; i++)
		if (i && syms[i].addr == syms[i - 1].addr)
			fprintf(fp, "\t%s", syms[i].name);
		else
			fprintf(fp, "%s%llx %llx %s", i ? "\n" : "", (unsigned long long)(syms[i].addr - m->bias),
				(unsigned long long)syms[i].bytes, syms[i].name);
	if (cnt)
		putc('\n', fp);
	return file_end(n, fp, tmp, name);
}

static bool has_symbols(const struct notes *n, const char *id)
{
	char *path;
	if (asprintf(&path, "%s/dyntrace/symbols/%s", n->dir, id) < 0)
		return false;
	bool has = !access(path, F_OK);
	free(path);
	return has;
}

/* Where its file can be opened, now and while the process lives. */
static char *reachable(uint32_t pid, const struct obj_module *m)
{
	char *path = NULL;
	if (asprintf(&path, "/proc/%u/root%s", pid, m->path) >= 0 && !access(path, R_OK))
		return path;
	free(path);
	return strdup(m->path);
}

static int note_module(struct notes *n, uint32_t pid, struct obj_proc *p, struct obj_module *m, uint64_t since)
{
	struct note_mod *v = realloc(n->mods, (n->mod_cnt + 1ul) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	n->mods = v;
	v += n->mod_cnt;
	*v = (struct note_mod){ .pid = pid, .start = m->start, .end = m->end, .bias = m->bias,
				.path = strdup(m->path), .file = reachable(pid, m) };
	if (!v->path || !v->file) {
		free(v->path);
		free(v->file);
		return -ENOMEM;
	}
	n->mod_cnt++;
	make_id(n, p, m, v);
	/* Who reads meanwhile finds the symbols of what he is told of. */
	int rc = has_symbols(n, v->id) ? 0 : note_symbols(n, p, m, v->id);
	fprintf(n->modules, "%llx %u %llx %llx %llx %s %s\n", (unsigned long long)since, pid, (unsigned long long)m->start,
		(unsigned long long)m->end, (unsigned long long)m->bias, v->id, m->path);
	return rc;
}

int notes_modules(struct notes *n, uint32_t pid, struct obj_proc *p, struct err *reterr)
{
	bool first = true;
	int rc = 0;
	for (uint32_t i = 0; i < n->mod_cnt && first; i++)
		first = n->mods[i].pid != pid;
	uint64_t since = first ? 0 : host_now_ns();
	for (uint32_t i = 0; i < obj_module_cnt(p) && !rc; i++) {
		struct obj_module *m = obj_module_at(p, i);
		if (m->end && !is_noted(n, pid, m))
			rc = note_module(n, pid, p, m, since);
	}
	if (!rc && fflush(n->modules))
		rc = -errno;
	return rc ? err_setf(reterr, rc, "cannot write to %s/dyntrace: %s", n->dir, strerror(-rc)) : 0;
}

/* ---- addresses ---- */

static struct note_addr *addr_slot(struct note_addr *v, uint32_t cap, const struct note_addr *a)
{
	uint32_t i = (uint32_t)((a->addr * WIRE_MULT ^ a->pid * 0x85ebca6bull) >> 20) & (cap - 1);
	while (v[i].pid && (v[i].addr != a->addr || v[i].pid != a->pid || v[i].is_ret != a->is_ret))
		i = (i + 1) & (cap - 1);
	return &v[i];
}

static bool addrs_grow(struct notes *n)
{
	uint32_t cap = n->addr_cap ? n->addr_cap * 2 : 4096;
	struct note_addr *v = cap <= ADDR_MAX ? calloc(cap, sizeof(*v)) : NULL;
	if (!v)
		return false;
	for (uint32_t i = 0; i < n->addr_cap; i++)
		if (n->addrs[i].pid)
			*addr_slot(v, cap, &n->addrs[i]) = n->addrs[i];
	free(n->addrs);
	n->addrs = v;
	n->addr_cap = cap;
	return true;
}

/* Most stacks came before. Who has the hash of another one, one of 2^64, has no lines of source. */
static bool came_lately(struct notes *n, uint32_t pid, const uint8_t *addrs, uint32_t bytes)
{
	uint64_t hash = pid, addr;
	for (uint32_t i = 0; i + 8 <= bytes; i += 8) {
		memcpy(&addr, addrs + i, 8);
		hash = (hash ^ addr) * WIRE_MULT;
		hash ^= hash >> 32;
	}
	uint64_t *seen = &n->seen[hash & ((1u << SEEN_BITS) - 1)];
	bool same = *seen == hash;
	*seen = hash;
	return same;
}

void notes_stack(struct notes *n, uint32_t pid, const uint8_t *addrs, uint32_t bytes)
{
	if (came_lately(n, pid, addrs, bytes))
		return;
	for (uint32_t i = 0; i + 8 <= bytes && pid; i += 8) {
		struct note_addr a = { .pid = pid, .is_ret = i > 0 };
		memcpy(&a.addr, addrs + i, 8);
		if (n->addr_cnt * 2 >= n->addr_cap && !addrs_grow(n))
			return;
		struct note_addr *slot = addr_slot(n->addrs, n->addr_cap, &a);
		n->addr_cnt += !slot->pid;
		*slot = a;
	}
}

/* ---- frames ---- */

static struct obj_lines *lines_of(const struct note_mod *m)
{
	struct obj_lines *l = NULL;
	uint8_t id[OBJ_LINES_ID_MAX];
	char text[2 * OBJ_LINES_ID_MAX + 1] = "";
	if (*m->id == 'm' || (obj_lines_open(m->file, &l) && obj_lines_open(m->path, &l)))
		return NULL;
	uint32_t cnt = obj_lines_build_id(l, id);
	for (uint32_t i = 0; i < cnt; i++)
		snprintf(text + 2ul * i, 3, "%02x", id[i]);
	if (!strcmp(text, m->id))
		return l;
	obj_lines_close(l);
	return NULL;
}

static void put_frame(FILE *fp, const struct note_mod *m, struct obj_lines *l, uint64_t vaddr)
{
	struct obj_line v[EXPORT_FRAMES_MAX];
	uint32_t cnt = obj_lines_at(l, vaddr, v, EXPORT_FRAMES_MAX);
	if (!cnt)
		return;
	fprintf(fp, "@%s %llx\n", m->id, (unsigned long long)vaddr);
	for (uint32_t i = 0; i < cnt; i++)
		fprintf(fp, "%u %d %s\t%s\n", v[i].line, v[i].inlined, v[i].func ? v[i].func : "", v[i].file ? v[i].file : "");
}

struct vaddrs {
	uint64_t *v;
	uint32_t cnt, cap;
};

static bool vaddrs_add(struct vaddrs *a, uint64_t vaddr)
{
	if (a->cnt == a->cap) {
		uint64_t *more = realloc(a->v, (a->cap * 2ul + 64) * sizeof(*more));
		if (!more)
			return false;
		a->v = more;
		a->cap = a->cap * 2 + 64;
	}
	a->v[a->cnt++] = vaddr;
	return true;
}

static bool gather(const struct notes *n, const struct note_mod *m, struct vaddrs *ret)
{
	bool ok = true;
	for (uint32_t i = 0; i < n->addr_cap && ok; i++) {
		const struct note_addr *a = &n->addrs[i];
		if (a->pid == m->pid && a->addr >= m->start && a->addr < m->end)
			ok = vaddrs_add(ret, a->addr - a->is_ret - m->bias);
	}
	return ok;
}

static int cmp_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* Of one file in all processes: it is opened, and each of its addresses looked up, once. */
static int put_module_frames(const struct notes *n, FILE *fp, uint32_t first)
{
	struct vaddrs at = { 0 };
	struct obj_lines *l = NULL;
	bool ok = true;
	for (uint32_t i = first; i < n->mod_cnt && ok; i++)
		ok = strcmp(n->mods[i].id, n->mods[first].id) || gather(n, &n->mods[i], &at);
	for (uint32_t i = first; i < n->mod_cnt && at.cnt && !l; i++)
		l = strcmp(n->mods[i].id, n->mods[first].id) ? NULL : lines_of(&n->mods[i]);
	if (at.cnt)
		qsort(at.v, at.cnt, sizeof(*at.v), cmp_u64);
	for (uint32_t i = 0; i < at.cnt && l; i++)
		if (!i || at.v[i] != at.v[i - 1])
			put_frame(fp, &n->mods[first], l, at.v[i]);
	obj_lines_close(l);
	free(at.v);
	return ok ? 0 : -ENOMEM;
}

static bool is_first(const struct notes *n, uint32_t mod)
{
	for (uint32_t i = 0; i < mod; i++)
		if (!strcmp(n->mods[i].id, n->mods[mod].id))
			return false;
	return true;
}

int notes_frames(struct notes *n, struct err *reterr)
{
	char *tmp;
	FILE *fp = file_begin(n, &tmp);
	int rc = fp ? 0 : -errno;
	for (uint32_t i = 0; fp && !rc && i < n->mod_cnt; i++)
		rc = is_first(n, i) ? put_module_frames(n, fp, i) : 0;
	if (fp) {
		int end = file_end(n, fp, tmp, "frames");
		rc = rc ? rc : end;
	}
	return rc ? err_setf(reterr, rc, "cannot write to %s/dyntrace: %s", n->dir, strerror(-rc)) : 0;
}
