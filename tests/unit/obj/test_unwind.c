/* SPDX-License-Identifier: MIT */
/* Unwind rows against `readelf --debug-dump=frames-interp`. */
#include "../tap.h"
#include "obj/obj.h"
#include "spawn.h"

#include <dlfcn.h>

struct table {
	struct wire_unw_row *rows;
	uint32_t cnt;
	uint64_t base; /* vaddr of pc 0 */
	uint32_t compared, wrong;
};

static const struct wire_unw_row *row_at(const struct table *t, uint64_t vaddr)
{
	const struct wire_unw_row *r = NULL;
	for (uint32_t lo = 0, hi = t->cnt; lo < hi;) {
		uint32_t mid = (lo + hi) / 2;
		if (t->base + t->rows[mid].pc <= vaddr) {
			r = &t->rows[mid];
			lo = mid + 1;
		} else {
			hi = mid;
		}
	}
	return r;
}

/* The next column; "r10 (r10)" is one. */
static char *next_value(char *from, char **save)
{
	char *s = strtok_r(from, " \n", save);
	return s && *s == '(' ? strtok_r(NULL, " \n", save) : s;
}

/* The columns that matter; "" where a column is missing. */
struct line {
	unsigned long loc;
	char cfa[64], rbx[32], rbp[32], ra[32];
};

static void parse_columns(const char *header, const char *text, struct line *l)
{
	char h[1024], b[1024], *hs, *bs;
	snprintf(h, sizeof(h), "%s", header);
	snprintf(b, sizeof(b), "%s", text);
	memset(l, 0, sizeof(*l));
	char *col = strtok_r(h, " \n", &hs), *val = next_value(b, &bs);
	for (; col && val; col = strtok_r(NULL, " \n", &hs), val = next_value(NULL, &bs)) {
		if (!strcmp(col, "LOC"))
			l->loc = strtoul(val, NULL, 16);
		else if (!strcmp(col, "CFA"))
			snprintf(l->cfa, sizeof(l->cfa), "%s", val);
		else if (!strcmp(col, "rbx"))
			snprintf(l->rbx, sizeof(l->rbx), "%s", val);
		else if (!strcmp(col, "rbp"))
			snprintf(l->rbp, sizeof(l->rbp), "%s", val);
		else if (!strcmp(col, "ra"))
			snprintf(l->ra, sizeof(l->ra), "%s", val);
	}
}

static bool off_is(const char *want, int16_t got)
{
	return !strncmp(want, "c-", 2) ? got == -atoi(want + 2) : got == 0;
}

static bool cfa_is(const char *want, const struct wire_unw_row *r)
{
	static const char *const regs[] = { [WIRE_UNW_RSP] = "rsp", [WIRE_UNW_RBP] = "rbp", [WIRE_UNW_RBX] = "rbx",
		[WIRE_UNW_R10] = "r10" };
	char text[64];
	if (!strcmp(want, "exp"))
		return r->kind == WIRE_UNW_RBP_DEREF || r->kind == WIRE_UNW_PLT || r->kind == WIRE_UNW_FP || r->kind == WIRE_UNW_RSP;
	if (r->kind >= ARRAY_CNT(regs) || !regs[r->kind])
		return r->kind == WIRE_UNW_FP && strncmp(want, "rsp", 3) && strncmp(want, "rbp", 3);
	snprintf(text, sizeof(text), "%s%+d", regs[r->kind], r->cfa_off);
	return !strcmp(text, want);
}

static bool agrees(const struct line *l, const struct wire_unw_row *r)
{
	if (!strcmp(l->ra, "u"))
		return r->kind == WIRE_UNW_END;
	/* Signal trampolines; in a register, as vfork has it. */
	if (strcmp(l->ra, "c-8"))
		return r->kind == (!strcmp(l->ra, "exp") ? WIRE_UNW_SIGFRAME : WIRE_UNW_FP);
	if (!cfa_is(l->cfa, r))
		return false;
	if (r->kind == WIRE_UNW_FP || r->kind == WIRE_UNW_RBP_DEREF || r->kind == WIRE_UNW_PLT)
		return true;
	return off_is(l->rbp, r->rbp_off) && off_is(l->rbx, r->rbx_off);
}

static void compare_line(struct table *t, const char *header, const char *text, uint64_t end)
{
	struct line l;
	parse_columns(header, text, &l);
	if (l.loc < t->base || l.loc >= end)
		return;
	const struct wire_unw_row *r = row_at(t, l.loc);
	t->compared++;
	if (r && agrees(&l, r))
		return;
	if (t->wrong++ < 5)
		printf("# %lx: readelf %s rbx %s rbp %s ra %s; row kind %d cfa %d rbp %d rbx %d\n", l.loc, l.cfa, l.rbx, l.rbp, l.ra,
		       r ? r->kind : -1, r ? r->cfa_off : 0, r ? r->rbp_off : 0, r ? r->rbx_off : 0);
}

