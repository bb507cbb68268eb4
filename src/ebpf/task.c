/* SPDX-License-Identifier: MIT */
/* Where the kernel keeps what the helpers of BPF do not tell: offsets by its own description of its types.  It is
 * read when a program first asks for it. */
#include "ebpf/ebpf_int.h"

#include <errno.h>

static uint64_t offset(const struct ebpf *e, const char *tag, const char *path)
{
	int64_t at = e->in.offset_of ? e->in.offset_of(tag, path) : -ENOENT;
	return at > 0 ? (uint64_t)at : 0;
}

void task_offsets(struct gen *g)
{
	uint64_t *k = g->e->k;
	if (k[RTK_K_TASK_PARENT])
		return;
	k[RTK_K_TASK_PARENT] = offset(g->e, "task_struct", "real_parent");
	k[RTK_K_TASK_TGID] = offset(g->e, "task_struct", "tgid");
	k[RTK_K_TASK_RUNTIME] = offset(g->e, "task_struct", "se.sum_exec_runtime");
	k[RTK_K_TASK_EXEC_START] = offset(g->e, "task_struct", "se.exec_start");
	k[RTK_K_TASK_MM] = offset(g->e, "task_struct", "mm");
	k[RTK_K_MM_ARGS] = offset(g->e, "mm_struct", "arg_start");
	k[RTK_K_MM_STACK] = offset(g->e, "mm_struct", "start_stack");
	if (!k[RTK_K_TASK_PARENT] || !k[RTK_K_TASK_TGID])
		refuse(g, -EOPNOTSUPP, "the kernel does not describe its types (/sys/kernel/btf/vmlinux): ppid, progenyof(), psargs, "
		       "vtimestamp and ustack() are not known in its probes");
}

void pid_offsets(struct ebpf *e)
{
	e->k[RTK_K_TASK_PID] = offset(e, "task_struct", "thread_pid");
	e->k[RTK_K_PID_LEVEL] = offset(e, "pid", "level");
	e->k[RTK_K_PID_NUMBERS] = offset(e, "pid", "numbers");
	if (!e->k[RTK_K_PID_LEVEL] || !e->k[RTK_K_PID_NUMBERS])
		e->k[RTK_K_TASK_PID] = 0;
}

void path_offsets(struct gen *g)
{
	uint64_t *k = g->e->k;
	task_offsets(g);
	if (k[RTK_K_TASK_FS])
		return;
	k[RTK_K_TASK_FS] = offset(g->e, "task_struct", "fs");
	k[RTK_K_FS_ROOT] = offset(g->e, "fs_struct", "root");
	k[RTK_K_DENTRY_PARENT] = offset(g->e, "dentry", "d_parent");
	k[RTK_K_DENTRY_NAME] = offset(g->e, "dentry", "d_name");
	k[RTK_K_MOUNT_MNT] = offset(g->e, "mount", "mnt");
	k[RTK_K_MOUNT_PARENT] = offset(g->e, "mount", "mnt_parent");
	k[RTK_K_MOUNT_POINT] = offset(g->e, "mount", "mnt_mountpoint");
	k[RTK_K_VFS_ROOT] = offset(g->e, "vfsmount", "mnt_root");
}
