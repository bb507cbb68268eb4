/* SPDX-License-Identifier: MIT */
/*
 * The kernel's own structures and tracepoints, as far as probes are made of them (BTF: Documentation/bpf/btf.rst of the
 * kernel).
 *
 * libbpf reads 5 MB in small pieces, copies them and looks through all of them; a start of dyntrace that wants one
 * offset has no time for that.  Here the file is mapped where the kernel lets it be (6.16), and walked once.
 */
#include "kern/kern_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BTF_PATH "/sys/kernel/btf/vmlinux"

static struct {
	bool tried;
	const uint8_t *types;
	uint32_t type_bytes;
	const char *strs;
	uint32_t str_bytes;
	uint32_t *at; /* of each type: where it begins; the first is no type */
	uint32_t cnt;
} btf;

static void *map_or_read(int fd, size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p != MAP_FAILED)
		return p;
	char *copy = malloc(bytes);
	size_t len = 0;
	for (ssize_t n = 1; copy && n > 0 && len < bytes; len += n > 0 ? (size_t)n : 0)
		n = read(fd, copy + len, bytes - len);
	if (len == bytes)
		return copy;
	free(copy);
	return NULL;
}

/* Bytes of what follows a type's common part; -1: nobody knows. */
static int64_t bytes_behind(const struct btf_type *t)
{
	uint32_t n = BTF_INFO_VLEN(t->info);
	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_INT: case BTF_KIND_VAR: case BTF_KIND_DECL_TAG:
		return 4;
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT: case BTF_KIND_UNION:
		return n * sizeof(struct btf_member);
	case BTF_KIND_ENUM: case BTF_KIND_FUNC_PROTO:
		return n * 8;
	case BTF_KIND_DATASEC: case BTF_KIND_ENUM64:
		return n * 12;
	case BTF_KIND_PTR: case BTF_KIND_FWD: case BTF_KIND_TYPEDEF: case BTF_KIND_VOLATILE: case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT: case BTF_KIND_FUNC: case BTF_KIND_FLOAT: case BTF_KIND_TYPE_TAG:
		return 0;
	default:
		return -1;
	}
}

static bool walk(void)
{
	uint32_t cap = btf.type_bytes / sizeof(struct btf_type) + 2;
	btf.at = malloc(cap * sizeof(*btf.at));
	btf.cnt = 1;
	for (uint32_t off = 0; btf.at && off + sizeof(struct btf_type) <= btf.type_bytes;) {
		const struct btf_type *t = (const struct btf_type *)(btf.types + off);
		int64_t more = bytes_behind(t);
		if (more < 0 || more > (int64_t)(btf.type_bytes - off - sizeof(*t)))
			return false;
		btf.at[btf.cnt++] = off;
		off += (uint32_t)(sizeof(*t) + (uint64_t)more);
	}
	return btf.at != NULL;
}

static bool load(void)
{
	int fd = open(BTF_PATH, O_RDONLY | O_CLOEXEC);
	struct stat st;
	const uint8_t *p = fd >= 0 && !fstat(fd, &st) && st.st_size >= (off_t)sizeof(struct btf_header) ?
		map_or_read(fd, (size_t)st.st_size) : NULL;
	if (fd >= 0)
		close(fd);
	if (!p)
		return false;
	const struct btf_header *h = (const struct btf_header *)p;
	uint64_t size = (uint64_t)st.st_size, types = (uint64_t)h->hdr_len + h->type_off, strs = (uint64_t)h->hdr_len + h->str_off;
	if (h->magic != BTF_MAGIC || types + h->type_len > size || strs + h->str_len > size || !h->str_len || p[strs + h->str_len - 1])
		return false;
	btf.types = p + types;
	btf.type_bytes = h->type_len;
	btf.strs = (const char *)p + strs;
	btf.str_bytes = h->str_len;
	return walk();
}

static bool ready(void)
{
	if (!btf.tried && !load())
		btf.cnt = 0;
	btf.tried = true;
	return btf.cnt > 0;
}

