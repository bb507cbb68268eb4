/* SPDX-License-Identifier: MIT */
/*
 * What a controller that was killed left in a process: jumps, code, shared
 * memory.  It does no harm, and whoever comes next takes it away.  The bytes
 * that stood there are in the program's files.
 */
#include "session/session_int.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define JMP5 0xe9
#define JMP2 0xeb

/* A followed child has a page of its own in the midst of it: the mapping's end tells too little. */
static uint64_t shm_bytes(struct target *t, const struct obj_map *m)
{
	struct wire_shm shm;
	bool known = !target_read(t, m->start, &shm, sizeof(shm)) && shm.magic == WIRE_MAGIC && shm.bytes < 1ull << 46;
	return known ? align_up(shm.bytes, 4096) : m->end - m->start;
}

/* Whether a wipe page can be at @addr. */
static bool is_lone_page(const struct target *t, uint64_t addr)
{
	for (uint32_t i = 0; i < obj_map_cnt(t->obj); i++) {
		const struct obj_map *m = obj_map_at(t->obj, i);
		if (m->start == addr)
			return m->end - m->start == 4096 && !m->path[0] && !m->shared;
	}
	return false;
}

/* The wipe page of the process that was traced (a forked child has a copy).  Several targets may have the memory at the same
 * address, where nothing makes addresses random: what is one's wipe page may be another's own memory. */
static uint64_t find_wipe(struct target *t, const struct obj_map *m)
{
	struct wire_shm shm;
	struct wire_proc proc;
	uint64_t addr = owner_is_sign(m) ? m->end : m->start, found = 0;
	if (target_read(t, m->start, &shm, sizeof(shm)) || shm.magic != WIRE_MAGIC)
		return 0;
	for (uint32_t i = 1; i < shm.proc_cnt && i < WIRE_PROC_MAX; i++) {
		if (target_read(t, m->start + shm.proc_off + i * sizeof(proc), &proc, offsetof(struct wire_proc, hash_key)) ||
		    proc.shm_addr != addr || !is_lone_page(t, proc.wipe_addr))
			continue;
		if (proc.pid == (uint32_t)t->pid)
			return proc.wipe_addr;
		found = found ? found : proc.wipe_addr;
	}
	return found;
}

/* A ghost of the target that the dead controller had, as far as it can be told. */
static int gather(struct target *t, struct target *ghost, struct err *reterr)
{
	for (uint32_t i = 0; i < obj_map_cnt(t->obj); i++) {
		const struct obj_map *m = obj_map_at(t->obj, i);
		if (owner_is_memfd(m->path, "dyntrace-shm") && !ghost->shm_addr) {
			ghost->shm_addr = m->start;
			ghost->shm_bytes = shm_bytes(t, m);
			ghost->wipe_addr = find_wipe(t, m);
		} else if (owner_is_memfd(m->path, "dyntrace-agent")) {
			ghost->agent_addr = m->start;
			ghost->agent_bytes = m->end - m->start;
		} else if (owner_is_memfd(m->path, "dyntrace-code")) {
			if (!arena_note(ghost, &(struct arena){ .addr = m->start, .bytes = m->end - m->start }))
				return err_setf(reterr, -ENOMEM, "out of memory");
		}
	}
	return 0;
}

/* Of one that was killed while it found out whom it speaks with (inject/offered.c). */
static int unmap_proofs(struct target *t, uint32_t *ret_cnt, struct err *reterr)
{
	int r = 0;
	for (uint32_t i = 0; i < obj_map_cnt(t->obj) && !r; i++) {
		const struct obj_map *m = obj_map_at(t->obj, i);
		if (!owner_is_memfd(m->path, INJECT_PROOF) || owner_proves(m))
			continue;
		r = inject_munmap(t->inj, m->start, m->end - m->start, reterr);
		(*ret_cnt)++;
	}
	return r;
}

static bool add_placed(struct target *ghost, uint64_t addr, uint32_t bytes, const uint8_t *old, const uint8_t *now)
{
	struct placed *more = realloc(ghost->placed, (ghost->placed_cnt + 1) * sizeof(*more));
	if (!more)
		return false;
	ghost->placed = more;
	struct placed *p = &more[ghost->placed_cnt++], *before = p - 1;
	if (ghost->placed_cnt > 1 && before->addr < addr && addr < before->addr + before->bytes) {
		before->bytes = (uint32_t)(addr - before->addr); /* a pun, whose jump ends in this one */
		before->jump_bytes = before->bytes < before->jump_bytes ? (uint8_t)before->bytes : before->jump_bytes;
	}
	*p = (struct placed){ .addr = addr, .bytes = bytes };
	memcpy(p->old, old, bytes);
	p->jump_bytes = (uint8_t)(bytes < 2 ? bytes : 2);
	memcpy(p->jump, now, p->jump_bytes);
	return true;
}

