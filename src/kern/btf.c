/* SPDX-License-Identifier: MIT */
/* The kernel's own structures and tracepoints, as far as probes are made of them (BTF). */
#include "kern/kern_int.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

struct btf *kern_btf(void)
{
	static struct btf *btf;
	static bool tried;
	if (!tried) {
		btf = btf__parse("/sys/kernel/btf/vmlinux", NULL);
		if (libbpf_get_error(btf))
			btf = NULL;
	}
	tried = true;
	return btf;
}

static const struct btf_type *type_at(const struct btf *b, uint32_t id)
{
	const struct btf_type *t = btf__type_by_id(b, id);
	while (t && (btf_is_mod(t) || btf_is_typedef(t) || btf_is_type_tag(t)))
		t = btf__type_by_id(b, t->type);
	return t;
}

/* Also in what is anonymous. Bits, or -1; *ret: the member's type. */
static int64_t member_of(const struct btf *b, const struct btf_type *t, const char *name, size_t len, const struct btf_type **ret)
{
	if (!t || !btf_is_composite(t))
		return -1;
	for (uint32_t i = 0; i < btf_vlen(t); i++) {
		const struct btf_member *m = &btf_members(t)[i];
		const char *has = btf__name_by_offset(b, m->name_off);
		const struct btf_type *mt = type_at(b, m->type);
		int64_t in;
		if (has && strlen(has) == len && !strncmp(has, name, len)) {
			*ret = mt;
			return btf_member_bit_offset(t, i);
		}
		if ((!has || !*has) && (in = member_of(b, mt, name, len, ret)) >= 0)
			return in + btf_member_bit_offset(t, i);
	}
	return -1;
}

int64_t kern_offsetof(const char *tag, const char *path)
{
	struct btf *b = kern_btf();
	int32_t id = b ? btf__find_by_name_kind(b, tag, BTF_KIND_STRUCT) : -ENOENT;
	const struct btf_type *t = id > 0 ? btf__type_by_id(b, (uint32_t)id) : NULL;
	int64_t bits = 0;
	while (t && *path) {
		size_t len = strcspn(path, ".");
		int64_t at = member_of(b, t, path, len, &t);
		if (at < 0)
			return -ENOENT;
		bits += at;
		path += len + (path[len] == '.');
	}
	return t ? bits / 8 : -ENOENT;
}

int kern_raw_words(const char *event)
{
	struct btf *b = kern_btf();
	char name[160] = "btf_trace_";
	strncat(name, event, sizeof(name) - strlen(name) - 1);
	int32_t id = b ? btf__find_by_name_kind(b, name, BTF_KIND_TYPEDEF) : -ENOENT;
	const struct btf_type *t = id > 0 ? type_at(b, (uint32_t)id) : NULL;
	t = t && btf_is_ptr(t) ? type_at(b, t->type) : NULL;
	return t && btf_is_func_proto(t) && btf_vlen(t) ? (int)btf_vlen(t) - 1 : -1;
}
