/* SPDX-License-Identifier: MIT */
/* What dyntraced asks the thread of a program that offered itself: one packet, one answer. */
#include "agent/offer_int.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

struct packet {
	struct wire_offer_req req;
	uint8_t data[WIRE_OFFER_DATA];
};
/* What it works with; on its stack. */
struct server {
	int fd;
	uint64_t data_bytes; /* of p.data */
	int got_fd;
	struct packet p;
	struct wire_offer_reply reply;
};

static bool is_late(const struct server *s)
{
	struct timespec now;
	sys6(SYS_clock_gettime, CLOCK_REALTIME, (uint64_t)&now, 0, 0, 0, 0);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec > s->p.req.until_ns;
}

static int take_fd(const struct msghdr *m)
{
	int fd;
	const struct cmsghdr *h = m->msg_control;
	if (m->msg_controllen < CMSG_LEN(sizeof(fd)) || h->cmsg_type != SCM_RIGHTS)
		return -EBADF;
	for (unsigned i = 0; i < sizeof(fd); i++)
		((uint8_t *)&fd)[i] = CMSG_DATA(h)[i];
	return fd;
}

static bool receive(struct server *s)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { &s->p, sizeof(s->p) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	int64_t n;
	do
		n = sys6(SYS_recvmsg, (uint64_t)s->fd, (uint64_t)&m, MSG_CMSG_CLOEXEC, 0, 0, 0);
	while (n == -EINTR);
	s->got_fd = n > 0 ? take_fd(&m) : -EBADF;
	s->data_bytes = (uint64_t)n - sizeof(s->p.req);
	return n >= (int64_t)sizeof(s->p.req);
}

static int64_t set_prot(uint64_t page, uint64_t prot)
{
	return sys6(SYS_mprotect, page, MEM_PAGE, prot, 0, 0, 0);
}

/* Words of one page; how many, and why not all. */
static uint64_t store_page(const struct wire_offer_word *w, uint64_t cnt, int64_t *ret_error)
{
	uint64_t page = align_down(w->addr, MEM_PAGE), done = 0;
	bool open = w->prot & PROT_WRITE;
	*ret_error = open ? 0 : set_prot(page, w->prot | PROT_WRITE);
	bool changed = !open && !*ret_error;
	for (; done < cnt && !*ret_error && align_down(w[done].addr, MEM_PAGE) == page; done++) {
		uint64_t was = w[done].was;
		if (w[done].addr % 8)
			*ret_error = -EINVAL;
		else if (!__atomic_compare_exchange_n((uint64_t *)w[done].addr, &was, w[done].is, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			*ret_error = -EAGAIN;
		if (*ret_error)
			break;
	}
	int64_t back = changed ? set_prot(page, w->prot) : 0;
	*ret_error = *ret_error ? *ret_error : back;
	return done;
}

static int64_t store(struct server *s)
{
	const struct wire_offer_word *w = (const struct wire_offer_word *)s->p.data;
	uint64_t cnt = s->p.req.args[0], done = 0;
	if (cnt > WIRE_OFFER_WORDS || s->data_bytes != cnt * sizeof(*w))
		return -EINVAL;
	while (done < cnt && !s->reply.error)
		done += store_page(w + done, cnt - done, &s->reply.error);
	return (int64_t)done;
}

static int64_t obey(struct server *s)
{
	const struct wire_offer_req *q = &s->p.req;
	const uint64_t *a = q->args;
	switch (q->op) {
	case WIRE_OFFER_SYSCALL:
		return sys6((long)a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
	case WIRE_OFFER_FD:
		return s->got_fd;
	case WIRE_OFFER_STORE:
		return store(s);
	default:
		return -ENOSYS;
	}
}

static bool answer(struct server *s)
{
	bool late = is_late(s);
	s->reply = (struct wire_offer_reply){ .seq = s->p.req.seq };
	s->reply.value = late ? -ETIMEDOUT : obey(s);
	if (s->got_fd >= 0 && (late || s->p.req.op != WIRE_OFFER_FD))
		sys6(SYS_close, (uint64_t)s->got_fd, 0, 0, 0, 0, 0);
	return sys6(SYS_sendto, (uint64_t)s->fd, (uint64_t)&s->reply, sizeof(s->reply), MSG_NOSIGNAL, 0, 0) == sizeof(s->reply);
}

void offer_serve(int fd)
{
	struct server s;
	struct wire_offer_hello hello = { WIRE_OFFER_MAGIC, WIRE_OFFER_VERSION, (uint32_t)sys6(SYS_gettid, 0, 0, 0, 0, 0, 0) };
	struct timeval never = { 0 };
	s.fd = fd;
	sys6(SYS_setsockopt, (uint64_t)fd, SOL_SOCKET, SO_SNDTIMEO, (uint64_t)&never, sizeof(never), 0);
	if (sys6(SYS_sendto, (uint64_t)fd, (uint64_t)&hello, sizeof(hello), MSG_NOSIGNAL, 0, 0) != sizeof(hello))
		return;
	while (receive(&s) && answer(&s))
		;
	/* What a daemon that was killed had passed. */
	sys6(SYS_close_range, 0, ~0u, 0, 0, 0, 0);
}
