/* SPDX-License-Identifier: MIT */
/* RUNDIR/targets/WORKER.TARGET: an empty file for each process that a worker has touched. */
#include "daemon/daemon_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define REPAIR_TRIES 20
#define REPAIR_PAUSE_NS 100000000

static int folder = -1;

int notes_init(const char *run_dir, struct err *reterr)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/targets", run_dir);
	if (mkdir(path, 0700) && errno != EEXIST)
		return err_setf(reterr, -errno, "cannot make %s: %s", path, strerror(errno));
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (folder < 0)
		return err_setf(reterr, -errno, "cannot open %s: %s", path, strerror(errno));
	return 0;
}

static void name_of(char *buf, size_t cap, pid_t worker, pid_t target)
{
	snprintf(buf, cap, "%d.%d", (int)worker, (int)target);
}

int notes_add(pid_t worker, pid_t target, struct err *reterr)
{
	char name[32];
	name_of(name, sizeof(name), worker, target);
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_setf(reterr, -errno, "cannot note that process %d is traced: %s", (int)target, strerror(errno));
	close(fd);
	return 0;
}

void notes_remove(pid_t worker, pid_t target)
{
	char name[32];
	name_of(name, sizeof(name), worker, target);
	unlinkat(folder, name, 0);
}

static uint32_t each(notes_which_fn *which, const void *arg, void (*fn)(pid_t worker, pid_t target, bool again), bool again)
{
	int dup = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = dup >= 0 ? fdopendir(dup) : NULL;
	uint32_t cnt = 0;
	for (struct dirent *e; d && (e = readdir(d));) {
		int w, t;
		if (sscanf(e->d_name, "%d.%d", &w, &t) != 2 || !which(arg, w))
			continue;
		cnt++;
		if (fn)
			fn(w, t, again);
	}
	if (d)
		closedir(d);
	return cnt;
}

/* By ptrace, or where that is refused, by its own thread. */
static int try_repair(pid_t target, struct session_repaired *ret, struct err *reterr)
{
	struct session_offer o;
	int rc = session_repair(target, ret, reterr);
	if ((rc != -EBUSY && rc != -EPERM && rc != -EACCES) || offers_borrow(target, &o, NULL))
		return rc;
	rc = session_repair_offered(target, &o, ret, reterr);
	close(o.sock);
	return rc;
}

/* Threads may stand in generated code for a while. */
static void repair(pid_t worker, pid_t target, bool again)
{
	struct session_repaired done = { 0 };
	struct err e = { 0 };
	int rc = -EBUSY;
	for (int i = 0; rc == -EBUSY && i < (again ? 1 : REPAIR_TRIES); i++) {
		if (i)
			nanosleep(&(struct timespec){ .tv_nsec = REPAIR_PAUSE_NS }, NULL);
		rc = try_repair(target, &done, &e);
	}
	bool is_left = rc && rc != -ESRCH; /* it is tried again */
	if (is_left && !again)
		log_sayf(LOG_ERR, "process %d was traced by worker %d, which has ended, and could not be repaired: %s", (int)target,
			 (int)worker, e.msg);
	else if (!rc && done.place_cnt + done.map_cnt)
		log_sayf(LOG_NOTICE, "process %d repaired after worker %d ended: %u places, %u mappings", (int)target, (int)worker,
			 done.place_cnt, done.map_cnt);
	if (!is_left)
		notes_remove(worker, target);
}

void notes_repair(notes_which_fn *which, const void *arg, bool again) { each(which, arg, repair, again); }
bool notes_any(notes_which_fn *which, const void *arg) { return each(which, arg, NULL, false) > 0; }
