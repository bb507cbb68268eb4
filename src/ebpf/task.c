/* SPDX-License-Identifier: MIT */
/* Where the kernel keeps what the helpers of BPF do not tell: offsets by its own description of its types.  It is
 * read when a program first asks for it. */
#include "ebpf/ebpf_int.h"

#include <bpf/btf.h>
#include <errno.h>
#include <string.h>

/* Bits of a member from the start of a structure, through anonymous ones; -1: there is none. */
static int64_t member_bits(const struct btf *btf, const struct btf_type *t, const char *name)
{
	const struct btf_member *m = btf_members(t);
	for (uint16_t i = 0; i < btf_vlen(t); i++, m++) {
		const char *has = btf__name_by_offset(btf, m->name_off);
		uint32_t bits = btf_member_bit_offset(t, i);
		if (has && !strcmp(has, name))
			return bits;
		const struct btf_type *inner = btf__type_by_id(btf, m->type);
		if (has && *has)
			continue;
		int64_t r = inner && btf_is_composite(inner) ? member_bits(btf, inner, name) : -1;
		if (r >= 0)
			return bits + r;
	}
	return -1;
}

/* Bytes of a chain of members that lie in each other ("se.sum_exec_runtime" as two names); 0: not known. */
static uint64_t member_at(const struct btf *btf, const char *type, const char *name, const char *inner_type,
			  const char *inner)
{
	int32_t id = btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT);
	int64_t bits = id > 0 ? member_bits(btf, btf__type_by_id(btf, (uint32_t)id), name) : -1;
	if (bits < 0 || !inner)
		return bits < 0 ? 0 : (uint64_t)bits / 8;
	uint64_t more = member_at(btf, inner_type, inner, NULL, NULL);
	return more ? (uint64_t)bits / 8 + more : 0;
}

void task_offsets(struct gen *g)
{
	uint64_t *k = g->e->k;
	if (k[RTK_K_TASK_PARENT])
		return;
	struct btf *btf = btf__load_vmlinux_btf();
	if (!btf) {
		refuse(g, -EOPNOTSUPP, "the kernel does not describe its types (/sys/kernel/btf/vmlinux): ppid, progenyof(), psargs and "
		       "vtimestamp are not known in its probes");
		return;
	}
	k[RTK_K_TASK_PARENT] = member_at(btf, "task_struct", "real_parent", NULL, NULL);
	k[RTK_K_TASK_TGID] = member_at(btf, "task_struct", "tgid", NULL, NULL);
	k[RTK_K_TASK_RUNTIME] = member_at(btf, "task_struct", "se", "sched_entity", "sum_exec_runtime");
	k[RTK_K_TASK_EXEC_START] = member_at(btf, "task_struct", "se", "sched_entity", "exec_start");
	k[RTK_K_TASK_MM] = member_at(btf, "task_struct", "mm", NULL, NULL);
	k[RTK_K_MM_ARGS] = member_at(btf, "mm_struct", "arg_start", NULL, NULL);
	k[RTK_K_MM_STACK] = member_at(btf, "mm_struct", "start_stack", NULL, NULL);
	k[RTK_K_TASK_FS] = member_at(btf, "task_struct", "fs", NULL, NULL);
	k[RTK_K_FS_ROOT] = member_at(btf, "fs_struct", "root", NULL, NULL);
	k[RTK_K_DENTRY_PARENT] = member_at(btf, "dentry", "d_parent", NULL, NULL);
	k[RTK_K_DENTRY_NAME] = member_at(btf, "dentry", "d_name", NULL, NULL);
	k[RTK_K_MOUNT_MNT] = member_at(btf, "mount", "mnt", NULL, NULL);
	k[RTK_K_MOUNT_PARENT] = member_at(btf, "mount", "mnt_parent", NULL, NULL);
	k[RTK_K_MOUNT_POINT] = member_at(btf, "mount", "mnt_mountpoint", NULL, NULL);
	k[RTK_K_VFS_ROOT] = member_at(btf, "vfsmount", "mnt_root", NULL, NULL);
	btf__free(btf);
	if (!k[RTK_K_TASK_PARENT] || !k[RTK_K_TASK_TGID])
		refuse(g, -EOPNOTSUPP, "this kernel keeps no parents of processes where they are looked for");
}
