/* SPDX-License-Identifier: MIT */
#include "host/cache.h"

#include "../tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t id[20] = { 0xab, 1, 2, 3 };
static const char data[] = "what was found";
static char folder[64], entry[160];

static const struct host_cache_key key = { .id = id, .id_bytes = sizeof(id), .kind = "test", .version = 1, .key = 42 };

static void begin(void)
{
	snprintf(folder, sizeof(folder), "/tmp/dyntrace-cache.XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	setenv("XDG_CACHE_HOME", folder, 1);
	snprintf(entry, sizeof(entry), "%s/dyntrace/ab01020300000000000000000000000000000000.test", folder);
	host_cache_store(&key, data, sizeof(data));
}

static void end(void)
{
	char path[96];
	unlink(entry);
	snprintf(path, sizeof(path), "%s/dyntrace", folder);
	chmod(path, 0700);
	rmdir(path);
	rmdir(folder);
}

static bool is_there(const struct host_cache_key *k)
{
	uint64_t bytes = 0;
	char *got = host_cache_load(k, &bytes);
	bool ok = got && bytes == sizeof(data) && !memcmp(got, data, bytes);
	CHECK(ok || !got);
	free(got);
	return ok;
}

static void kept(void)
{
	begin();
	CHECK(is_there(&key));
	struct host_cache_key other = key;
	other.version = 2;
	CHECK(!is_there(&other));
	other = key;
	other.key = 43;
	CHECK(!is_there(&other));
	other = key;
	other.kind = "more";
	CHECK(!is_there(&other));
	setenv("DYNTRACE_CACHE", "off", 1);
	CHECK(!is_there(&key));
	unsetenv("DYNTRACE_CACHE");
	CHECK(is_there(&key));
	end();
}

static void damaged(void)
{
	begin();
	int fd = open(entry, O_RDWR);
	struct stat st;
	CHECK(fd >= 0 && !fstat(fd, &st));
	for (off_t at = 0; at < st.st_size; at++) {
		uint8_t b, bad;
		CHECK_EQ(pread(fd, &b, 1, at), 1);
		bad = b ^ 0x10;
		CHECK_EQ(pwrite(fd, &bad, 1, at), 1);
		/* Only what fills the header up is of no matter. */
		CHECK(!is_there(&key) || (at >= 36 && at < 40));
		CHECK_EQ(pwrite(fd, &b, 1, at), 1);
	}
	CHECK(is_there(&key));
	CHECK_EQ(ftruncate(fd, st.st_size - 1), 0);
	CHECK(!is_there(&key));
	CHECK_EQ(ftruncate(fd, 0), 0);
	CHECK(!is_there(&key));
	close(fd);
	end();
}

/* What others may write, or have written, is nothing. */
static void of_others(void)
{
	char path[96], link_to[200];
	begin();
	snprintf(path, sizeof(path), "%s/dyntrace", folder);
	chmod(entry, 0666);
	CHECK(!is_there(&key));
	chmod(entry, 0600);
	chmod(path, 0777);
	CHECK(!is_there(&key));
	chmod(path, 0700);
	chmod(folder, 0777);
	CHECK(!is_there(&key));
	chmod(folder, 0700);
	CHECK(is_there(&key));
	snprintf(link_to, sizeof(link_to), "%s.link", entry);
	CHECK_EQ(link(entry, link_to), 0);
	CHECK(!is_there(&key));
	CHECK_EQ(unlink(entry), 0);
	CHECK_EQ(symlink(link_to, entry), 0);
	CHECK(!is_there(&key));
	unlink(entry);
	rename(link_to, entry);
	if (!geteuid()) {
		CHECK_EQ(chown(entry, 1, 1), 0);
		CHECK(!is_there(&key));
		CHECK_EQ(chown(entry, 0, 0), 0);
		CHECK(is_there(&key));
	}
	end();
}

/* Folders are made in what is ours, and nowhere else: root may have the HOME of a user. */
static void made_in_ours(void)
{
	char cache[96], mine[160];
	begin();
	unlink(entry);
	snprintf(mine, sizeof(mine), "%s/dyntrace", folder);
	CHECK_EQ(rmdir(mine), 0);
	chmod(folder, 0777);
	host_cache_store(&key, data, sizeof(data));
	CHECK(access(mine, F_OK));
	snprintf(cache, sizeof(cache), "%s/cache//", folder);
	setenv("XDG_CACHE_HOME", cache, 1);
	host_cache_store(&key, data, sizeof(data));
	CHECK(access(cache, F_OK));
	chmod(folder, 0700);
	if (!geteuid()) {
		CHECK_EQ(chown(folder, 1, 1), 0);
		host_cache_store(&key, data, sizeof(data));
		CHECK(access(cache, F_OK));
		CHECK_EQ(chown(folder, 0, 0), 0);
	}
	host_cache_store(&key, data, sizeof(data));
	CHECK(is_there(&key));
	snprintf(mine, sizeof(mine), "%s/cache/dyntrace/ab01020300000000000000000000000000000000.test", folder);
	CHECK_EQ(unlink(mine), 0);
	*strrchr(mine, '/') = 0;
	CHECK_EQ(rmdir(mine), 0);
	CHECK_EQ(rmdir(cache), 0);
	end();
}

/* A file with the same build-id, but not the same one. */
static void of_a_copy(void)
{
	begin();
	struct host_cache_key other = key;
	uint64_t words[sizeof(other.file) / 8];
	for (size_t i = 0; i < ARRAY_CNT(words); i++) {
		memcpy(words, &key.file, sizeof(words));
		words[i]++;
		memcpy(&other.file, words, sizeof(words));
		CHECK(!is_there(&other));
	}
	CHECK(is_there(&key));
	end();
}

static void who_may_change_it(void)
{
	struct host_cache_file f;
	struct stat st = { .st_mode = S_IFREG | 0755, .st_dev = 1, .st_ino = 2, .st_size = 3, .st_mtim = { 4, 5 }, .st_ctim = { 6, 7 } };
	const struct host_cache_file want = { 1, 2, 3, 4, 5, 6, 7 };
	CHECK(host_cache_file(&st, &f));
	CHECK(!memcmp(&f, &want, sizeof(f)));
	st.st_uid = geteuid();
	CHECK(host_cache_file(&st, &f));
	st.st_uid = geteuid() + 1;
	CHECK(!host_cache_file(&st, &f));
	st.st_uid = 0;
	st.st_mode = S_IFREG | 0775;
	CHECK(!host_cache_file(&st, &f));
	st.st_mode = S_IFREG | 0757;
	CHECK(!host_cache_file(&st, &f));
	st.st_mode = S_IFCHR | 0644;
	CHECK(!host_cache_file(&st, &f));
}

TAP_MAIN(TEST(kept), TEST(damaged), TEST(of_others), TEST(made_in_ours), TEST(of_a_copy), TEST(who_may_change_it))
