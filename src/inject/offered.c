/* SPDX-License-Identifier: MIT */
/*
 * A process without stops: its own thread does what we ask for (agent/serve.c).
 *
 * Each request has a time after which the thread refuses it; we wait longer.  So a request that was not answered will
 * not be done either, however long a debugger holds that thread: nothing is changed behind our back.
 */
#include "inject/inject_int.h"

#include "host/host.h"
#include "host/maps.h"
#include "wire/offer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define DO_NS 4000000000ull   /* in which a request has to be begun */
#define WAIT_NS 5000000000ull /* for its answer */
#define PROMPT_NS 20000000ull /* an answer within it is none to wait for */
#define SLOW_NS 10000000000ull /* in all, for answers that came later */
#define PROOF "/memfd:" INJECT_PROOF
#define PROOF_BYTES 4096

struct question {
	struct wire_offer_req req;
	uint8_t data[WIRE_OFFER_DATA];
};

bool inject_is_live(const struct inject *in)
{
	return in->link >= 0;
}

pid_t inject_offered_tid(const struct inject *in)
{
	return in->link_tid;
}

bool offered_has_seccomp(struct inject *in)
{
	return inject_status_field(in->pid, in->link_tid, "Seccomp") > 0;
}

static int silent(struct inject *in, int code, struct err *reterr)
{
	in->link_error = code;
	if (code == -ECONNRESET)
		return inject_gone(in, reterr);
	return err_setf(reterr, code, "process %d does not answer, which offered itself: does a debugger hold it?", (int)in->pid);
}

/* It would be killed, or worse, do only a part. */
static int check(struct inject *in, struct err *reterr)
{
	if (in->link_error)
		return silent(in, in->link_error, reterr);
	if (inject_status_field(in->pid, in->link_tid, "Seccomp") == 0)
		return 0;
	if (inject_status_field(in->pid, in->link_tid, "Seccomp") < 0)
		return silent(in, -ECONNRESET, reterr);
	return err_setf(reterr, -ENOTSUP, "process %d put itself under a seccomp filter after it offered itself: what it may do for us cannot "
			"be told", (int)in->pid);
}

static int send_to(struct inject *in, const struct question *q, size_t data_bytes, int fd)
{
	if (host_send_fds(in->link, q, sizeof(q->req) + data_bytes, &fd, fd >= 0, MSG_DONTWAIT) >= 0)
		return 0;
	return errno == EPIPE || errno == ECONNRESET ? -ECONNRESET : -ETIMEDOUT;
}

/* One that takes its time over each answer would have us for hours.  The answer counts still: what was asked for is done. */
static void charge(struct inject *in, uint64_t ns)
{
	in->link_slow_ns += ns > PROMPT_NS ? ns - PROMPT_NS : 0;
	if (in->link_slow_ns > SLOW_NS)
		in->link_error = -ETIMEDOUT;
}

/* The answer to the last request; what is left of earlier ones is dropped. */
static int receive(struct inject *in, struct wire_offer_reply *r)
{
	uint64_t begun = host_now_ns(), end = begun + WAIT_NS;
	for (uint64_t now; (now = host_now_ns()) < end;) {
		struct pollfd p = { .fd = in->link, .events = POLLIN };
		if (poll(&p, 1, (int)((end - now) / 1000000) + 1) <= 0)
			continue;
		ssize_t n = recv(in->link, r, sizeof(*r), MSG_DONTWAIT);
		if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
			return -ECONNRESET;
		if (n == (ssize_t)sizeof(*r) && r->seq == in->link_seq) {
			charge(in, host_now_ns() - begun);
			return 0;
		}
	}
	return -ETIMEDOUT;
}

static int ask(struct inject *in, struct question *q, size_t data_bytes, int fd, struct wire_offer_reply *r, struct err *reterr)
{
	struct timespec now;
	int e = check(in, reterr);
	if (e)
		return e;
	clock_gettime(CLOCK_REALTIME, &now);
	q->req.until_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + DO_NS;
	q->req.seq = ++in->link_seq;
	e = send_to(in, q, data_bytes, fd);
	e = e ? e : receive(in, r);
	if (!e && r->value == -ETIMEDOUT)
		e = -ETIMEDOUT;
	return e ? silent(in, e, reterr) : 0;
}

int offered_syscall(struct inject *in, long nr, const uint64_t args[6], int64_t *ret_value, struct err *reterr)
{
	struct question q = { .req = { .op = WIRE_OFFER_SYSCALL, .args = { (uint64_t)nr } } };
	struct wire_offer_reply r;
	memcpy(q.req.args + 1, args, 6 * sizeof(args[0]));
	int e = ask(in, &q, 0, -1, &r, reterr);
	if (!e)
		*ret_value = r.value;
	return e;
}

int offered_pass_fd(struct inject *in, int fd, int *ret_fd, struct err *reterr)
{
	struct question q = { .req = { .op = WIRE_OFFER_FD } };
	struct wire_offer_reply r;
	int e = ask(in, &q, 0, fd, &r, reterr);
	if (!e && (r.value < 0 || r.value > INT32_MAX))
		e = err_setf(reterr, -EMFILE, "process %d cannot receive a descriptor; raise its limit of open files (prlimit --nofile)",
			     (int)in->pid);
	if (!e)
		*ret_fd = (int)r.value;
	return e;
}