/* Of segments: the jump may have one (jumps.c). */
static bool is_prefix(uint8_t byte) { return byte == 0x26 || byte == 0x2e || byte == 0x36 || byte == 0x3e; }

/* 0, -ENOMEM, or -ENODATA: there is a jump of ours whose original bytes no file tells. */
static int find_long(struct target *ghost, uint64_t start, const uint8_t *now, const uint8_t *file, uint64_t bytes, bool known)
{
	for (uint64_t i = 0; i + 5 <= bytes; i++) {
		int32_t rel;
		if (now[i] != JMP5)
			continue;
		memcpy(&rel, now + i + 1, 4);
		if (!arena_has(ghost, start + i + 5 + (uint64_t)(int64_t)rel))
			continue;
		if (known && !memcmp(now + i, file + i, 5))
			continue; /* mere data that looks like it */
		if (!known)
			return -ENODATA;
		uint64_t from = i && now[i - 1] != file[i - 1] && is_prefix(now[i - 1]) ? i - 1 : i;
		if (!add_placed(ghost, start + from, (uint32_t)(i + 5 - from), file + from, now + from))
			return -ENOMEM;
	}
	return 0;
}

/* The short jumps to the long ones: @first..: those of this mapping, sorted as they were found. */
static int find_short(struct target *ghost, uint32_t first, uint64_t start, const uint8_t *now, const uint8_t *file,
		       uint64_t bytes)
{
	uint32_t last = ghost->placed_cnt;
	for (uint64_t i = 0; i + 2 <= bytes; i++) {
		if (now[i] != JMP2 || !memcmp(now + i, file + i, 2))
			continue;
		uint64_t to = start + i + 2 + (uint64_t)(int64_t)(int8_t)now[i + 1];
		bool found = false, inside = false;
		for (uint32_t k = first; k < last && !inside; k++) {
			const struct placed *p = &ghost->placed[k];
			found |= p->addr == to;
			inside = p->addr < start + i + 2 && start + i < p->addr + p->bytes;
		}
		if (found && !inside && !add_placed(ghost, start + i, 2, file + i, now + i))
			return -ENOMEM;
	}
	return 0;
}

/* The file's bytes; where it holds none (behind its last ones), nobody was patched: those of memory. */
void leftover_file(struct target *t, struct obj_module *mod, uint64_t addr, uint8_t *file, const uint8_t *now,
		   uint64_t bytes)
{
	if (!obj_module_text(t->obj, mod, addr, file, bytes))
		return;
	if (bytes == 1) {
		*file = *now;
		return;
	}
	leftover_file(t, mod, addr, file, now, bytes / 2);
	leftover_file(t, mod, addr + bytes / 2, file + bytes / 2, now + bytes / 2, bytes - bytes / 2);
}

static int compare_text(struct target *t, struct target *ghost, const struct obj_map *m, struct err *reterr)
{
	struct obj_module *mod = obj_module_by_addr(t->obj, m->start);
	uint64_t bytes = m->end - m->start;
	uint32_t first = ghost->placed_cnt;
	uint8_t *now = malloc(bytes), *file = malloc(bytes);
	int r = now && file ? 0 : -ENOMEM;
	if (!r && mod && !mod->is_vdso && !target_read(t, m->start, now, bytes)) {
		bool known = !obj_module_text(t->obj, mod, m->start, file, 1);
		memcpy(file, now, bytes);
		for (uint64_t at = 0; at < bytes && known; at += 4096)
			leftover_file(t, mod, m->start + at, file + at, now + at, bytes - at < 4096 ? bytes - at : 4096);
		r = find_long(ghost, m->start, now, file, bytes, known);
		r = r ? r : find_short(ghost, first, m->start, now, file, bytes);
	}
	free(now);
	free(file);
	if (r == -ENODATA)
		return err_setf(reterr, -EBUSY, "process %d still has probes of a dyntrace that was killed, and the file of its "
				"code (%s) is gone: restart it", t->pid, m->path);
	return r ? err_setf(reterr, r, "out of memory") : 0;
}

/* One that was killed between opening a descriptor there and closing it. */
static int close_descriptors(struct target *t, uint32_t *ret_cnt, struct err *reterr)
{
	char path[320], to[64];
	int r = 0;
	snprintf(path, sizeof(path), "/proc/%d/fd", t->pid);
	DIR *d = opendir(path);
	for (struct dirent *e; d && !r && (e = readdir(d));) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", t->pid, e->d_name);
		ssize_t n = readlink(path, to, sizeof(to) - 1);
		to[n > 0 ? n : 0] = 0;
		if (!owner_is_memfd(to, "dyntrace-"))
			continue;
		r = inject_close_fd(t->inj, atoi(e->d_name), reterr);
		(*ret_cnt)++;
	}
	if (d)
		closedir(d);
	return r;
}

