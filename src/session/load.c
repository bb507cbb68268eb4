/* SPDX-License-Identifier: MIT */
/* A library for the target: one of its own threads calls dlopen(), and then goes on where it was. */
#include "session/load_int.h"

#include <errno.h>
#include <linux/futex.h>
#include <dlfcn.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TRIES 300
#define PATIENT_TRIES 100
#define PAUSE_NS 10000000
#define LOAD_TRIES 1000

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
}

/* Of the libc, or where it is apart, of libdl. */
static int find_dlopen(struct target *t, uint64_t *ret, struct err *reterr)
{
	static const char *const names[] = { "dlopen", "__libc_dlopen_mode" };
	uint64_t bytes;
	for (size_t n = 0; n < ARRAY_CNT(names); n++)
		for (uint32_t i = 0; i < obj_module_cnt(t->obj); i++) {
			struct obj_module *m = obj_module_at(t->obj, i);
			bool libc = !strncmp(m->name, "libc.so.", 8) || !strncmp(m->name, "libdl.so", 8) || !strncmp(m->name, "libc-", 5);
			if (m->end && libc && !obj_module_find(t->obj, m, names[n], ret, &bytes))
				return 0;
		}
	return err_setf(reterr, -ENOTSUP, "process %d has no dlopen(): it is static, or its libc is not glibc", (int)t->pid);
}

/* A thread goes to @fn(@text, flags of dlopen()). */
static int send(struct target *t, uint64_t fn, uint64_t text, bool patient, struct err *reterr)
{
	int r = target_stop(t, reterr);
	if (r)
		return r;
	r = obj_proc_refresh(t->obj, reterr);
	int i = r ? -1 : quiet_thread(t, patient);
	if (!r && i < 0)
		r = -EAGAIN;
	const uint64_t args[3] = { text, RTLD_NOW | RTLD_GLOBAL };
	if (!r)
		r = inject_call(t->inj, (uint32_t)i, fn, args, reterr);
	target_go(t);
	return r;
}

/* Our probe in the loader waits for us at each change. */
static void answer_loader(struct target *t)
{
	struct wire_proc *proc = target_proc(t);
	STORE_RELEASE(&proc->dl_ack, LOAD_ACQUIRE(&proc->dl_seq));
	syscall(SYS_futex, &proc->dl_ack, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static struct obj_module *module_of(struct target *t, const char *path)
{
	const char *base = strrchr(path, '/');
	for (uint32_t i = 0; i < obj_module_cnt(t->obj); i++) {
		struct obj_module *m = obj_module_at(t->obj, i);
		if (m->end && !strcmp(m->name, base ? base + 1 : path))
			return m;
	}
	return NULL;
}

/* Its constructor is through. */
static bool is_ready(struct target *t, struct obj_module *m)
{
	uint64_t addr, bytes;
	uint32_t ready = 0;
	return !obj_module_find(t->obj, m, "dyntrace_library_ready", &addr, &bytes) && !target_read(t, addr, &ready, sizeof(ready)) && ready;
}

static int await(struct target *t, const char *path, struct err *reterr)
{
	for (int i = 0; i < LOAD_TRIES; i++) {
		answer_loader(t);
		nap();
		if (obj_proc_refresh(t->obj, reterr) || !target_same_program(t))
			return err_setf(reterr, -ESRCH, "process %d ended, or runs another program now", (int)t->pid);
		struct obj_module *m = module_of(t, path);
		if (m && is_ready(t, m))
			return 0;
		if (!m && i > LOAD_TRIES / 5)
			break;
	}
	return err_setf(reterr, -ENOENT, "process %d could not load %s: is what it needs installed where that process sees it?", (int)t->pid, path);
}

static int place_text(struct target *t, const char *text, uint64_t *ret, struct err *reterr)
{
	struct session *s = t->s;
	uint32_t off = intern_add(s->strings, text);
	if (off == WIRE_NONE)
		return err_setf(reterr, -ENOSPC, "no room for %s in the session's strings", text);
	*ret = t->shm_addr + s->shm->str_off + off + offsetof(struct wire_str, s);
	return 0;
}

static int send_soon(struct target *t, uint64_t fn, uint64_t text, struct err *reterr)
{
	int r = -EAGAIN;
	for (int i = 0; i < TRIES && r == -EAGAIN; i++) {
		r = send(t, fn, text, i < PATIENT_TRIES, reterr);
		answer_loader(t);
		if (r == -EAGAIN)
			nap();
	}
	return r != -EAGAIN ? r : err_setf(reterr, -EBUSY, "no thread of process %d could be shown to hold neither the loader's nor malloc's lock; "
					   "try again, or start it with dyntrace-run", (int)t->pid);
}

int session_load(struct session *s, uint32_t proc, const char *path, struct err *reterr)
{
	struct target *t = target_at(s, proc);
	uint64_t fn = 0, there = 0;
	if (!t || t->gone)
		return err_setf(reterr, -ESRCH, "the process has ended");
	struct obj_module *m = module_of(t, path);
	if (m && is_ready(t, m))
		return 0;
	int r = place_text(t, path, &there, reterr);
	r = r ? r : find_dlopen(t, &fn, reterr);
	r = r ? r : send_soon(t, fn, there, reterr);
	return r ? r : await(t, path, reterr);
}

static int await_told(struct target *t, uint64_t told, uint64_t before, struct err *reterr)
{
	for (int i = 0; i < LOAD_TRIES; i++) {
		uint64_t now = 0;
		answer_loader(t);
		if (!target_same_program(t) || target_read(t, told, &now, sizeof(now)))
			return err_setf(reterr, -ESRCH, "process %d ended, or runs another program now", (int)t->pid);
		if (now != before)
			return 0;
		nap();
	}
	return err_setf(reterr, -ETIMEDOUT, "the library in process %d does not answer: is the process stopped?", (int)t->pid);
}

int session_tell(struct session *s, uint32_t proc, const char *library, const char *text, struct err *reterr)
{
	struct target *t = target_at(s, proc);
	uint64_t fn = 0, told = 0, there = 0, before = 0, bytes;
	struct obj_module *m = t && !t->gone ? module_of(t, library) : NULL;
	if (!m)
		return err_setf(reterr, -ESRCH, "the process has ended, or has not loaded %s", library);
	if (obj_module_find(t->obj, m, "dyntrace_library_tell", &fn, &bytes) || obj_module_find(t->obj, m, "dyntrace_library_told", &told, &bytes))
		return err_setf(reterr, -EINVAL, "%s in process %d is of another version: start the process again", library, (int)t->pid);
	int r = target_read(t, told, &before, sizeof(before)) ? err_setf(reterr, -ESRCH, "the process has ended") : 0;
	r = r ? r : place_text(t, text, &there, reterr);
	r = r ? r : send_soon(t, fn, there, reterr);
	return r ? r : await_told(t, told, before, reterr);
}
