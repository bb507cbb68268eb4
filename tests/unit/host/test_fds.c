/* SPDX-License-Identifier: MIT */
/* Descriptors that go along with bytes: as many as there is room for, the rest closed. */
#include "../tap.h"
#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int next_free(void)
{
	int fd = dup(0);
	close(fd);
	return fd;
}

static void passed(void)
{
	int s[2], p[2], got[2] = { -1, -1 };
	uint32_t cnt = 0;
	char buf[8] = "";
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	CHECK_EQ(pipe(p), 0);
	int before = next_free();
	CHECK_EQ(host_send_fds(s[0], "ab", 2, p, 2, 0), 2);
	CHECK_EQ(host_recv_fds(s[1], buf, sizeof(buf), got, 2, &cnt, 0), 2);
	CHECK_EQ(cnt, 2);
	CHECK(!memcmp(buf, "ab", 2) && (fcntl(got[0], F_GETFD) & FD_CLOEXEC));
	CHECK_EQ(write(got[1], "x", 1), 1);
	CHECK(read(p[0], buf, 1) == 1 && buf[0] == 'x');
	close(got[0]);
	close(got[1]);
	/* One is there already: one more has room. */
	cnt = 1;
	CHECK_EQ(host_send_fds(s[0], "c", 1, p, 2, 0), 1);
	CHECK_EQ(host_recv_fds(s[1], buf, sizeof(buf), got, 2, &cnt, 0), 1);
	CHECK_EQ(cnt, 2);
	close(got[1]);
	CHECK_EQ(next_free(), before);
	CHECK_EQ(host_send_fds(s[0], "d", 1, NULL, 0, 0), 1);
	CHECK_EQ(host_recv_fds(s[1], buf, sizeof(buf), NULL, 0, &(uint32_t){ 0 }, 0), 1);
	CHECK_EQ(host_recv_fds(s[1], buf, sizeof(buf), NULL, 0, &(uint32_t){ 0 }, MSG_DONTWAIT), -1);
	CHECK_EQ(errno, EAGAIN);
	close(s[1]);
	CHECK_EQ(host_send_fds(s[0], "e", 1, p, 1, 0), -1); /* and no SIGPIPE */
	CHECK_EQ(errno, EPIPE);
	close(s[0]);
	close(p[0]);
	close(p[1]);
}

TAP_MAIN(TEST(passed))