static void compare(struct table *t, const char *path, uint64_t end)
{
	char cmd[700], line[1024], header[1024] = "";
	bool in_fde = false, in_eh = false;
	snprintf(cmd, sizeof(cmd), "readelf --debug-dump=frames-interp '%s' 2>&1", path);
	FILE *f = popen(cmd, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (strstr(line, "Contents of the"))
			in_eh = strstr(line, ".eh_frame") != NULL;
		else if (strstr(line, " CIE "))
			in_fde = false;
		else if (strstr(line, " FDE "))
			in_fde = true;
		else if (strstr(line, "   LOC "))
			snprintf(header, sizeof(header), "%s", line);
		else if (in_eh && in_fde && strlen(line) > 20 && strspn(line, "0123456789abcdef") == 16)
			compare_line(t, header, line, end);
	}
	if (f)
		pclose(f);
}

static void check_module(struct obj_proc *p, struct obj_module *m, uint32_t at_least)
{
	struct table t = { .base = m->text_start - m->bias };
	struct err e;
	int rc = obj_unwind_rows(p, m, m->text_start, m->text_end, &t.rows, &t.cnt, &e);
	if (!CHECK_MSG(!rc, "%s: %s", m->name, rc ? e.msg : ""))
		return;
	uint32_t bad = 0;
	for (uint32_t i = 1; i < t.cnt; i++)
		bad += t.rows[i - 1].pc >= t.rows[i].pc;
	CHECK_MSG(!bad && t.cnt && !t.rows[0].pc, "%s: sorted", m->name);
	compare(&t, m->path, m->text_end - m->bias);
	CHECK_MSG(!t.wrong, "%s: %u of %u rows differ from readelf's", m->name, t.wrong, t.compared);
	CHECK_MSG(t.compared >= at_least, "%s: %u rows compared", m->name, t.compared);
	free(t.rows);
}

static struct obj_module *module_of(struct obj_proc *p, const char *name)
{
	for (uint32_t i = 0; i < obj_module_cnt(p); i++)
		if (!strncmp(obj_module_at(p, i)->name, name, strlen(name)))
			return obj_module_at(p, i);
	return NULL;
}

static void rows_are_readelfs(void)
{
	if (system("readelf --version > /dev/null 2>&1"))
		SKIP("no readelf");
	void *h = dlopen("libstdc++.so.6", RTLD_NOW), *c = dlopen("libcrypto.so.3", RTLD_NOW);
	struct obj_proc *p;
	CHECK(!obj_proc_open(getpid(), &p, NULL));
	static const char *const names[] = { "libc.so", "ld-linux", "libm.so", "libstdc++", "libcrypto", "test_obj_unwind" };
	for (size_t i = 0; i < ARRAY_CNT(names); i++) {
		struct obj_module *m = module_of(p, names[i]);
		if (m)
			check_module(p, m, 30);
	}
	obj_proc_close(p);
	if (h)
		dlclose(h);
	if (c)
		dlclose(c);
}

static void static_executable(void)
{
	struct spawned s;
	CHECK(spawn(&s, VARIANTS "/static"));
	struct obj_proc *p;
	CHECK(!obj_proc_open(s.pid, &p, NULL));
	struct obj_module *m = module_of(p, "static");
	check_module(p, m, 1000);
	struct wire_unw_row *rows;
	uint32_t cnt, kinds[16] = { 0 };
	CHECK(!obj_unwind_rows(p, m, m->text_start, m->text_end, &rows, &cnt, NULL));
	for (uint32_t i = 0; i < cnt; i++)
		kinds[rows[i].kind & 15]++;
	CHECK(kinds[WIRE_UNW_SIGFRAME] == 1);
	CHECK(kinds[WIRE_UNW_END] >= 1);
	free(rows);
	obj_proc_close(p);
	spawn_end(&s);
}

static void realigned_frames(void)
{
	struct spawned s;
	CHECK(spawn(&s, VARIANTS "/pie"));
	struct obj_proc *p;
	CHECK(!obj_proc_open(s.pid, &p, NULL));
	struct obj_module *m = module_of(p, "pie");
	struct table t = { .base = m->text_start };
	CHECK(!obj_unwind_rows(p, m, m->text_start, m->text_end, &t.rows, &t.cnt, NULL));
	uint64_t f = spawn_addr(&s, "described");
	const struct wire_unw_row *r = row_at(&t, f + 1);
	CHECK(r && r->kind == WIRE_UNW_RBP_DEREF && r->cfa_off == -8 && r->rbp_off == 0 && r->rbx_off == -16);
	CHECK_EQ(r->pc, f + 1 - m->text_start);
	CHECK_EQ(row_at(&t, f)->kind, WIRE_UNW_RSP);
	CHECK_EQ(row_at(&t, f + 2)->kind, WIRE_UNW_END);
	free(t.rows);
	obj_proc_close(p);
	spawn_end(&s);
}

static void the_vdso_has_rows(void)
{
	struct obj_proc *p;
	CHECK(!obj_proc_open(getpid(), &p, NULL));
	struct obj_module *m = module_of(p, "linux-vdso");
	if (m) {
		struct wire_unw_row *rows;
		uint32_t cnt;
		CHECK(!obj_unwind_rows(p, m, m->text_start, m->text_end, &rows, &cnt, NULL) && cnt > 3);
		free(rows);
	}
	obj_proc_close(p);
}

TAP_MAIN(TEST(rows_are_readelfs), TEST(static_executable), TEST(realigned_frames), TEST(the_vdso_has_rows))
