/* SPDX-License-Identifier: MIT */
/*
 * Whose shared memory is mapped in a process: a controller that lives, or one
 * that was killed.  Controllers have private copies of some of its pages, their
 * targets never (descriptors do not tell: one that was killed may have left one).
 */
#include "session/session_int.h"

#include "base/pids.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int owner_sign(const struct wire_shm *head)
{
	struct wire_shm sign;
	int fd = session_memfd("dyntrace-shm", OWNER_SIGN_BYTES);
	if (fd < 0)
		return fd;
	memcpy(sign.page, head->page, sizeof(sign.page));
	sign.bytes += OWNER_SIGN_BYTES;
	sign.proc_off += OWNER_SIGN_BYTES;
	sign.site_off += OWNER_SIGN_BYTES;
	ssize_t n = pwrite(fd, sign.page, sizeof(sign.page), 0);
	int r = n < 0 ? -errno : n != (ssize_t)sizeof(sign.page) ? -ENOSPC : 0;
	if (r)
		close(fd);
	return r ? r : fd;
}

/* Other memory has a page behind its head at least, in the same mapping. */
bool owner_is_sign(const struct obj_map *m)
{
	return !m->off && m->end - m->start == OWNER_SIGN_BYTES;
}

bool owner_is_memfd(const char *path, const char *name)
{
	return !strncmp(path, "/memfd:", 7) && !strncmp(path + 7, name, strlen(name));
}

enum answer { NO, YES, UNKNOWN };

/* Whether process @pid has mapped parts of the memory @name with @inode for itself alone. */
static enum answer holds(pid_t pid, uint64_t inode, const char *name)
{
	struct host_maps all;
	struct host_map m;
	enum answer found = NO;
	int code = host_maps_open(&all, pid, 0);
	if (code)
		return code == -ENOENT || code == -ESRCH ? NO : UNKNOWN;
	while (found != YES && host_maps_next(&all, &m) > 0)
		if (!m.shared && m.inode == inode && owner_is_memfd(m.path, name))
			found = YES;
	host_maps_close(&all);
	return found;
}

/* One that lives in another pid namespace gave a number that means nothing here. */
static pid_t look_everywhere(uint64_t inode, const char *name, bool *ret_blind)
{
	pid_t found = 0;
	pid_t *v = NULL;
	uint32_t cnt = 0;
	*ret_blind |= base_pids("/proc", &v, &cnt) != 0;
	for (uint32_t i = 0; i < cnt && !found; i++) {
		enum answer a = v[i] != getpid() ? holds(v[i], inode, name) : NO;
		found = a == YES ? v[i] : 0;
		*ret_blind |= a == UNKNOWN;
	}
	free(v);
	return found;
}

/* A worker of dyntraced tells its client's number. */
static bool is_alive(uint32_t pid)
{
	struct obj_proc_info info;
	return pid && (!kill((pid_t)pid, 0) || errno == EPERM) && (obj_proc_info((pid_t)pid, &info, NULL) || info.state != 'Z');
}

static pid_t find_owner(const struct obj_map *m, const char *name, uint32_t told, bool *ret_unsure)
{
	bool blind = false;
	enum answer a = told ? holds((pid_t)told, m->inode, name) : NO;
	pid_t found = a != NO ? (pid_t)told : look_everywhere(m->inode, name, &blind);
	*ret_unsure = a == UNKNOWN || (!found && blind && is_alive(told));
	return found;
}

pid_t owner_of(const struct obj_map *m, uint32_t told, bool *ret_unsure)
{
	return find_owner(m, "dyntrace-shm", told, ret_unsure);
}

bool owner_proves(const struct obj_map *m)
{
	bool unsure;
	uint32_t told = 0;
	sscanf(m->path, "/memfd:" INJECT_PROOF "-%u", &told);
	return find_owner(m, INJECT_PROOF, told, &unsure) != 0;
}

void owner_command(pid_t pid, char *buf, size_t cap)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, buf, cap - 1);
	if (fd >= 0)
		close(fd);
	while (n > 0 && !buf[n - 1])
		n--;
	for (ssize_t i = 0; i < n; i++)
		buf[i] = (uint8_t)buf[i] < ' ' ? ' ' : buf[i];
	buf[n > 0 ? n : 0] = 0;
}

/* The number that the controller left in its memory; 0: it is not what it seems. */
uint32_t owner_told(struct target *t, const struct obj_map *m)
{
	struct wire_shm shm;
	struct wire_proc proc;
	if (target_read(t, m->start, &shm, sizeof(shm)) || shm.magic != WIRE_MAGIC ||
	    target_read(t, m->start + shm.proc_off, &proc, offsetof(struct wire_proc, hash_key)))
		return 0;
	return proc.pid;
}

int owner_check(struct target *t, struct err *reterr)
{
	for (uint32_t i = 0; i < obj_map_cnt(t->obj); i++) {
		const struct obj_map *m = obj_map_at(t->obj, i);
		char command[128];
		bool unsure;
		if (!owner_is_memfd(m->path, "dyntrace-shm"))
			continue;
		pid_t pid = owner_of(m, owner_told(t, m), &unsure);
		if (!pid)
			continue;
		owner_command(pid, command, sizeof(command));
		const char *quote = *command ? "\"" : "";
		return err_setf(reterr, pid == getpid() ? -EALREADY : -EBUSY, "process %d is traced by dyntrace already (process %d%s%s%s%s%s); "
				"kill %d ends that%s", t->pid, pid, *command ? " " : "", quote, command, quote,
				unsure ? ", which you may not look into" : "", pid, !unsure ? "" : geteuid() ? ", or run as root" : "; it may be in another container");
	}
	return 0;
}
