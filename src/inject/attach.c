/* SPDX-License-Identifier: MIT */
/* Who may be traced, and the descriptors that stay open meanwhile. */
#include "inject/inject_int.h"

#include "host/host.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int read_file(const char *path, char *buf, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t n = 0;
	ssize_t r;
	while (n < cap - 1 && (r = read(fd, buf + n, cap - 1 - n)) > 0)
		n += (size_t)r;
	close(fd);
	buf[n] = 0;
	return (int)n;
}

long inject_status_field(pid_t pid, pid_t tid, const char *key)
{
	char path[64], buf[8192];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, (int)tid);
	if (read_file(path, buf, sizeof(buf)) < 0)
		return -1;
	size_t len = strlen(key);
	for (char *p = buf; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (!strncmp(p, key, len) && p[len] == ':')
			return strtol(p + len + 1, NULL, 10);
	}
	return -1;
}

/* Its state and its flags (include/linux/sched.h), as /proc/PID/task/TID/stat has them; 0: it is not there. */
static char task_look(pid_t pid, pid_t tid, unsigned *retflags)
{
	char path[64], buf[512], state = 0;
	*retflags = 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
	if (read_file(path, buf, sizeof(buf)) < 0)
		return 0;
	char *p = strrchr(buf, ')'); /* the name may hold anything */
	return p && sscanf(p + 1, " %c %*d %*d %*d %*d %*d %u", &state, retflags) >= 1 ? state : 0;
}

char inject_task_state(pid_t pid, pid_t tid)
{
	unsigned flags;
	return task_look(pid, tid, &flags);
}

#define PF_EXITING 0x00000004u /* include/linux/sched.h */
#define PF_KTHREAD 0x00200000u

/* Not that there is nothing, but that we may not open more. */
static bool is_short_of_files(void) { return errno == EMFILE || errno == ENFILE || errno == ENOMEM; }

/* A thread that still has its memory: the leader of a process may have ended before the others, and who is about to end
 * may be looked at by root only.  Of what cannot be looked at, who opens the next file will say why. */
pid_t inject_live_task(pid_t pid)
{
	char path[64];
	pid_t ret = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *dir = opendir(path);
	if (!dir)
		return is_short_of_files() ? pid : 0;
	for (struct dirent *d; !ret && (d = readdir(dir));) {
		pid_t tid = (pid_t)atoi(d->d_name);
		errno = 0;
		unsigned flags = 0;
		char st = tid ? task_look(pid, tid, &flags) : 0;
		if (tid && (st ? st != 'Z' && st != 'X' && !(flags & PF_EXITING) : is_short_of_files()))
			ret = tid;
	}
	closedir(dir);
	return ret;
}

/* A program that is just ending has given its memory back already, as kernel threads never had any. */
static int no_program(pid_t pid, pid_t tid, struct err *reterr)
{
	unsigned flags;
	if (task_look(pid, tid, &flags) && flags & PF_KTHREAD)
		return err_setf(reterr, -EINVAL, "process %d is a kernel thread; only programs can be traced", (int)pid);
	return err_setf(reterr, -ESRCH, "process %d has ended", (int)pid);
}

static int check_class(pid_t pid, pid_t tid, struct err *reterr)
{
	char path[64];
	unsigned char id[EI_NIDENT + 4] = { 0 };
	snprintf(path, sizeof(path), "/proc/%d/task/%d/exe", (int)pid, (int)tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return no_program(pid, tid, reterr);
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return !inject_live_task(pid) ? no_program(pid, tid, reterr) : err_setf(reterr, -EPERM,
				"not permitted to trace process %d: %s", (int)pid, inject_what_helps(false));
	if (fd < 0)
		return err_setf(reterr, -errno, "cannot read the program of process %d: %s", (int)pid, strerror(errno));
	ssize_t n = pread(fd, id, sizeof(id), 0);
	int e = errno;
	close(fd);
	if (n < 0)
		return err_setf(reterr, -e, "cannot read the program of process %d: %s", (int)pid, strerror(e));
	if (n != (ssize_t)sizeof(id) || memcmp(id, ELFMAG, SELFMAG))
		return err_setf(reterr, -EINVAL, "process %d does not run an ELF program", (int)pid);
	if (id[EI_CLASS] != ELFCLASS64 || id[EI_NIDENT + 2] != EM_X86_64)
		return err_setf(reterr, -ENOTSUP, "process %d runs a 32-bit program or one of another processor; "
				"only x86-64 programs can be traced", (int)pid);
	return 0;
}

/* They let go at a word; a signal could take the process along. */
static bool is_debugger(const char *name)
{
	static const char *const names[] = { "gdb", "lldb", "rr", "dlv" };
	for (size_t i = 0; i < ARRAY_CNT(names); i++)
		if (!strncmp(name, names[i], strlen(names[i])))
			return true;
	return false;
}

int inject_check_tracer(pid_t pid, pid_t tid, struct err *reterr)
{
	long tracer = inject_status_field(pid, tid, "TracerPid");
	char path[64], name[32];
	if (tracer <= 0)
		return 0;
	if (tracer == getpid())
		return err_setf(reterr, -EBUSY, "process %d stands, and the kernel does not let us let it go; something stands between "
				"(a sandbox, strace)", (int)pid);
	snprintf(path, sizeof(path), "/proc/%ld/comm", tracer);
	int n = read_file(path, name, sizeof(name));
	name[n > 0 ? n - 1 : 0] = 0;
	const char *who = n > 0 ? name : "whose name cannot be read";
	if (is_debugger(name))
		return err_setf(reterr, -EBUSY, "process %d is traced by process %ld already (%s); \"detach\" in it ends that",
				(int)pid, tracer, who);
	return err_setf(reterr, -EBUSY, "process %d is traced by process %ld already (%s); Ctrl-C in it, or kill %ld, ends that",
			(int)pid, tracer, who, tracer);
}

int inject_check_target(pid_t pid, struct err *reterr)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (pid <= 0 || access(path, F_OK))
		return err_setf(reterr, -ESRCH, "there is no process %d", (int)pid);
	if (pid == getpid())
		return err_setf(reterr, -EINVAL, "process %d is this program; it cannot trace itself", (int)pid);
	pid_t tid = inject_live_task(pid);
	if (!tid)
		return err_setf(reterr, -ESRCH, "process %d has ended (it is a zombie that waits for its parent)", (int)pid);
	int r = check_class(pid, tid, reterr);
	return r ? r : inject_check_tracer(pid, tid, reterr);
}

