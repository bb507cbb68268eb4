/* SPDX-License-Identifier: MIT */
/* Symbols that are kept from one run to the next are those that the files have, whatever became of what was kept. */
#include "../tap.h"
#include "host/cache.h"
#include "obj/obj.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

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

static char folder[64], entry[400];

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
	obj_keep_symbols(false);
	uint64_t sum = symbols(ret_cnt);
	obj_keep_symbols(true);
	return sum;
}

/* The one entry; false: there is none. */
static bool find_entry(void)
{
	char path[128];
	bool found = false;
	snprintf(path, sizeof(path), "%s/dyntrace", folder);
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));)
		if (strstr(e->d_name, ".symbols")) {
			found = true;
			snprintf(entry, sizeof(entry), "%s/%s", path, e->d_name);
		}
	if (d)
		closedir(d);
	return found;
}

static void begin(void)
{
	snprintf(folder, sizeof(folder), "/tmp/dyntrace-kept.XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	setenv("XDG_CACHE_HOME", folder, 1);
	unsetenv("DYNTRACE_CACHE");
}

static void end(void)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/dyntrace", folder);
	chmod(path, 0700);
	if (find_entry())
		unlink(entry);
	rmdir(path);
	CHECK(!rmdir(folder));
	obj_keep_symbols(false);
}

static bool same(void)
{
	uint32_t a, b;
	uint64_t x = plain(&a), y = symbols(&b);
	CHECK(a > 12000);
	return x == y && a == b;
}

/* Of a file that others may write to nothing is kept. */
static bool is_exposed(void)
{
	struct stat st;
	return stat("/proc/self/exe", &st) || (st.st_uid && st.st_uid != geteuid()) || st.st_mode & (S_IWGRP | S_IWOTH);
}

static void kept(void)
{
	struct stat st, then;
	if (is_exposed())
		SKIP("others may write to this program");
	begin();
	CHECK(!find_entry() && same() && find_entry());
	CHECK(!stat(entry, &st) && (st.st_mode & 0777) == 0600);
	CHECK(same());
	CHECK(!stat(entry, &then) && then.st_ino == st.st_ino); /* it was read, not written anew */
	end();
}

/* What a bit of an entry says otherwise is not believed; the entry is made anew. */
static void damaged(void)
{
	if (is_exposed())
		SKIP("others may write to this program");
	begin();
	CHECK(same() && find_entry());
	struct stat st;
	CHECK(!stat(entry, &st));
	for (off_t at = 0; at < st.st_size; at += st.st_size / 40) {
		uint8_t b;
		int fd = open(entry, O_RDWR);
		CHECK(pread(fd, &b, 1, at) == 1);
		b ^= 0x10;
		CHECK(pwrite(fd, &b, 1, at) == 1);
		close(fd);
		CHECK_MSG(same(), "damaged at %lld", (long long)at);
	}
	CHECK(!truncate(entry, st.st_size / 2) && same());
	CHECK(!truncate(entry, 0) && same());
	end();
}

struct kept_sym {
	uint64_t vaddr, bytes;
	uint32_t name, flags;
};

/* What the entry is of, as its head and its name say. */
static bool key_of_entry(struct host_cache_key *ret, uint8_t id[64])
{
	const char *hex = strrchr(entry, '/') + 1;
	int fd = open(entry, O_RDONLY);
	*ret = (struct host_cache_key){ .id = id, .kind = "symbols" };
	for (unsigned b; ret->id_bytes < 64 && sscanf(hex + 2 * ret->id_bytes, "%2x", &b) == 1;)
		id[ret->id_bytes++] = (uint8_t)b;
	bool ok = pread(fd, &ret->key, 8, 8) == 8 && pread(fd, &ret->version, 4, 32) == 4 &&
		  pread(fd, &ret->file, sizeof(ret->file), 40) == sizeof(ret->file);
	close(fd);
	return ok;
}

enum wrong { NOT_WRONG, ORDER, NAME, NO_BYTES, WRAPS, NO_CODE, NO_END, NONE, TOO_MANY, NO_STRINGS, NO_COUNT, WRONG_CNT };

/* One thing of @data said otherwise; how much of it is left. */
static uint64_t make_wrong(enum wrong w, uint8_t *data, uint64_t bytes)
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

/* Of an entry that is whole, and wrong, nothing is believed either; it is made anew. */
static void wrong(void)
{
	struct host_cache_key key;
	uint8_t id[64];
	if (is_exposed())
		SKIP("others may write to this program");
	begin();
	CHECK(same() && find_entry() && key_of_entry(&key, id));
	for (enum wrong w = NOT_WRONG; w < WRONG_CNT; w++) {
		struct stat before, after;
		uint64_t bytes = 0;
		uint8_t *data = host_cache_load(&key, &bytes);
		if (!CHECK_MSG(data != NULL, "nothing is kept before %d", w))
			break;
		host_cache_store(&key, data, make_wrong(w, data, bytes));
		free(data);
		CHECK(!stat(entry, &before));
		CHECK_MSG(same(), "wrong by %d", w);
		CHECK_MSG(!stat(entry, &after) && (after.st_ino == before.st_ino) == (w == NOT_WRONG), "of %d", w);
	}
	end();
}

/* Who else may write there could say where functions begin. */
static void of_others(void)
{
	struct stat before, after;
	if (is_exposed())
		SKIP("others may write to this program");
	begin();
	CHECK(same() && find_entry() && !chmod(entry, 0666));
	CHECK(!stat(entry, &before) && same() && !stat(entry, &after) && after.st_ino != before.st_ino);
	end();
}

/* Under another file's name it is another's. */
static void of_another_file(void)
{
	char other[400];
	if (is_exposed())
		SKIP("others may write to this program");
	begin();
	CHECK(same() && find_entry());
	snprintf(other, sizeof(other), "%s", entry);
	uint32_t n;
	plain(&n);
	/* The head has the file's number, size and times: one of them changed. */
	int fd = open(entry, O_RDWR);
	uint64_t ino = 12345;
	CHECK(pwrite(fd, &ino, sizeof(ino), 48) == sizeof(ino));
	close(fd);
	CHECK(same());
	end();
}

static void nowhere(void)
{
	char path[128];
	begin();
	snprintf(path, sizeof(path), "%s/dyntrace", folder);
	CHECK(!mkdir(path, 0500) && same());
	chmod(path, 0700);
	end();
	begin();
	unsetenv("XDG_CACHE_HOME");
	unsetenv("HOME");
	CHECK(same() && !find_entry());
	setenv("XDG_CACHE_HOME", "/proc/self/nothing", 1);
	CHECK(same());
	setenv("XDG_CACHE_HOME", folder, 1);
	setenv("DYNTRACE_CACHE", "off", 1);
	CHECK(same() && !find_entry());
	unsetenv("DYNTRACE_CACHE");
	end();
}

TAP_MAIN(TEST(kept), TEST(damaged), TEST(wrong), TEST(of_others), TEST(of_another_file), TEST(nowhere))
