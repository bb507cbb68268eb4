/* SPDX-License-Identifier: MIT */
/* A folder for what is kept (host/cache.h), and ways to spoil it. */
#ifndef TESTS_KEPT_H
#define TESTS_KEPT_H

#include "tap.h"
#include "host/cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char kept_root[64], kept_folder[96];
static char kept_path[400]; /* of the entry that kept_find() found */

/* Of a file that others may write to nothing is kept. */
static inline bool kept_is_exposed(void)
{
	struct stat st;
	return stat("/proc/self/exe", &st) || (st.st_uid && st.st_uid != geteuid()) || st.st_mode & (S_IWGRP | S_IWOTH);
}

static inline void kept_begin(void)
{
	snprintf(kept_root, sizeof(kept_root), "/tmp/dyntrace-kept.XXXXXX");
	CHECK(mkdtemp(kept_root) != NULL);
	snprintf(kept_folder, sizeof(kept_folder), "%s/dyntrace", kept_root);
	setenv("XDG_CACHE_HOME", kept_root, 1);
	unsetenv("DYNTRACE_CACHE");
}

/* The greatest of those entries; false: there is none. */
static inline bool kept_find(const char *kind)
{
	DIR *d = opendir(kept_folder);
	off_t most = -1;
	struct stat st;
	for (struct dirent *e; d && (e = readdir(d));) {
		const char *dot = strrchr(e->d_name, '.');
		if (!dot || strcmp(dot + 1, kind) || fstatat(dirfd(d), e->d_name, &st, 0) || st.st_size <= most)
			continue;
		most = st.st_size;
		snprintf(kept_path, sizeof(kept_path), "%s/%s", kept_folder, e->d_name);
	}
	if (d)
		closedir(d);
	return most >= 0;
}

static inline void kept_end(void)
{
	chmod(kept_folder, 0700);
	DIR *d = opendir(kept_folder);
	for (struct dirent *e; d && (e = readdir(d));)
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(kept_folder);
	CHECK(!rmdir(kept_root));
}

static inline ino_t kept_inode(void)
{
	struct stat st;
	return stat(kept_path, &st) ? 0 : st.st_ino;
}

static inline void kept_flip(off_t at)
{
	uint8_t b;
	int fd = open(kept_path, O_RDWR);
	CHECK(pread(fd, &b, 1, at) == 1);
	b ^= 0x10;
	CHECK(pwrite(fd, &b, 1, at) == 1);
	close(fd);
}

/* A bit at each of some places, then ends that are missing: @same says each time whether all is as it should be. */
static inline void kept_damage(bool same(void))
{
	struct stat st;
	CHECK(!stat(kept_path, &st));
	for (off_t at = 0; at < st.st_size; at += st.st_size / 40) {
		ino_t was = kept_inode();
		kept_flip(at);
		CHECK_MSG(same(), "damaged at %lld", (long long)at);
		/* The pad of the head is nobody's. */
		CHECK_MSG((at >= 36 && at < 40) || kept_inode() != was, "still there, with a byte that is another at %lld", (long long)at);
	}
	CHECK(!truncate(kept_path, st.st_size / 2) && same());
	CHECK(!truncate(kept_path, 0) && same());
}

/* What the entry is of, as its head and its name say. */
static inline bool kept_key(const char *kind, struct host_cache_key *ret, uint8_t id[64])
{
	const char *hex = strrchr(kept_path, '/') + 1;
	int fd = open(kept_path, O_RDONLY);
	*ret = (struct host_cache_key){ .id = id, .kind = kind };
	for (unsigned b; ret->id_bytes < 64 && sscanf(hex + 2 * ret->id_bytes, "%2x", &b) == 1;)
		id[ret->id_bytes++] = (uint8_t)b;
	bool ok = pread(fd, &ret->key, 8, 8) == 8 && pread(fd, &ret->version, 4, 32) == 4 &&
		  pread(fd, &ret->file, sizeof(ret->file), 40) == sizeof(ret->file);
	close(fd);
	return ok;
}

/* The head has the file's number, size and times: of another file by one of them. */
static inline void kept_of_another_file(void)
{
	const uint64_t ino = 12345;
	int fd = open(kept_path, O_RDWR);
	CHECK(pwrite(fd, &ino, sizeof(ino), 48) == sizeof(ino));
	close(fd);
}

/* Each wrong thing in turn, in an entry that is whole: nothing of it is believed, and it is made anew.  @spoil: number 0 spoils
 * nothing; how many bytes of it are left. */
typedef uint64_t kept_spoil_fn(int wrong, uint8_t *data, uint64_t bytes);
static inline void kept_wrong(const char *kind, kept_spoil_fn *spoil, int cnt, bool same(void))
{
	struct host_cache_key key;
	uint8_t id[64];
	CHECK(kept_key(kind, &key, id));
	for (int w = 0; w < cnt; w++) {
		uint64_t bytes = 0;
		uint8_t *data = host_cache_load(&key, &bytes);
		if (!CHECK_MSG(data != NULL, "nothing is kept before %d", w))
			break;
		host_cache_store(&key, data, spoil(w, data, bytes));
		free(data);
		ino_t was = kept_inode();
		CHECK_MSG(same(), "wrong by %d", w);
		CHECK_MSG((kept_inode() == was) == !w, "of %d", w);
	}
}

#endif
