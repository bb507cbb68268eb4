/* SPDX-License-Identifier: MIT */
/*
 * Probes of processes as the kernel's uprobes: a trap for each hit, so only
 * for scripts whose clauses there share self-> variables with clauses that the
 * kernel runs (one program in one place sees both), and where it is asked for:
 * for all of a script, or for the places that the in-process way refuses.
 */
#include "session/kern_int.h"

#include "isa/isa.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The file and the place in it that @addr was mapped from. */
static const struct obj_map *map_at(const struct target *t, uint64_t addr)
{
	for (uint32_t i = 0; i < obj_map_cnt(t->obj); i++) {
		const struct obj_map *m = obj_map_at(t->obj, i);
		if (addr >= m->start && addr < m->end)
			return m->prot & PROT_EXEC && *m->path ? m : NULL;
	}
	return NULL;
}

/* Its name there, malloc'ed; of one that has none any more (deleted, replaced) that of the mapping, which root may follow. */
static char *file_of(pid_t pid, const struct obj_map *m)
{
	char *path;
	if (asprintf(&path, "/proc/%d/root%s", (int)pid, m->path) < 0)
		return NULL;
	if (!access(path, F_OK))
		return path;
	free(path);
	if (asprintf(&path, "/proc/%d/map_files/%llx-%llx", (int)pid, (unsigned long long)m->start, (unsigned long long)m->end) < 0)
		return NULL;
	return path;
}

int uprobe_place(const struct target *t, const struct session_probe *sp, struct probe_kern_place *ret, struct err *reterr)
{
	const struct probe *p = sp->probe;
	uint64_t addr = p->func_addr + (p->kind == WIRE_SITE_OFFSET ? p->offset : 0);
	const struct obj_map *m = map_at(t, addr);
	char *path;
	if (p->kind == WIRE_SITE_USDT)
		return err_setf(reterr, -ENOTSUP, "%s:%s:%s:%s would be a uprobe of the kernel: that works with pid probes only", p->prov, p->mod, p->func, p->name);
	if (!m)
		return err_setf(reterr, -ENOENT, "%s:%s:%s:%s is in no file that the kernel could watch", p->prov, p->mod, p->func,
				p->name);
	path = file_of(t->pid, m);
	if (!path)
		return err_setf(reterr, -ENOMEM, "out of memory");
	*ret = (struct probe_kern_place){ .at = p->kind == WIRE_SITE_RETURN ? PROBE_KERN_URETPROBE : PROBE_KERN_UPROBE, .name = path,
					  .counter = addr - m->start + m->off, .nr = (uint32_t)t->pid };
	return 0;
}

/* Whether a return at @addr is none of a value: a jump to another function. */
static bool is_tail_call(struct target *t, uint64_t addr)
{
	uint8_t code[16];
	struct isa_insn in;
	size_t n = target_read_some(t, addr, code, sizeof(code));
	return isa_decode(code, n, addr, &in) || in.flow != ISA_RET;
}

int session_arm_uprobe(struct session *s, const struct session_probe *sp, uint64_t addr, struct err *reterr)
{
	const struct probe *p = sp->probe;
	struct target *t = target_at(s, sp->proc);
	const struct obj_map *m = t ? map_at(t, addr) : NULL;
	if (!s->kern)
		return err_setf(reterr, -ENOTSUP, "the session has no memory of the kernel's");
	if (!m || p->kind == WIRE_SITE_USDT)
		return err_setf(reterr, -ENOTSUP, "the kernel cannot watch it either: %s", m ? "it is a USDT probe" : "it is in no file");
	if (p->kind == WIRE_SITE_RETURN && is_tail_call(t, addr))
		return err_setf(reterr, -ENOTSUP, "the kernel's uprobes know no tail calls");
	char *path = file_of(t->pid, m);
	if (!path)
		return err_setf(reterr, -ENOMEM, "out of memory");
	const struct probe_kern_place place = { .at = p->kind == WIRE_SITE_RETURN ? PROBE_KERN_UPROBE_RET : PROBE_KERN_UPROBE,
		.name = path, .counter = addr - m->start + m->off, .nr = (uint32_t)t->pid, .period = addr - p->func_addr };
	int r = skern_arm_place(s, sp, &place, addr, reterr);
	free(path);
	return r;
}
