/* SPDX-License-Identifier: MIT */
/*
 * LOOK: who may trace a process may read its symbols, as its own user can.  Maps, mem and auxv are tied by the kernel to the
 * program that was looked at: when the process becomes another one, they read nothing of that.  The program and what it has
 * mapped are the files themselves: whole, also what no process has mapped, and for as long as the descriptor is kept.
 */
#include "daemon/daemon_int.h"

#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* Steps, and how many may come at once. */
#define NOTE_NS 100000000ull
#define NOTES 256u
#define LOOK_NS 1000000ull
#define LOOKS 4096u

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

/* Of what it has mapped only programs are of use; anything else could be a file of secrets. */
static int open_program(const char *path)
{
	char magic[4];
	int fd = host_open_regular(path);
	if (fd < 0 || (pread(fd, magic, sizeof(magic), 0) == sizeof(magic) && !memcmp(magic, "\x7f" "ELF", sizeof(magic))))
		return fd;
	close(fd);
	return -ENOEXEC;
}

static int open_file(const uint64_t *v)
{
	char path[128];
	name_file(v, path);
	if (v[1] >= PROTO_LOOK_EXE)
		return open_program(path);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

void look_pace(uint64_t *due, uint64_t step, uint32_t at_once)
{
	uint64_t now = host_now_ns();
	if (*due < now)
		*due = now;
	if (*due > now + step * at_once)
		nanosleep(&(struct timespec){ .tv_nsec = (long)step }, NULL);
	*due += step;
}

static void note(struct worker *w, pid_t pid, int rc, const struct err *e)
{
	struct looks *l = &w->looks;
	for (uint32_t i = 0; i < ARRAY_CNT(l->at); i++)
		if (l->at[i].pid == pid && l->at[i].refused == (rc != 0))
			return;
	l->at[l->next++ % ARRAY_CNT(l->at)] = (struct looked_at){ pid, rc != 0 };
	look_pace(&l->note_ns, NOTE_NS, NOTES); /* nothing that was done goes unsaid, or drowns in the rest */
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
	look_pace(&w->looks.look_ns, LOOK_NS, LOOKS);
	rc = peer_may_trace(&w->peer, w->conf, (pid_t)v[0], &e);
	note(w, (pid_t)v[0], rc, &e);
	int fd = rc ? rc : open_file(v);
	/* It may have become another one in between. */
	rc = fd < 0 ? fd : peer_may_trace(&w->peer, w->conf, (pid_t)v[0], NULL);
	if (!rc && w->state == WORKER_GREETED)
		w->since_ns = host_now_ns(); /* it is at work */
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