const struct btf_type *kern_btf_type(uint32_t id)
{
	return id && id < btf.cnt ? (const struct btf_type *)(btf.types + btf.at[id]) : NULL;
}

const char *kern_btf_name(uint32_t off)
{
	return off < btf.str_bytes ? btf.strs + off : "";
}

int32_t kern_btf_id(const char *name, uint32_t kind)
{
	static uint32_t last; /* several members of one structure are asked for in a row */
	if (!ready())
		return -ENOENT;
	for (uint32_t n = 0, id = last; n < btf.cnt; n++, id = id + 1 < btf.cnt ? id + 1 : 0) {
		const struct btf_type *t = kern_btf_type(id);
		if (!t || BTF_INFO_KIND(t->info) != kind || strcmp(kern_btf_name(t->name_off), name) != 0)
			continue;
		last = id;
		return (int32_t)id;
	}
	return -ENOENT;
}

const struct btf_type *kern_btf_resolve(uint32_t id)
{
	const struct btf_type *t = kern_btf_type(id);
	for (int i = 0; t && i < 32; i++) {
		switch (BTF_INFO_KIND(t->info)) {
		case BTF_KIND_TYPEDEF: case BTF_KIND_VOLATILE: case BTF_KIND_CONST: case BTF_KIND_RESTRICT: case BTF_KIND_TYPE_TAG:
			t = kern_btf_type(t->type);
			continue;
		default:
			return t;
		}
	}
	return t;
}

static bool is_composite(const struct btf_type *t)
{
	return BTF_INFO_KIND(t->info) == BTF_KIND_STRUCT || BTF_INFO_KIND(t->info) == BTF_KIND_UNION;
}

/* Also in what is anonymous. Bits, or -1; *ret: the member's type. */
static int64_t member_of(const struct btf_type *t, const char *name, size_t len, const struct btf_type **ret)
{
	if (!t || !is_composite(t))
		return -1;
	const struct btf_member *m = (const struct btf_member *)(t + 1);
	for (uint32_t i = 0; i < BTF_INFO_VLEN(t->info); i++, m++) {
		const char *has = kern_btf_name(m->name_off);
		uint32_t bits = BTF_INFO_KFLAG(t->info) ? BTF_MEMBER_BIT_OFFSET(m->offset) : m->offset;
		int64_t in;
		if (strlen(has) == len && !strncmp(has, name, len)) {
			*ret = kern_btf_resolve(m->type);
			return bits;
		}
		if (!*has && (in = member_of(kern_btf_resolve(m->type), name, len, ret)) >= 0)
			return in + bits;
	}
	return -1;
}

int64_t kern_offsetof(const char *tag, const char *path)
{
	int32_t id = kern_btf_id(tag, BTF_KIND_STRUCT);
	const struct btf_type *t = id > 0 ? kern_btf_type((uint32_t)id) : NULL;
	int64_t bits = 0;
	while (t && *path) {
		size_t len = strcspn(path, ".");
		int64_t at = member_of(t, path, len, &t);
		if (at < 0)
			return -ENOENT;
		bits += at;
		path += len + (path[len] == '.');
	}
	return t ? bits / 8 : -ENOENT;
}

uint32_t kern_raw_type(const char *event)
{
	char name[160] = "btf_trace_";
	strncat(name, event, sizeof(name) - strlen(name) - 1);
	int32_t id = kern_btf_id(name, BTF_KIND_TYPEDEF);
	return id > 0 ? (uint32_t)id : 0;
}

int kern_raw_words(const char *event)
{
	const struct btf_type *t = kern_btf_resolve(kern_raw_type(event));
	t = t && BTF_INFO_KIND(t->info) == BTF_KIND_PTR ? kern_btf_resolve(t->type) : NULL;
	return t && BTF_INFO_KIND(t->info) == BTF_KIND_FUNC_PROTO && BTF_INFO_VLEN(t->info) ? (int)BTF_INFO_VLEN(t->info) - 1 : -1;
}