static int store_some(struct inject *in, const struct inject_word *w, uint32_t cnt, uint32_t *ret_done, struct err *reterr)
{
	struct question q = { .req = { .op = WIRE_OFFER_STORE, .args = { cnt } } };
	struct wire_offer_reply r;
	for (uint32_t i = 0; i < cnt; i++) {
		struct wire_offer_word v = { w[i].addr, w[i].was, w[i].is, (uint64_t)w[i].prot };
		memcpy(q.data + i * sizeof(v), &v, sizeof(v));
	}
	*ret_done = 0;
	int e = ask(in, &q, cnt * sizeof(struct wire_offer_word), -1, &r, reterr);
	if (e)
		return e;
	*ret_done = r.value < 0 ? 0 : r.value > cnt ? cnt : (uint32_t)r.value;
	if (*ret_done == cnt && !r.error)
		return 0;
	e = r.error < 0 && r.error > -4096 ? (int)r.error : -EIO;
	if (e == -EAGAIN)
		return err_setf(reterr, e, "the code of process %d changed meanwhile", (int)in->pid);
	return err_setf(reterr, e, "process %d may not write to its own code: %s (SELinux, or a rule of its own?)", (int)in->pid, strerror(-e));
}

int inject_store(struct inject *in, const struct inject_word *w, uint32_t cnt, uint32_t *ret_done, struct err *reterr)
{
	int e = 0;
	uint32_t n = 0;
	*ret_done = 0;
	for (; *ret_done < cnt && !e; *ret_done += n) {
		uint32_t left = cnt - *ret_done;
		e = store_some(in, w + *ret_done, left < WIRE_OFFER_WORDS ? left : WIRE_OFFER_WORDS, &n, reterr);
	}
	return e;
}

int offered_stop(struct inject *in, struct err *reterr)
{
	int e = check(in, reterr);
	in->stopped = !e;
	return e;
}

/* ---- is it the one? ---- */

/* Whether process @pid has mapped the file. */
static bool has_mapped(pid_t pid, const struct stat *st)
{
	struct host_maps all;
	struct host_map m;
	bool found = false;
	host_maps_open(&all, pid, 0);
	while (!found && host_maps_next(&all, &m) > 0)
		found = m.inode == st->st_ino && m.dev == st->st_dev && !strncmp(m.path, PROOF, sizeof(PROOF) - 1);
	host_maps_close(&all);
	return found;
}

/* Who finds it in a process is told by a private mapping of it whether it is in use; where that may not be looked at, by its name. */
static int make_proof(struct stat *ret, void **ret_own)
{
	char name[64];
	snprintf(name, sizeof(name), INJECT_PROOF "-%d", (int)getpid());
	int fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_own = ftruncate(fd, PROOF_BYTES) || fstat(fd, ret) ? MAP_FAILED : mmap(NULL, PROOF_BYTES, PROT_NONE, MAP_PRIVATE, fd, 0);
	if (*ret_own != MAP_FAILED)
		return fd;
	int r = -errno;
	close(fd);
	return r;
}

/* A connection can be in other hands than those that made it.  What only its other end could map is looked for in @pid. */
static int prove(struct inject *in, struct err *reterr)
{
	struct stat st;
	uint64_t addr = 0;
	void *own;
	int there = -1, fd = make_proof(&st, &own);
	if (fd < 0)
		return err_setf(reterr, fd, "cannot make memory: %s", strerror(-fd));
	int e = offered_pass_fd(in, fd, &there, reterr);
	if (!e)
		e = inject_mmap(in, 0, PROOF_BYTES, PROT_NONE, MAP_SHARED, there, 0, &addr, reterr);
	if (there >= 0)
		inject_close_fd(in, there, NULL);
	bool proven = !e && has_mapped(in->pid, &st);
	if (!e)
		inject_munmap(in, addr, PROOF_BYTES, NULL);
	munmap(own, PROOF_BYTES);
	close(fd);
	if (!e && !proven)
		e = err_setf(reterr, -EPERM, "who offered itself as process %d is another", (int)in->pid);
	return e;
}

/* The number here of the thread that its own pid namespace calls @tid; -1: there is none. */
static pid_t outer_tid(pid_t pid, pid_t tid)
{
	char path[64], line[256];
	pid_t found = -1;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *d = opendir(path);
	for (struct dirent *e; d && found < 0 && (e = readdir(d));) {
		char name[sizeof(path) + sizeof(e->d_name) + 8];
		snprintf(name, sizeof(name), "%s/%s/status", path, e->d_name);
		FILE *f = e->d_name[0] == '.' ? NULL : fopen(name, "re");
		while (f && fgets(line, sizeof(line), f))
			if (!strncmp(line, "NSpid:", 6) && atoi(strrchr(line, '\t') + 1) == tid)
				found = (pid_t)atoi(e->d_name);
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	return found;
}

int inject_offered(pid_t pid, pid_t tid, int sock, struct inject **ret, struct err *reterr)
{
	struct inject *in;
	int e = inject_look(pid, &in, reterr);
	if (e)
		return e;
	in->link = fcntl(sock, F_DUPFD_CLOEXEC, 3);
	in->link_tid = outer_tid(pid, tid);
	in->link_seq = (uint32_t)host_now_ns();
	if (in->link < 0)
		e = err_setf(reterr, -errno, "cannot open a descriptor: %s", strerror(errno));
	e = e ? e : prove(in, reterr);
	if (e)
		inject_free(in);
	else
		*ret = in;
	return e;
}
