/* SPDX-License-Identifier: MIT */
/* ctype over one program in many forms of debug information (variants.sh), and over BTF of our own making. */
#include "ctype/ctype.h"
#include "../tap.h"

#include <bpf/btf.h>
#include <errno.h>
#include <glob.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *variant; /* its path */

static struct ctype_db *open_db(void)
{
	static char name[256];
	struct ctype_db *db = ctype_create(&(struct ctype_opts){ .btf_path = "/nonexistent" });
	snprintf(name, sizeof(name), "%s", strrchr(variant, '/') + 1);
	if (db)
		ctype_add_module(db, &(struct ctype_module){ .name = name, .file = variant, .is_exe = true, .is_loaded = true });
	return db;
}

static const struct tdesc_member *member(struct ctype_db *db, const struct tdesc *t, const char *name)
{
	t = tdesc_resolve(t);
	ctype_load(db, t);
	for (uint32_t i = 0; i < t->part_cnt; i++)
		if (t->members[i].name && !strcmp(t->members[i].name, name))
			return &t->members[i];
	return NULL;
}

#define IN(what) CHECK_MSG(what, "%s: %s", variant, #what)
#define IN_EQ(got, want) CHECK_MSG((long long)(got) == (long long)(want), "%s: %s is %lld, not %lld", variant, #got, \
				   (long long)(got), (long long)(want))

/* clang says "long" where gcc says "long int". */
static void name_is(const struct tdesc *t, const char *want)
{
	char *got = ctype_name(t);
	size_t n = got ? strlen(got) : 0;
	if (n >= 4 && !strncmp(got, "long", 4) && (n < 8 || strcmp(got + n - 4, " int"))) {
		got = realloc(got, n + 5);
		strcat(got, " int");
	}
	CHECK_MSG(got && !strcmp(got, want), "%s: the type is \"%s\", not \"%s\"", variant, got ? got : "(null)", want);
	free(got);
}

static void check_member(struct ctype_db *db, const struct tdesc *t, const char *name, uint64_t bit_off, uint32_t bits,
			 const char *type)
{
	const struct tdesc_member *m = member(db, t, name);
	CHECK_MSG(m != NULL, "%s: no member %s", variant, name);
	if (!m)
		return;
	CHECK_MSG(m->bit_off == bit_off && m->bits == bits, "%s: %s is at bit %llu (%u bits), not %llu (%u)", variant, name,
		  (unsigned long long)m->bit_off, m->bits, (unsigned long long)bit_off, bits);
	name_is(m->type, type);
}

static void check_list(struct ctype_db *db)
{
	const struct tdesc *t = ctype_find(db, NULL, TDESC_STRUCT, "list");
	IN(t && t->kind == TDESC_STRUCT && !t->is_decl);
	if (!t)
		return;
	IN_EQ(t->bytes, 152);
	check_member(db, t, "next", 0, 0, "struct list *");
	check_member(db, t, "name", 64, 0, "char *");
	check_member(db, t, "tag", 128, 0, "char [16]");
	check_member(db, t, "low", 256, 3, "unsigned int");
	check_member(db, t, "middle", 259, 7, "unsigned int");
	check_member(db, t, "high", 266, 20, "unsigned int");
	check_member(db, t, "wide", 320, 40, "long long int");
	check_member(db, t, "colour", 384, 0, "enum colour");
	check_member(db, t, "u", 448, 0, "union {...}");
	check_member(db, t, "grid", 544, 0, "point_t [2][3]");
	check_member(db, t, "call", 960, 0, "int (*)()");
	check_member(db, t, "byte", 1152, 0, "unsigned char");
	for (uint32_t i = 0; i < t->part_cnt; i++)
		if (!t->members[i].name) {
			IN_EQ(t->members[i].bit_off, 512);
			IN(member(db, t->members[i].type, "inner") != NULL);
			return;
		}
	IN(!"the structure without a name");
}

