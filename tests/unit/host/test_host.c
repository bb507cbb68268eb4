/* SPDX-License-Identifier: MIT */
#include "../tap.h"
#include "host/host.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void strings_keep_their_numbers(void)
{
	struct host_strmap m = { 0 };
	char key[16];
	for (uint32_t i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "%u", i);
		struct host_str *e = host_strmap_get(&m, key);
		CHECK(e && !e->val);
		e->val = i + 1;
	}
	for (uint32_t i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "%u", i);
		CHECK_EQ(host_strmap_get(&m, key)->val, i + 1);
	}
	CHECK_EQ(m.cnt, 5000);
	host_strmap_deinit(&m);
	CHECK_EQ(m.cnt, 0);
}

static void the_last_one_can_go(void)
{
	struct host_strmap m = { 0 };
	host_strmap_get(&m, "a")->val = 1;
	host_strmap_drop(&m, host_strmap_get(&m, "b"));
	CHECK_EQ(m.cnt, 1);
	CHECK_EQ(host_strmap_get(&m, "a")->val, 1);
	CHECK_EQ(host_strmap_get(&m, "b")->val, 0);
	host_strmap_deinit(&m);
}

static void sorted_numbers(void)
{
	uint64_t v[] = { UINT64_MAX, 3, 1ull << 63, 3, 0 };
	qsort(v, ARRAY_CNT(v), sizeof(*v), host_compare_u64);
	CHECK(v[0] == 0 && v[1] == 3 && v[2] == 3 && v[3] == 1ull << 63 && v[4] == UINT64_MAX);
	CHECK_EQ(host_first_u64(v, 5, 0), 0);
	CHECK_EQ(host_first_u64(v, 5, 1), 1);
	CHECK_EQ(host_first_u64(v, 5, 3), 1);
	CHECK_EQ(host_first_u64(v, 5, 4), 3);
	CHECK_EQ(host_first_u64(v, 4, UINT64_MAX), 4);
	CHECK_EQ(host_first_u64(NULL, 0, 0), 0);
}

static void first_of_structures(void)
{
	static const struct {
		char name;
		uint64_t at;
		uint32_t more;
	} v[] = { { 'z', 1, 9 }, { 'y', 3, 8 }, { 'x', 3, 7 }, { 'w', 7, 6 } }, *none = NULL;
	CHECK_EQ(HOST_FIRST(v, 4, at, 0), 0);
	CHECK_EQ(HOST_FIRST(v, 4, at, 3), 1);
	CHECK_EQ(HOST_FIRST(v, 4, at, 4), 3);
	CHECK_EQ(HOST_FIRST(v, 4, at, 8), 4);
	CHECK_EQ(HOST_FIRST(none, 0, at, 1), 0);
}

static void tells_who_has_ended(void)
{
	pid_t pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	CHECK(!host_pidfd_ended(-1));
	CHECK(fd >= 0 && !host_pidfd_ended(fd));
	kill(pid, SIGKILL);
	siginfo_t si;
	waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT);
	CHECK(host_pidfd_ended(fd));
	waitpid(pid, NULL, 0);
	CHECK(host_pidfd_ended(fd));
	close(fd);
}

TAP_MAIN(TEST(strings_keep_their_numbers), TEST(the_last_one_can_go), TEST(sorted_numbers), TEST(first_of_structures), TEST(tells_who_has_ended))
