/* SPDX-License-Identifier: MIT */
/*
 * Where files are: from a directory entry up through the mounts, to the root of the process or of all.  The name is put
 * together from its end:
 *
 *	slot: [ length | ............/usr/lib/libc.so ]  then moved to the slot's start
 */
#include "ebpf/rtk_bpf.h"

#define PARTS 64 /* names and mounts on the way up */
#define NAME_MOST 255

/* While it goes up: in the context, for values in registers would be followed one by one. */
struct climb {
	uint64_t dentry, mnt;
	uint64_t pos; /* where what is there of the name begins */
};

INLINE volatile struct climb *climb_of(uint64_t ctx) { return (volatile struct climb *)cells(ctx); }

INLINE uint64_t peek(uint64_t addr)
{
	uint64_t v = 0;
	k_read_kernel(&v, sizeof(v), (void *)addr);
	return v;
}

/* Takes it to where its file system is mounted; false: that is nowhere. */
INLINE bool up_mount(volatile struct climb *c)
{
	uint64_t mount = c->mnt - K(MOUNT_MNT), above = peek(mount + K(MOUNT_PARENT));
	if (!above || above == mount)
		return false;
	c->dentry = peek(mount + K(MOUNT_POINT));
	c->mnt = above + K(MOUNT_MNT);
	return true;
}

/* Puts the entry's name in front, behind a slash or, of what is in no folder, alone; false: it does not fit. */
GLOBAL uint64_t rtk_path_part(uint64_t ctx, uint64_t out, uint64_t dentry, uint64_t slash)
{
	volatile struct climb *c = climb_of(ctx);
	struct {
		uint32_t hash, len;
		uint64_t name;
	} q = { 0 };
	k_read_kernel(&q, sizeof(q), (void *)(dentry + K(DENTRY_NAME)));
	uint64_t len = capped(q.len, NAME_MOST), pos = c->pos;
	if (len + slash > pos)
		return 0;
	pos -= len + slash;
	if (slash)
		st8(out + pos, '/');
	k_read_kernel(at(out + pos + slash), (uint32_t)capped(len, NAME_MOST), (void *)q.name);
	c->pos = pos;
	return 1;
}

GLOBAL uint64_t rtk_path_climb(uint64_t ctx, uint64_t out, uint64_t root_dentry, uint64_t root_mnt)
{
	volatile struct climb *c = climb_of(ctx);
	for (int i = 0; i < PARTS; i++) {
		uint64_t dentry = c->dentry;
		if (dentry == root_dentry && c->mnt == root_mnt)
			break;
		if (dentry == peek(c->mnt + K(VFS_ROOT))) {
			if (!up_mount(c))
				break;
			continue;
		}
		uint64_t parent = peek(dentry + K(DENTRY_PARENT));
		if (!rtk_path_part(ctx, out, dentry, parent != dentry) || parent == dentry)
			return 0;
		c->dentry = parent;
	}
	if (c->pos == K(STRSIZE) && c->pos)
		st8(out + --c->pos, '/');
	return 0;
}

GLOBAL uint64_t rtk_kpath(uint64_t ctx, uint64_t addr, uint64_t of_mount, uint64_t dst)
{
	volatile struct climb *c = climb_of(ctx);
	uint64_t path[2], root = peek(k_task() + K(TASK_FS)) + K(FS_ROOT), slot = scratch(ctx, dst), out = slot + sizeof(struct wire_str);
	if (!(addr >> 63) || k_read_kernel(path, sizeof(path), (void *)addr)) {
		set_fault(ctx, WIRE_FAULT_BADADDR, addr);
		return 0;
	}
	c->mnt = path[0];
	c->dentry = path[1];
	c->pos = K(STRSIZE);
	if (of_mount && !up_mount(c))
		c->dentry = peek(c->mnt + K(VFS_ROOT));
	rtk_path_climb(ctx, out, peek(root + 8), peek(root));
	uint64_t pos = capped(c->pos, K(STRSIZE)), len = capped(K(STRSIZE) - pos, K(STRSIZE));
	copy(out, out + pos, len);
	st8(out + len, 0);
	st32(slot, (uint32_t)len);
	return WIRE_SREF(WIRE_SREF_SCRATCH, dst);
}