static int open_mem(struct inject *in, pid_t tid, struct err *reterr)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/mem", (int)in->pid, (int)tid);
	in->mem_fd = open(path, O_RDWR | O_CLOEXEC);
	if (in->mem_fd >= 0)
		return 0;
	if (errno == ENOENT || errno == ESRCH) { /* the thread has ended meanwhile, or all have */
		pid_t other = inject_live_task(in->pid);
		return other && other != tid ? open_mem(in, other, reterr) :
			err_setf(reterr, -ESRCH, "process %d has ended", (int)in->pid);
	}
	int e = errno;
	if ((e == EACCES || e == EPERM) && !inject_live_task(in->pid))
		return err_setf(reterr, -ESRCH, "process %d has ended", (int)in->pid);
	if (e != EACCES && e != EPERM)
		return err_setf(reterr, -e, "cannot open the memory of process %d: %s", (int)in->pid, strerror(e));
	char scope[16] = "";
	bool yama = read_file("/proc/sys/kernel/yama/ptrace_scope", scope, sizeof(scope)) > 0 && scope[0] > '0';
	return err_setf(reterr, -EPERM, "not permitted to trace process %d: %s", (int)in->pid, inject_what_helps(yama));
}

static uint64_t first_mapping(pid_t pid, pid_t tid)
{
	char path[64], line[64];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/maps", (int)pid, (int)tid);
	return read_file(path, line, sizeof(line)) > 0 ? strtoull(line, NULL, 16) : 0;
}

int inject_watch_end(struct inject *in, struct err *reterr)
{
	in->pid_fd = (int)syscall(SYS_pidfd_open, in->pid, 0);
	return in->pid_fd >= 0 ? 0 : err_setf(reterr, -errno, "cannot watch process %d: %s", (int)in->pid, strerror(errno));
}

bool inject_has_ended(const struct inject *in)
{
	return host_pidfd_ended(in->pid_fd);
}

/* One number, one process: as it has not ended by now, all that was opened by its number since is its own. */
int inject_open_files(struct inject *in, struct err *reterr)
{
	int r = in->pid_fd < 0 ? inject_watch_end(in, reterr) : 0;
	pid_t tid = inject_live_task(in->pid);
	r = r ? r : open_mem(in, tid, reterr);
	if (r)
		return r;
	in->mapped_addr = first_mapping(in->pid, tid);
	return inject_has_ended(in) ? err_setf(reterr, -ESRCH, "process %d has ended", (int)in->pid) : 0;
}

struct inject *inject_new(pid_t pid)
{
	struct inject *in = calloc(1, sizeof(*in));
	if (in)
		*in = (struct inject){ .pid = pid, .mem_fd = -1, .pid_fd = -1, .link = -1 };
	return in;
}

void inject_free(struct inject *in)
{
	if (!in)
		return;
	if (in->mem_fd >= 0)
		close(in->mem_fd);
	if (in->pid_fd >= 0)
		close(in->pid_fd);
	if (in->link >= 0)
		close(in->link);
	free(in->threads);
	free(in->loose);
	free(in->abandon.saved);
	free(in);
}

/* What is checked and what is opened is the same process, though its number be used again meanwhile. */
static int look(pid_t pid, bool traced_is_fine, struct inject **ret, struct err *reterr)
{
	struct err why;
	struct inject *in = inject_new(pid);
	if (!in)
		return err_setf(reterr, -ENOMEM, "out of memory");
	int watch = inject_watch_end(in, &why);
	int r = inject_check_target(pid, reterr); /* which says more of who cannot be watched */
	if (r == -EBUSY && traced_is_fine)
		r = 0;
	if (!r && watch)
		r = err_setf(reterr, watch, "%s", why.msg);
	r = r ? r : inject_open_files(in, reterr);
	if (r) {
		inject_free(in);
		return r;
	}
	*ret = in;
	return 0;
}

int inject_may(pid_t pid, struct err *reterr)
{
	struct inject *in = NULL;
	int r = look(pid, false, &in, reterr);
	if (!r)
		inject_free(in);
	return r;
}

int inject_look(pid_t pid, struct inject **ret, struct err *reterr)
{
	return look(pid, true, ret, reterr);
}

int inject_attach(pid_t pid, struct inject **ret, struct err *reterr)
{
	return look(pid, false, ret, reterr);
}

void inject_doom(struct inject *in, bool doomed)
{
	in->doomed = doomed;
}

void inject_detach(struct inject *in)
{
	if (!in)
		return;
	if (in->doomed && !in->exited)
		kill(in->pid, SIGKILL);
	if (in->at_exec)
		inject_detach_thread(in->pid, 0);
	if (in->stopped)
		inject_resume(in, NULL);
	inject_free(in);
}

pid_t inject_pid(const struct inject *in)
{
	return in->pid;
}
