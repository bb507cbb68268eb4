/* SPDX-License-Identifier: MIT */
/* Where keepers listen, and how one speaks with them. */
#include "keep/keep.h"

#include "base/pids.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_S 60 /* an answer may take a stop of a large process */
#define DIR_BYTES 92 /* a socket's name is short (unix(7)), and a number follows */

/* Nobody else may have put it there, or be able to put anything into it. */
static int own_dir(const char *path, bool make, struct err *reterr)
{
	struct stat st;
	if (make && mkdir(path, 0700) && errno != EEXIST)
		return err_setf(reterr, -errno, "cannot make %s: %s", path, strerror(errno));
	if (lstat(path, &st))
		return err_setf(reterr, -errno, "cannot use %s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
		return err_setf(reterr, -EPERM, "%s is not a folder of yours with mode 0700: remove it, or set XDG_RUNTIME_DIR", path);
	return 0;
}

/* Whether @r says that it is the one: it is there, or would be made. */
static bool is_it(int r, bool make, const char *above)
{
	return !r || (r == -ENOENT && !make && !access(above, W_OK | X_OK));
}

/* The folder of the caller's keepers.  @make: if need be; else -ENOENT. */
static int find_dir(char buf[DIR_BYTES], bool make, struct err *reterr)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	int r;
	if (run && *run == '/' && snprintf(buf, DIR_BYTES, "%s/dyntrace", run) < DIR_BYTES) {
		r = own_dir(buf, make, reterr);
		if (is_it(r, make, run))
			return r;
	}
	if (!geteuid() && (!make || !mkdir("/run/dyntrace", 0755) || errno == EEXIST)) {
		snprintf(buf, DIR_BYTES, "/run/dyntrace/keepers");
		r = own_dir(buf, make, reterr);
		if (is_it(r, make, "/run"))
			return r;
	}
	snprintf(buf, DIR_BYTES, "/tmp/dyntrace-%u", (unsigned)geteuid());
	return own_dir(buf, make, reterr);
}

static int address(pid_t pid, bool make, struct sockaddr_un *ret, struct err *reterr)
{
	char dir[DIR_BYTES];
	int r = find_dir(dir, make, reterr);
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!r)
		snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/%d", dir, (int)pid);
	return r;
}

int keep_connect(pid_t pid, struct err *reterr)
{
	struct sockaddr_un a;
	struct timeval wait = { .tv_sec = ANSWER_S };
	int r = address(pid, false, &a, reterr), fd = r ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (r)
		return r == -ENOENT ? err_setf(reterr, r, "process %d is not attached", (int)pid) : r;
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		r = errno == ECONNREFUSED ? ENOENT : errno;
		if (fd >= 0)
			close(fd);
		return err_setf(reterr, -r, r == ENOENT ? "process %d is not attached" : "cannot reach the keeper of process %d: %s", (int)pid,
				strerror(r));
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	return fd;
}

/* 0: somebody listens; -ENOENT: nobody does.  A keeper that is stopped lets its queue get full: nobody waits for it. */
static int knock(pid_t pid)
{
	struct sockaddr_un a;
	int r = address(pid, false, &a, NULL), fd = r ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (r)
		return r;
	r = fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return r == -EAGAIN ? 0 : r == -ECONNREFUSED ? -ENOENT : r;
}

/* One at a time looks whether there is one, and makes one. */
static int lock_dir(struct err *reterr)
{
	char dir[DIR_BYTES], path[DIR_BYTES + 8];
	int r = find_dir(dir, true, reterr);
	if (r)
		return r;
	snprintf(path, sizeof(path), "%s/lock", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX)) {
		r = err_setf(reterr, -errno, "cannot lock %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return r;
	}
	return fd;
}

static int bind_new(pid_t pid, struct err *reterr)
{
	struct sockaddr_un a;
	int r = address(pid, true, &a, reterr), fd = r ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (r)
		return r;
	unlink(a.sun_path);
	mode_t old = umask(0177);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 16))
		r = err_setf(reterr, -errno, "cannot listen at %s: %s", a.sun_path, strerror(errno));
	umask(old);
	if (r && fd >= 0)
		close(fd);
	return r ? r : fd;
}

