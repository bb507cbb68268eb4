/* SPDX-License-Identifier: MIT */
/* Symbols that are kept from one run to the next are those that the files have, whatever became of what was kept. */
#include "../kept.h"
#include "obj/obj.h"

/* As many as are worth it. */
__asm__(".pushsection .text\n"
	".macro many_fn\n"
	".globl many_\\@\n"
	".type many_\\@, @function\n"
	"many_\\@: ret\n"
	".size many_\\@, 1\n"
	".endm\n"
	".rept 12000\n"
	"many_fn\n"
	".endr\n"
	".popsection\n");

/* What a process has, as one number, and how many they are. */
static uint64_t symbols(uint32_t *ret_cnt)
{
	struct obj_proc *p;
	struct err e;
	uint64_t sum = 1469598103934665603ull;
	*ret_cnt = 0;
	if (obj_proc_open(getpid(), &p, &e))
		return 0;
	for (uint32_t i = 0; i < obj_module_cnt(p); i++) {
		const struct obj_sym *s;
		uint32_t n;
		struct obj_module *m = obj_module_at(p, i);
		if (!m->is_exe || obj_module_syms(p, m, &s, &n, &e))
			continue;
		*ret_cnt = n;
		for (uint32_t k = 0; k < n; k++) {
			for (const char *c = s[k].name; *c; c++)
				sum = (sum ^ (uint8_t)*c) * 1099511628211ull;
			sum = (sum ^ s[k].addr ^ s[k].bytes << 48) * 1099511628211ull;
			sum = (sum ^ (s[k].is_func | s[k].is_ifunc << 1 | s[k].is_local << 2 | s[k].is_weak << 3)) * 1099511628211ull;
		}
	}
	obj_proc_close(p);
	return sum;
}

static uint64_t plain(uint32_t *ret_cnt)
{
	obj_keep_tables(false);
	uint64_t sum = symbols(ret_cnt);
	obj_keep_tables(true);
	return sum;
}

static void end(void)
{
	kept_end();
	obj_keep_tables(false);
}

static bool same(void)
{
	uint32_t a, b;
	uint64_t x = plain(&a), y = symbols(&b);
	CHECK(a > 12000);
	return x == y && a == b;
}

static void kept(void)
{
	struct stat st;
	if (kept_is_exposed())
		SKIP("others may write to this program");
	kept_begin();
	CHECK(!kept_find("symbols") && same() && kept_find("symbols"));
	CHECK(!stat(kept_path, &st) && (st.st_mode & 0777) == 0600);
	CHECK(same());
	CHECK(kept_inode() == st.st_ino); /* it was read, not written anew */
	end();
}

/* What a bit of an entry says otherwise is not believed; the entry is made anew. */
static void damaged(void)
{
	if (kept_is_exposed())
		SKIP("others may write to this program");
	kept_begin();
	CHECK(same() && kept_find("symbols"));
	kept_damage(same);
	end();
}

struct kept_sym {
	uint64_t vaddr, bytes;
	uint32_t name, flags;
};

enum wrong { NOT_WRONG, ORDER, NAME, NO_BYTES, WRAPS, NO_CODE, NO_END, NONE, TOO_MANY, NO_STRINGS, NO_COUNT, WRONG_CNT };

/* One thing of @data said otherwise; how much of it is left. */
static uint64_t make_wrong(int w, uint8_t *data, uint64_t bytes)
{
	struct kept_sym *v = (struct kept_sym *)(data + 8);
	uint64_t cnt, more;
	memcpy(&cnt, data, 8);
	more = w == NONE ? 0 : w == TOO_MANY ? UINT32_MAX - 1 : cnt;
	memcpy(data, &more, 8);
	switch (w) {
	case ORDER: v[7].vaddr = v[cnt - 1].vaddr; break;
	case NAME: v[7].name = (uint32_t)(bytes - 8 - cnt * sizeof(*v)); break;
	case NO_BYTES: v[7].bytes = 0; break;
	case WRAPS: v[7].bytes = UINT64_MAX; break;
	case NO_CODE: v[cnt - 1].vaddr = UINT64_MAX / 2; break;
	case NO_END: data[bytes - 1] = 'x'; break;
	case NO_STRINGS: return 8 + cnt * sizeof(*v);
	case NO_COUNT: return 8;
	default: break;
	}
	return bytes;
}

static void wrong(void)
{
	if (kept_is_exposed())
		SKIP("others may write to this program");
	kept_begin();
	CHECK(same() && kept_find("symbols"));
	kept_wrong("symbols", make_wrong, WRONG_CNT, same);
	end();
}

/* Who else may write there could say where functions begin. */
static void of_others(void)
{
	if (kept_is_exposed())
		SKIP("others may write to this program");
	kept_begin();
	CHECK(same() && kept_find("symbols") && !chmod(kept_path, 0666));
	ino_t was = kept_inode();
	CHECK(same() && kept_inode() != was);
	end();
}

/* Under another file's name it is another's. */
static void of_another_file(void)
{
	if (kept_is_exposed())
		SKIP("others may write to this program");
	kept_begin();
	CHECK(same() && kept_find("symbols"));
	ino_t was = kept_inode();
	kept_of_another_file();
	CHECK(same() && kept_inode() != was);
	end();
}

static void nowhere(void)
{
	kept_begin();
	CHECK(!mkdir(kept_folder, 0500) && same());
	end();
	kept_begin();
	unsetenv("XDG_CACHE_HOME");
	unsetenv("HOME");
	CHECK(same() && !kept_find("symbols"));
	setenv("XDG_CACHE_HOME", "/proc/self/nothing", 1);
	CHECK(same());
	setenv("XDG_CACHE_HOME", kept_root, 1);
	setenv("DYNTRACE_CACHE", "off", 1);
	CHECK(same() && !kept_find("symbols"));
	unsetenv("DYNTRACE_CACHE");
	end();
}

TAP_MAIN(TEST(kept), TEST(damaged), TEST(wrong), TEST(of_others), TEST(of_another_file), TEST(nowhere))