static void check_names(struct ctype_db *db)
{
	const struct tdesc *t = ctype_find(db, "a.out", TDESC_TYPEDEF, "point_t");
	IN(t && t->kind == TDESC_TYPEDEF && t->bytes == 8 && tdesc_resolve(t)->kind == TDESC_STRUCT);
	t = ctype_find(db, NULL, TDESC_ENUM, "colour");
	IN(t != NULL);
	if (t) {
		ctype_load(db, t);
		IN_EQ(t->part_cnt, 3);
		IN(t->part_cnt == 3 && t->enumerators[1].val == 5 && t->enumerators[2].val == -1);
	}
	struct tdesc_const k = { 0 };
	IN(ctype_enumerator(db, NULL, "COLOUR_NONE", &k) && k.val == -1 && k.type == t);
	IN(!ctype_enumerator(db, NULL, "COLOUR_BLUE", &k));
	IN(!ctype_find(db, NULL, TDESC_STRUCT, "colour"));
	IN(!ctype_find(db, NULL, TDESC_UNION, "list"));
	IN(!ctype_find(db, NULL, TDESC_TYPEDEF, "list"));
	IN(!ctype_find(db, NULL, TDESC_STRUCT, "no_such_structure"));
	IN(!ctype_find(db, "libnone", TDESC_STRUCT, "list"));
	t = ctype_find(db, NULL, TDESC_TYPEDEF, "int");
	IN(t && t->kind == TDESC_INT && t->is_signed && t->bytes == 4);
}

/* Only declared where it is used; another unit defines it. */
static void check_declared(struct ctype_db *db)
{
	const struct tdesc *t = ctype_find(db, NULL, TDESC_STRUCT, "list");
	const struct tdesc_member *m = t ? member(db, t, "hidden") : NULL;
	const struct tdesc *to = m ? m->type->base : NULL;
	IN(to && to->kind == TDESC_STRUCT);
	if (!to)
		return;
	ctype_load(db, to);
	IN(!to->is_decl);
	IN_EQ(to->bytes, 16);
	IN(member(db, to, "secret") != NULL);
}

static void check_vars(struct ctype_db *db)
{
	struct tdesc_var v;
	struct err e;
	IN_EQ(ctype_var(db, NULL, "counter", &v, &e), 0);
	name_is(v.type, "int");
	IN_EQ(ctype_var(db, "a.out", "list_head", &v, &e), 0);
	name_is(v.type, "struct list *");
	IN_EQ(ctype_var(db, NULL, "per_thread", &v, &e), -ENODATA);
	IN_EQ(ctype_var(db, NULL, "no_such_variable", &v, &e), -ENOENT);
	const char *near = ctype_near_var(db, NULL, "contuer");
	CHECK(near && !strcmp(near, "counter"));
	CHECK(!ctype_near_var(db, NULL, "no_such_variable"));
}

static bool same(const char *pattern, const char *name)
{
	return !strcmp(pattern, name);
}

static const struct tdesc *proto(struct ctype_db *db, const char *name)
{
	const struct tdesc *f = NULL;
	uint32_t unknown;
	uint32_t cnt = ctype_protos(db, "", name, same, &f, 1, &unknown);
	CHECK_MSG(cnt == 1, "%s: function %s: %u prototypes, %u unknown", variant, name, cnt, unknown);
	return cnt == 1 ? f : NULL;
}

/* "a1", "s0", "*2"; words are "w" and each "+N" for argN, "+xN" for xmmN. */
static void put_param(char *to, size_t cap, const char *sep, const struct tdesc_param *p)
{
	int n = snprintf(to, cap, "%s%c", sep, "a*wsl"[p->where]);
	if (p->where != TDESC_WORDS) {
		snprintf(to + n, cap - (size_t)n, "%u", p->where == TDESC_LOST ? 0 : p->slot);
		return;
	}
	for (int i = 0; i < 2 && p->slots[i] != TDESC_NO_WORD; i++) {
		uint32_t s = p->slots[i];
		n += snprintf(to + n, cap - (size_t)n, "+%s%u", s >= TDESC_XMM(0) ? "x" : "", s & 0xff);
	}
}

static void check_params(const struct tdesc *f, const char *want)
{
	char got[256] = "";
	for (uint32_t i = 0; f && i < f->part_cnt; i++)
		put_param(got + strlen(got), sizeof(got) - strlen(got), i ? " " : "", &f->params[i]);
	CHECK_MSG(!strcmp(got, want), "%s: parameters at \"%s\", not \"%s\"", variant, got, want);
}

