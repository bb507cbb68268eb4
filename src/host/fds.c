/* SPDX-License-Identifier: MIT */
/* Descriptors over Unix sockets (unix(7), cmsg(3)). */
#include "host/host.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	struct cmsghdr h;
	char room[CMSG_SPACE(HOST_FDS_MAX * sizeof(int))];
};

ssize_t host_send_fds(int sock, const void *data, size_t bytes, const int *fds, uint32_t cnt, int flags)
{
	union control c = { 0 };
	struct iovec iov = { (void *)data, bytes };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (cnt) {
		m.msg_control = &c;
		m.msg_controllen = CMSG_SPACE(cnt * sizeof(int));
		c.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(cnt * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&c.h), fds, cnt * sizeof(int));
	}
	return sendmsg(sock, &m, flags | MSG_NOSIGNAL);
}

static void take(struct msghdr *m, int *fds, uint32_t cap, uint32_t *cnt)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= h->cmsg_len; at += sizeof(int)) {
			int fd;
			memcpy(&fd, (char *)h + at, sizeof(fd));
			if (*cnt < cap)
				fds[(*cnt)++] = fd;
			else
				close(fd);
		}
	}
}

ssize_t host_recv_fds(int sock, void *data, size_t bytes, int *fds, uint32_t cap, uint32_t *cnt, int flags)
{
	union control c;
	struct iovec iov = { data, bytes };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c) };
	ssize_t n = recvmsg(sock, &m, flags | MSG_CMSG_CLOEXEC);
	if (n >= 0)
		take(&m, fds, cap, cnt);
	return n;
}
