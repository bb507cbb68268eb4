/* SPDX-License-Identifier: MIT */
/*
 * LOOK: who may trace a process may read its symbols, as its own user can.  What is given is a descriptor that the kernel
 * ties to the program that was looked at: when the process becomes another one, it reads nothing of that.
 */
#include "daemon/daemon_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

static void name_file(const uint64_t *v, char path[128])
{
	static const char *const names[] = {
		[PROTO_LOOK_MAPS] = "maps", [PROTO_LOOK_MEM] = "mem", [PROTO_LOOK_AUXV] = "auxv", [PROTO_LOOK_EXE] = "exe",
	};
	if (v[1] == PROTO_LOOK_MAPPED)
		snprintf(path, 128, "/proc/%d/map_files/%llx-%llx", (int)v[0], (unsigned long long)v[2], (unsigned long long)v[3]);
	else
		snprintf(path, 128, "/proc/%d/%s", (int)v[0], names[v[1]]);
}

/* To open what is no file can have effects. */
static int open_file(const uint64_t *v)
{
	char path[128];
	struct stat st;
	name_file(v, path);
	if (v[1] >= PROTO_LOOK_EXE && (stat(path, &st) || !S_ISREG(st.st_mode)))
		return -ENOENT;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

static void note(struct worker *w, pid_t pid, int rc, const struct err *e)
{
	if (w->looked_at == pid)
		return;
	w->looked_at = pid;
	log_sayf(rc ? LOG_WARNING : LOG_INFO, "%s (pid %d): look at process %d: %s", w->peer.name, (int)w->peer.pid, (int)pid,
		 rc ? e->msg : "permitted");
}

int look(struct worker *w, struct proto_in *in, struct err *reterr)
{
	uint64_t v[PROTO_WORDS], code;
	struct err e = { 0 };
	int rc = proto_words_decode(in, PROTO_LOOK, v, reterr);
	if (rc)
		return rc;
	if (!v[0] || v[0] > INT32_MAX || v[1] >= PROTO_LOOK_WHATS)
		return err_setf(reterr, -EPROTO, "message LOOK is about something that is not there");
	rc = peer_may_trace(&w->peer, w->conf, (pid_t)v[0], &e);
	note(w, (pid_t)v[0], rc, &e);
	int fd = rc ? rc : open_file(v);
	/* It may have become another one in between. */
	rc = fd < 0 ? fd : peer_may_trace(&w->peer, w->conf, (pid_t)v[0], NULL);
	code = rc ? (uint64_t)-rc : 0;
	proto_words_encode(&w->io.out, PROTO_FILE, &code);
	if (io_send(&w->io, &fd, rc ? 0 : 1))
		rc = err_setf(reterr, -ECONNRESET, "the client does not read");
	else
		rc = 0;
	if (fd >= 0)
		close(fd);
	return rc;
}
