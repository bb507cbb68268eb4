/* SPDX-License-Identifier: MIT */
/*
 * A file for each entry, in a folder that is ours alone: who could write there could make us place probes where they harm.
 * So neither the folder nor a file of it counts that belongs to another or that others may write to; root, too, takes
 * nothing but root's.  Entries appear by a rename, whole.
 */
#include "host/cache.h"

#include "host/host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x6568636163747964ull /* "dytcache" */
#define ENTRY_MAX (32ull << 20)
#define TOTAL_MAX (64ull << 20) /* of all entries; the oldest go */
#define TOUCH_S 86400
#define NAME_BYTES 200

struct head {
	uint64_t magic, key, bytes, sum;
	uint32_t version, pad;
	struct host_cache_file file;
};

bool host_cache_file(const struct stat *st, struct host_cache_file *ret)
{
	*ret = (struct host_cache_file){
		.dev = st->st_dev, .ino = st->st_ino, .bytes = (uint64_t)st->st_size,
		.mtime_s = st->st_mtim.tv_sec, .mtime_ns = st->st_mtim.tv_nsec,
		.ctime_s = st->st_ctim.tv_sec, .ctime_ns = st->st_ctim.tv_nsec,
	};
	return S_ISREG(st->st_mode) && (!st->st_uid || st->st_uid == geteuid()) && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

uint64_t host_hash(uint64_t sum, const void *data, uint64_t bytes)
{
	const uint8_t *p = data;
	uint64_t w;
	for (; bytes >= 8; bytes -= 8, p += 8) {
		memcpy(&w, p, 8);
		sum = (sum ^ w) * 0x9e3779b97f4a7c15ull;
		sum ^= sum >> 29;
	}
	w = bytes;
	for (uint64_t i = 0; i < bytes; i++)
		w = w << 8 | p[i];
	sum = (sum ^ w) * 0x9e3779b97f4a7c15ull;
	return sum ^ sum >> 32;
}

static bool is_ours(int fd, mode_t type)
{
	struct stat st;
	return fd >= 0 && !fstat(fd, &st) && (st.st_mode & S_IFMT) == type && st.st_uid == geteuid() &&
	       !(st.st_mode & (S_IWGRP | S_IWOTH)) && (type == S_IFDIR || st.st_nlink == 1);
}

static bool folder_name(char *ret, size_t cap)
{
	const char *off = secure_getenv("DYNTRACE_CACHE"), *xdg = secure_getenv("XDG_CACHE_HOME"), *home = secure_getenv("HOME");
	if (off && (!strcmp(off, "off") || !strcmp(off, "no") || !strcmp(off, "0")))
		return false;
	bool by_xdg = xdg && *xdg == '/';
	if (!by_xdg && (!home || *home != '/'))
		return false;
	int n = by_xdg ? snprintf(ret, cap, "%s", xdg) : snprintf(ret, cap, "%s/.cache", home);
	if (n <= 0 || (size_t)n >= cap)
		return false;
	while (n > 1 && ret[n - 1] == '/')
		ret[--n] = 0;
	return true;
}

/* Root, with the home of a user, makes nothing there: only in a folder of ours is one made. */
static void make_folder(const char *path)
{
	char above[PATH_MAX];
	char *name;
	snprintf(above, sizeof(above), "%s", path);
	name = strrchr(above, '/');
	*name++ = 0;
	int fd = open(*above ? above : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (is_ours(fd, S_IFDIR))
		mkdirat(fd, name, 0700);
	if (fd >= 0)
		close(fd);
}

/* The folder, or -1. */
static int open_folder(bool make)
{
	char path[PATH_MAX];
	if (!folder_name(path, sizeof(path)))
		return -1;
	int above = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	if (above < 0 && make && errno == ENOENT) {
		make_folder(path);
		above = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (is_ours(above, S_IFDIR)) {
		if (make)
			mkdirat(above, "dyntrace", 0700);
		fd = openat(above, "dyntrace", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (above >= 0)
		close(above);
	if (fd >= 0 && !is_ours(fd, S_IFDIR)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool entry_name(const struct host_cache_key *k, char *ret)
{
	size_t n = 0;
	if (k->id_bytes < 8 || 2 * k->id_bytes + strlen(k->kind) + 2 > NAME_BYTES)
		return false;
	for (uint32_t i = 0; i < k->id_bytes; i++)
		n += (size_t)snprintf(ret + n, 3, "%02x", k->id[i]);
	snprintf(ret + n, NAME_BYTES - n, ".%s", k->kind);
	return true;
}

/* What was used lately stays. */
static void touch(int fd)
{
	struct stat st;
	if (!fstat(fd, &st) && time(NULL) - st.st_mtime > TOUCH_S)
		futimens(fd, NULL);
}

static void *load(int fd, const struct host_cache_key *k, uint64_t *ret_bytes)
{
	struct head h;
	if (host_read_at(fd, &h, sizeof(h), 0) || h.magic != MAGIC || h.version != k->version || h.key != k->key ||
	    memcmp(&h.file, &k->file, sizeof(h.file)) || h.bytes > ENTRY_MAX)
		return NULL;
	uint8_t *data = malloc(h.bytes + 1);
	if (!data || host_read_at(fd, data, h.bytes, sizeof(h)) || host_hash(k->key, data, h.bytes) != h.sum) {
		free(data);
		return NULL;
	}
	touch(fd);
	*ret_bytes = h.bytes;
	return data;
}

void *host_cache_load(const struct host_cache_key *k, uint64_t *ret_bytes)
{
	char name[NAME_BYTES];
	void *data = NULL;
	int dir = entry_name(k, name) ? open_folder(false) : -1;
	int fd = dir < 0 ? -1 : openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (is_ours(fd, S_IFREG))
		data = load(fd, k, ret_bytes);
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	return data;
}

struct entry {
	char name[NAME_BYTES];
	time_t used;
	uint64_t bytes;
};

static int oldest_first(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	return x->used < y->used ? -1 : x->used > y->used;
}

static uint32_t list_entries(int dir, struct entry **ret)
{
	struct entry *v = NULL;
	uint32_t n = 0;
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct stat st;
	if (!d && fd >= 0)
		close(fd);
	for (struct dirent *e; d && (e = readdir(d));) {
		if (e->d_name[0] == '.' || strlen(e->d_name) >= NAME_BYTES || fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
		    !S_ISREG(st.st_mode))
			continue;
		struct entry *more = realloc(v, (n + 1ul) * sizeof(*v));
		if (!more)
			break;
		v = more;
		v[n].used = st.st_mtime;
		v[n].bytes = (uint64_t)st.st_size;
		memcpy(v[n++].name, e->d_name, strlen(e->d_name) + 1);
	}
	if (d)
		closedir(d);
	*ret = v;
	return n;
}

static void make_room(int dir, uint64_t bytes)
{
	struct entry *v;
	uint32_t n = list_entries(dir, &v);
	for (uint32_t i = 0; i < n; i++)
		bytes += v[i].bytes;
	if (n && bytes > TOTAL_MAX)
		qsort(v, n, sizeof(*v), oldest_first);
	for (uint32_t i = 0; i < n && bytes > TOTAL_MAX; i++) {
		unlinkat(dir, v[i].name, 0);
		bytes -= v[i].bytes;
	}
	free(v);
}

static void store(int dir, const char *name, const struct host_cache_key *k, const void *data, uint64_t bytes)
{
	struct head h = { .magic = MAGIC, .key = k->key, .bytes = bytes, .sum = host_hash(k->key, data, bytes), .version = k->version,
			  .file = k->file };
	char tmp[64];
	snprintf(tmp, sizeof(tmp), "new.%ld", (long)getpid());
	unlinkat(dir, tmp, 0); /* of one who was killed */
	int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	bool ok = !host_write_at(fd, &h, sizeof(h), 0) && !host_write_at(fd, data, bytes, sizeof(h));
	ok &= !close(fd);
	if (!ok || renameat(dir, tmp, dir, name))
		unlinkat(dir, tmp, 0);
}

void host_cache_store(const struct host_cache_key *k, const void *data, uint64_t bytes)
{
	char name[NAME_BYTES];
	int dir = bytes <= ENTRY_MAX && entry_name(k, name) ? open_folder(true) : -1;
	if (dir < 0)
		return;
	make_room(dir, bytes);
	store(dir, name, k, data, bytes);
	close(dir);
}