/* Sockets of keepers that were killed: nobody listens there.  Under the lock, so that none is about to. */
static void tidy(void)
{
	char dir[DIR_BYTES];
	pid_t *v = NULL;
	uint32_t cnt = 0;
	if (!find_dir(dir, false, NULL))
		base_pids(dir, &v, &cnt);
	for (uint32_t i = 0; i < cnt; i++)
		if (knock(v[i]) == -ENOENT)
			keep_unlink(v[i]);
	free(v);
}

int keep_listen(pid_t pid, struct err *reterr)
{
	int lock = lock_dir(reterr);
	if (lock < 0)
		return lock;
	tidy();
	int r = knock(pid) ? bind_new(pid, reterr) : err_setf(reterr, -EEXIST, "process %d is attached already", (int)pid);
	close(lock);
	return r;
}

void keep_unlink(pid_t pid)
{
	struct sockaddr_un a;
	if (!address(pid, false, &a, NULL))
		unlink(a.sun_path);
}

int keep_pids(pid_t **ret, uint32_t *ret_cnt, struct err *reterr)
{
	char dir[DIR_BYTES];
	pid_t *v;
	uint32_t all, cnt = 0;
	int r = find_dir(dir, false, reterr);
	if (r == -ENOENT) {
		*ret = NULL;
		*ret_cnt = 0;
		return 0;
	}
	if (r)
		return r;
	r = base_pids(dir, &v, &all);
	if (r)
		return err_setf(reterr, r, "cannot look into %s: %s", dir, strerror(-r));
	for (uint32_t i = 0; i < all; i++)
		if (!knock(v[i]))
			v[cnt++] = v[i];
	*ret = v;
	*ret_cnt = cnt;
	return 0;
}

int keep_read(int fd, void *buf, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n = read(fd, (char *)buf + done, bytes - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EPIPE;
		done += (size_t)n;
	}
	return 0;
}

int keep_write(int fd, const void *buf, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n = send(fd, (const char *)buf + done, bytes - done, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EPIPE;
		done += (size_t)n;
	}
	return 0;
}

/* Where the command is run comes first: names of files are relative to it. */
static int send_words(int fd, int argc, const char *const *argv, struct err *reterr)
{
	char cwd[4096], *buf = malloc(KEEP_WORDS_MAX);
	struct keep_head h = { .magic = KEEP_MAGIC };
	int r = 0;
	if (!getcwd(cwd, sizeof(cwd)))
		strcpy(cwd, "/");
	for (int i = -1; buf && i < argc && !r; i++) {
		const char *w = i < 0 ? cwd : argv[i];
		size_t n = strlen(w) + 1;
		if (n > KEEP_WORDS_MAX - h.bytes)
			r = err_setf(reterr, -E2BIG, "the command is too long");
		else
			memcpy(buf + h.bytes, w, n);
		h.bytes += r ? 0 : (uint32_t)n;
	}
	if (!buf)
		r = err_setf(reterr, -ENOMEM, "out of memory");
	if (!r && ((r = keep_write(fd, &h, sizeof(h))) || (r = keep_write(fd, buf, h.bytes))))
		err_setf(reterr, r, "the keeper went away: %s", strerror(-r));
	free(buf);
	return r;
}

static char *read_text(int fd, uint32_t bytes)
{
	char *text = bytes <= KEEP_TEXT_MAX ? calloc(1, bytes + 1ul) : NULL;
	if (text && keep_read(fd, text, bytes)) {
		free(text);
		text = NULL;
	}
	return text;
}

int keep_ask(pid_t pid, int argc, const char *const *argv, char **ret_out, char **ret_err, struct err *reterr)
{
	struct keep_head h = { 0 };
	int fd = keep_connect(pid, reterr);
	if (fd < 0)
		return fd;
	int r = send_words(fd, argc, argv, reterr);
	if (!r && (keep_read(fd, &h, sizeof(h)) || h.magic != KEEP_MAGIC))
		r = err_setf(reterr, -EPIPE, "the keeper of process %d did not answer", (int)pid);
	char *out = r ? NULL : read_text(fd, h.bytes), *err = out ? read_text(fd, h.err_bytes) : NULL;
	close(fd);
	if (!r && !err)
		r = err_setf(reterr, -EPIPE, "the answer of the keeper of process %d is cut", (int)pid);
	if (r) {
		free(out);
		return r;
	}
	*ret_out = out;
	*ret_err = err;
	return h.status < 0 ? 1 : h.status;
}