#define PADDING_MAX 32 /* bytes behind a function in which a hole may be */

/* Whether nothing but padding stood from a function's end to behind the long jump. */
static bool is_in_padding(struct target *t, const struct placed *p)
{
	struct obj_module *mod = obj_module_by_addr(t->obj, p->addr);
	uint8_t code[PADDING_MAX + 5 + ISA_INSN_MAX];
	const struct obj_range *r = NULL;
	uint64_t from = p->addr;
	if (p->bytes != 5 || p->jump[0] != JMP5)
		return false;
	while (mod && p->addr - from < PADDING_MAX && !(r = obj_range_at(t->obj, mod, from - 1)))
		from--;
	uint64_t bytes = p->addr + 5 - from;
	return r && r->kind == OBJ_RANGE_FUNC && r->end == from && !obj_range_at(t->obj, mod, p->addr) &&
	       !obj_module_text(t->obj, mod, from, code, bytes + ISA_INSN_MAX) &&
	       patch_padding(code, (uint32_t)bytes + ISA_INSN_MAX, from) >= bytes;
}

/* Where threads run on, what is in padding waits until all have been seen elsewhere (holes.c). */
static int fold_holes(struct target *t, struct target *ghost, struct err *reterr)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < ghost->placed_cnt; i++) {
		struct placed p = ghost->placed[i];
		bool is_hole = is_in_padding(t, &p) && !target_read(t, p.addr, p.hole_new, sizeof(p.hole_new));
		if (!is_hole) {
			ghost->placed[n++] = p;
			continue;
		}
		p.hole_addr = p.addr;
		p.mod = obj_module_by_addr(t->obj, p.addr);
		memcpy(p.hole_old, p.old, sizeof(p.hole_old));
		if (holes_keep(ghost, &p))
			return err_setf(reterr, -ENOMEM, "out of memory");
	}
	ghost->placed_cnt = n;
	return 0;
}

/* Those that had to stay are @t's from now on. */
static void take_holes(struct target *t, struct target *ghost)
{
	uint8_t now[5];
	uint32_t n = 0;
	for (uint32_t i = 0; i < ghost->hole_cnt; i++)
		if (!target_read(t, ghost->holes[i].addr, now, sizeof(now)) && !memcmp(now, ghost->holes[i].now, sizeof(now)))
			ghost->holes[n++] = ghost->holes[i];
	free(t->holes);
	t->holes = ghost->holes;
	t->hole_cnt = n;
}

/* Where threads run on, a jump can be taken back only where one instruction stood. */
static int check_live(struct target *t, const struct target *ghost, struct err *reterr)
{
	for (uint32_t i = 0; i < ghost->placed_cnt; i++) {
		const struct placed *p = &ghost->placed[i];
		if (!live_can_restore(t, p))
			return err_setf(reterr, -EBUSY, "process %d still has probes of a dyntrace that was killed; to take them away its threads "
					"have to be stopped, which needs ptrace", (int)ghost->pid);
	}
	return 0;
}

int leftover_clean(struct target *t, struct session_repaired *ret, struct err *reterr)
{
	struct target ghost = { .s = t->s, .pid = t->pid, .inj = t->inj };
	uint32_t fds = 0, proofs = 0;
	int r = t->link ? 0 : close_descriptors(t, &fds, reterr); /* its thread has a table of its own */
	r = r ? r : unmap_proofs(t, &proofs, reterr);
	r = r ? r : gather(t, &ghost, reterr);
	for (uint32_t i = 0; i < obj_map_cnt(t->obj) && !r && ghost.arena_cnt; i++) {
		const struct obj_map *m = obj_map_at(t->obj, i);
		if ((m->prot & PROT_EXEC) && !m->shared)
			r = compare_text(t, &ghost, m, reterr);
	}
	if (!r && t->link)
		r = fold_holes(t, &ghost, reterr);
	uint32_t jump_cnt = ghost.placed_cnt + ghost.hole_cnt;
	if (!r && t->link)
		r = check_live(t, &ghost, reterr);
	if (!r)
		semas_gather(t, &ghost);
	if (!r && (ghost.shm_addr || ghost.agent_addr || ghost.arena_cnt))
		r = target_clean(&ghost, t->obj, t->inj, reterr);
	if (!r && ret)
		*ret = (struct session_repaired){ jump_cnt, ghost.sema_cnt, proofs + ghost.arena_cnt + !!ghost.shm_addr + !!ghost.agent_addr,
						   fds };
	t->left_cnt = ghost.left_cnt;
	take_holes(t, &ghost);
	for (uint32_t i = 0; i < ghost.arena_cnt; i++)
		arena_release(ghost.arenas[i]);
	free(ghost.arenas);
	free(ghost.code);
	free(ghost.placed);
	free(ghost.semas);
	return r;
}