static void check_protos(struct ctype_db *db)
{
	const struct tdesc *f = proto(db, "plain");
	check_params(f, "a0 a1 a2 a3");
	if (f) {
		name_is(f->params[0].type, "struct list *");
		name_is(f->base, "long int");
		IN_EQ(f->where, TDESC_ARG);
	}
	check_params(proto(db, "floats"), "w+x0 a0 w+x1 a1");
	f = proto(db, "large");
	check_params(f, "a1"); /* behind where the result goes */
	IN(f && f->where == TDESC_AT_ARG);
	/* A pair in rdi, a large one on the stack, three registers, one in both kinds, the last register, the stack. */
	check_params(proto(db, "stack"), "w+0 s0 a1 a2 a3 w+x0+4 a5 a10 a11");
	check_params(proto(db, "local"), "a0");
}

static void each(const char *pattern, void (*fn)(struct ctype_db *))
{
	glob_t g;
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", VARIANTS, pattern);
	if (glob(path, 0, NULL, &g))
		return;
	for (size_t i = 0; i < g.gl_pathc; i++) {
		variant = g.gl_pathv[i];
		const char *ext = strrchr(strrchr(variant, '/'), '.');
		struct ctype_db *db = ext ? NULL : open_db();
		if (db)
			fn(db);
		ctype_destroy(db);
	}
	globfree(&g);
}

static void each_c(void (*fn)(struct ctype_db *))
{
	static const char *const forms[] = { "v[245]", "units*", "split[45]", "packed", "nopie", "lto", "apart", "clang[45]", "dwz?" };
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		each(forms[i], fn);
}

static void members(void) { each_c(check_list); }
static void names(void) { each_c(check_names); }
static void declared(void) { each_c(check_declared); }
static void variables(void) { each_c(check_vars); }
static void prototypes(void) { each_c(check_protos); }

static void check_classes(struct ctype_db *db)
{
	const struct tdesc *t = ctype_find(db, NULL, TDESC_STRUCT, "geo::Circle");
	IN(t && t == ctype_find(db, NULL, TDESC_STRUCT, "Circle"));
	IN(t && t == ctype_find(db, NULL, TDESC_TYPEDEF, "geo::Circle"));
	IN(ctype_find(db, NULL, TDESC_STRUCT, "geo::Circle::Inner") != NULL);
	if (!t)
		return;
	ctype_load(db, t);
	IN(t->part_cnt >= 5 && t->members[0].is_base && t->members[1].is_base && t->members[1].bit_off == 128);
	check_member(db, t, "radius", 192, 0, "double");
	check_member(db, t, "mode", 256, 0, "enum Mode");
	IN(!member(db, t, "made"));
	struct tdesc_var v;
	struct err e;
	IN_EQ(ctype_var(db, NULL, "made", &v, &e), 0);
	t = ctype_find(db, NULL, TDESC_ENUM, "geo::Mode");
	if (t)
		ctype_load(db, t);
	IN(t && t->bytes == 1 && t->part_cnt == 2 && t->enumerators[1].val == 200);
	check_params(proto(db, "_ZN3geo6by_refERKNS_6CircleENS_5OwnerENS_4PairEi"), "a0 *1 w+2 a3");
	check_params(proto(db, "_ZNK3geo6Circle4areaEi"), "a0 a1");
}

static void classes(void)
{
	each("cxx?", check_classes);
	each("clangxx?", check_classes);
}

static void check_none(struct ctype_db *db)
{
	struct tdesc_var v;
	struct err e;
	uint32_t unknown;
	const struct tdesc *f;
	IN(!ctype_find(db, NULL, TDESC_STRUCT, "list"));
	IN_EQ(ctype_var(db, NULL, "counter", &v, &e), -ENOENT);
	IN_EQ(ctype_protos(db, "", "plain", same, &f, 1, &unknown), 0);
}

/* No debug information, no file. */
static void nothing(void)
{
	each("none", check_none);
	variant = "/nonexistent/file";
	struct ctype_db *db = open_db();
	check_none(db);
	ctype_destroy(db);
}

