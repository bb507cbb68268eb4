/* SPDX-License-Identifier: MIT */
/* Libraries of tracers, in the traced process. */
#include "cli/keeper/keeper_int.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int keeper_lib_path(const char *name, char *buf, size_t cap, struct err *reterr)
{
	static const char *const places[] = { "", "../lib/", "../lib/x86_64-linux-gnu/", "../lib64/" };
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = 0;
	char *slash = strrchr(self, '/');
	if (slash)
		*slash = 0;
	for (size_t i = 0; i < ARRAY_CNT(places); i++) {
		snprintf(buf, cap, "%s/%s%s", self, places[i], name);
		if (!access(buf, R_OK))
			return 0;
	}
	return err_setf(reterr, -ENOENT, "%s is not beside the program nor in its library folder: it was built without the library "
			"that it needs (liblttng-ust-dev), or is not installed", name);
}

static struct obj_module *module_named(struct keeper *k, const char *name)
{
	struct obj_proc *obj = k->obj;
	for (uint32_t i = 0; i < obj_module_cnt(obj); i++)
		if (obj_module_at(obj, i)->end && !strcmp(obj_module_at(obj, i)->name, name))
			return obj_module_at(obj, i);
	return NULL;
}

/*
 * A library's function takes memory the first time that a thread comes, and so must not be called where the allocator's
 * lock, or the loader's, is held; nor from itself.
 */
static const char *why_not(const struct keeper_probe *p)
{
	static const char *const own[] = { "liblttng-ust*", "liburcu*", "libdyntrace-*" };
	static const char *const under_locks[] = {
		"_int_*", "sysmalloc*", "systrim*", "malloc_consolidate*", "unlink_chunk*", "arena_get*", "new_heap*", "heap_trim*",
		"grow_heap*", "shrink_heap*", "tcache_*", "*sbrk*", "brk", "__brk", "*mmap*", "*munmap*", "*mremap*", "*madvise*",
		"*mprotect*", "*tls_get_addr*", "*dl_*", "*lll_lock*", "*get_nprocs*", "*libc_message*", "*malloc_printerr*",
	};
	for (size_t i = 0; i < ARRAY_CNT(own); i++)
		if (!fnmatch(own[i], p->p.mod, 0))
			return "it is part of LTTng, which would call itself";
	if (p->p.module && p->p.module->is_loader)
		return "it is part of the loader, whose lock may be held there";
	for (size_t i = 0; i < ARRAY_CNT(under_locks) && !strncmp(p->p.mod, "libc", 4); i++)
		if (!fnmatch(under_locks[i], p->p.func, 0))
			return "the allocator's lock may be held there, which LTTng may want too";
	return NULL;
}

static int check_places(struct keeper *k, struct keeper_point *pt, struct err *reterr)
{
	for (uint32_t i = 0; i < pt->probe_cnt; i++) {
		const struct probe *p = &pt->probes[i].p;
		const char *why = why_not(&pt->probes[i]);
		if (!why && p->module && obj_module_is_go(k->obj, p->module))
			why = "Go's stacks are too small for it";
		if (why)
			return err_setf(reterr, -EPERM, "tracer %s cannot be at %s`%s: %s", pt->tp.tracer->name, pt->probes[i].p.mod,
					pt->probes[i].p.func, why);
	}
	return 0;
}

int keeper_lib_load(struct keeper *k, struct keeper_point *pt, struct err *reterr)
{
	const struct tracer *t = pt->tp.tracer;
	char path[4300];
	uint64_t bytes;
	if (!t->library)
		return 0;
	int r = k->far ? err_setf(reterr, -EPERM, "tracer %s needs the process's own user, or root: its events are those of that user's "
				  "sessions of LTTng; tracer ctf writes the same into a trace of yours", t->name) : check_places(k, pt, reterr);
	/* One that came with the program is soon ready. */
	bool came = k->is_parent && module_named(k, t->library);
	r = r || came ? r : keeper_lib_path(t->library, path, sizeof(path), reterr);
	r = r || came ? r : session_load(k->cli.session, k->proc, path, reterr);
	struct obj_module *m = r ? NULL : module_named(k, t->library);
	if (!r && (!m || obj_module_find(k->obj, m, t->hook, &pt->hook, &bytes)))
		r = err_setf(reterr, -EINVAL, "%s is of another version than this program: install both", t->library);
	bool tell = t->tells && t->tells(&pt->tp);
	char kind = pt->tp.both ? 'e' : 'p';
	if (!r && asprintf(&pt->hook_text, "%c%s", tell ? kind - 32 : kind, pt->name) < 0) {
		pt->hook_text = NULL;
		r = err_setf(reterr, -ENOMEM, "out of memory");
	}
	/* Who starts it has told the library in its environment. */
	return r || !tell || k->begins ? r : session_tell(k->cli.session, k->proc, t->library, pt->hook_text, reterr);
}

int keeper_lib_read(struct tracer_host *h, const char *library, const char *symbol, void *buf, size_t cnt)
{
	struct keeper *k = (struct keeper *)((char *)h - offsetof(struct keeper, host));
	struct obj_module *m = k->attached ? module_named(k, library) : NULL;
	struct obj_proc *obj = m ? k->obj : NULL;
	uint64_t addr, bytes;
	if (!m || obj_module_find(obj, m, symbol, &addr, &bytes))
		return -ENOENT;
	return obj_proc_read(obj, addr, buf, cnt);
}