/* A file that was cut or overwritten says less, and nothing worse happens. */
/* A file without a name; *ret_path leads to it while it is open. */
static int file_in_memory(char *ret_path, size_t cap)
{
	int fd = memfd_create("ctype-test", MFD_CLOEXEC);
	snprintf(ret_path, cap, "/proc/%d/fd/%d", (int)getpid(), fd);
	return fd;
}

static void hostile(void)
{
	char path[64];
	static unsigned char data[1 << 20];
	variant = VARIANTS "/v5";
	FILE *fp = fopen(variant, "rb");
	size_t n = fp ? fread(data, 1, sizeof(data), fp) : 0;
	if (fp)
		fclose(fp);
	int fd = file_in_memory(path, sizeof(path));
	CHECK(n > 1000 && fd >= 0);
	uint64_t seed = 88172645463325252ULL;
	for (int round = 0; round < 150 && n > 1000; round++) {
		unsigned char *copy = malloc(n);
		memcpy(copy, data, n);
		for (int i = 0; i < 60; i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			copy[4096 + seed % (n - 4096)] = (unsigned char)(seed >> 40);
		}
		if (ftruncate(fd, 0) || pwrite(fd, copy, n, 0) != (ssize_t)n)
			CHECK(!"written");
		free(copy);
		variant = path;
		struct ctype_db *db = open_db();
		const struct tdesc *t = ctype_find(db, NULL, TDESC_STRUCT, "list"), *f;
		struct tdesc_var v;
		struct err e;
		uint32_t unknown;
		if (t)
			ctype_load(db, t);
		for (uint32_t i = 0; t && i < t->part_cnt; i++) {
			free(ctype_name(t->members[i].type));
			ctype_load(db, t->members[i].type);
		}
		ctype_var(db, NULL, "counter", &v, &e);
		ctype_protos(db, "", "stack", same, &f, 1, &unknown);
		ctype_destroy(db);
	}
	close(fd);
	CHECK(true);
}

static void kernel(void)
{
	char path[64];
	struct btf *b = btf__new_empty();
	uint32_t bytes;
	int i32 = btf__add_int(b, "int", 4, BTF_INT_SIGNED), ptr = btf__add_ptr(b, btf__add_const(b, i32));
	int arr = btf__add_array(b, i32, i32, 3);
	int def = btf__add_typedef(b, "count_t", i32);
	btf__add_enum(b, "state", 4);
	btf__add_enum_value(b, "IDLE", 0);
	btf__add_enum_value(b, "BUSY", 4);
	btf__add_struct(b, "task", 40);
	btf__add_field(b, "pid", def, 0, 0);
	btf__add_field(b, "flag", i32, 32, 2);
	btf__add_field(b, "p", ptr, 64, 0);
	btf__add_field(b, "v", arr, 128, 0);
	const void *raw = btf__raw_data(b, &bytes);
	int fd = file_in_memory(path, sizeof(path));
	CHECK(raw && fd >= 0 && write(fd, raw, bytes) == (ssize_t)bytes);
	struct ctype_db *db = ctype_create(&(struct ctype_opts){ .btf_path = path });
	variant = "BTF";
	const struct tdesc *t = ctype_find(db, NULL, TDESC_STRUCT, "task");
	IN(t && t == ctype_find(db, "vmlinux", TDESC_STRUCT, "task") && t->bytes == 40);
	if (t) {
		check_member(db, t, "pid", 0, 0, "count_t");
		check_member(db, t, "flag", 32, 2, "int");
		check_member(db, t, "p", 64, 0, "int *");
		check_member(db, t, "v", 128, 0, "int [3]");
	}
	t = ctype_find(db, NULL, TDESC_ENUM, "state");
	if (t)
		ctype_load(db, t);
	IN(t && t->part_cnt == 2 && t->enumerators[1].val == 4);
	IN(ctype_find(db, NULL, TDESC_TYPEDEF, "count_t") != NULL);
	IN(!ctype_find(db, NULL, TDESC_TYPEDEF, "task"));
	IN(!ctype_find(db, "libc", TDESC_STRUCT, "task"));
	ctype_destroy(db);
	btf__free(b);
	close(fd);
}

TAP_MAIN(TEST(members), TEST(names), TEST(declared), TEST(variables), TEST(prototypes), TEST(classes), TEST(nothing),
	 TEST(hostile), TEST(kernel))
