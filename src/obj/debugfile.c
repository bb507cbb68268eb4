/* SPDX-License-Identifier: MIT */
/*
 * Where symbols stand that are not in the file itself: separate debug files
 * (gdb manual, "Separate Debug Files") and MiniDebugInfo (same manual): an
 * xz-packed ELF file in the section .gnu_debugdata.
 */
#include "obj/obj_int.h"

#include "host/host.h"

#include <errno.h>
#include <limits.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNPACKED_MAX (256u << 20)

static int open_img(const char *path, struct obj_img *ret)
{
	int fd = host_open_regular(path);
	if (fd < 0)
		return fd;
	return obj_img_open_fd(fd, ret);
}

static bool build_id_is(const struct obj_img *img, const uint8_t *id, uint32_t n)
{
	uint8_t other[OBJ_BUILD_ID_MAX];
	return obj_img_build_id(img, other) == n && !memcmp(id, other, n);
}

static int by_build_id(const char *root, const uint8_t *id, uint32_t n, struct obj_img *ret)
{
	char path[PATH_MAX];
	int len = snprintf(path, sizeof(path), "%s/usr/lib/debug/.build-id/%02x/", root, id[0]);
	for (uint32_t i = 1; i < n; i++)
		len += snprintf(path + len, sizeof(path) - (size_t)len, "%02x", id[i]);
	snprintf(path + len, sizeof(path) - (size_t)len, ".debug");
	int rc = open_img(path, ret);
	if (rc || build_id_is(ret, id, n))
		return rc;
	obj_img_deinit(ret);
	return -ENOENT;
}

static bool crc_is(const struct obj_img *img, uint32_t want)
{
	uint8_t buf[65536];
	uint32_t crc = 0;
	for (uint64_t off = 0; off < img->bytes;) {
		uint64_t n = img->bytes - off < sizeof(buf) ? img->bytes - off : sizeof(buf);
		if (obj_img_read(img, off, buf, n))
			return false;
		crc = lzma_crc32(buf, n, crc);
		off += n;
	}
	return crc == want;
}

struct link {
	const char *name;
	uint32_t crc;
	const uint8_t *id;
	uint32_t id_bytes;
};

static int try_link(const char *path, const struct link *l, struct obj_img *ret)
{
	int rc = open_img(path, ret);
	if (rc)
		return rc;
	/* The build-id is as good as the checksum and needs no reading of the whole file. */
	if ((l->id_bytes && build_id_is(ret, l->id, l->id_bytes)) || crc_is(ret, l->crc))
		return 0;
	obj_img_deinit(ret);
	return -ENOENT;
}

static int by_link(const char *root, const char *mod_path, const struct link *l, struct obj_img *ret)
{
	static const char *const forms[] = { "%s%.*s/%s", "%s%.*s/.debug/%s", "%s/usr/lib/debug%.*s/%s" };
	const char *slash = strrchr(mod_path, '/');
	int dir = slash ? (int)(slash - mod_path) : 0, rc = -ENOENT;
	char path[PATH_MAX];
	for (size_t i = 0; i < ARRAY_CNT(forms) && rc; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(path, sizeof(path), forms[i], root, dir, mod_path, l->name);
#pragma GCC diagnostic pop
		rc = try_link(path, l, ret);
	}
	return rc;
}

/* The section: a name, padding to 4 bytes, the checksum. */
static char *load_link(const struct obj_img *img, uint32_t *ret_crc)
{
	const Elf64_Shdr *sh = obj_img_section(img, ".gnu_debuglink");
	char *s = sh ? obj_img_load(img, sh->sh_offset, sh->sh_size) : NULL;
	uint64_t crc_off = s ? align_up(strlen(s) + 1, 4) : 0;
	if (!s || !*s || strchr(s, '/') || crc_off + 4 > sh->sh_size) {
		free(s);
		return NULL;
	}
	memcpy(ret_crc, s + crc_off, 4);
	return s;
}

int obj_debug_image(struct obj_proc *p, struct obj_mod *m, const struct obj_img *main, struct obj_img *ret)
{
	char root[64];
	uint8_t id[OBJ_BUILD_ID_MAX];
	struct link l = { .id = id, .id_bytes = obj_img_build_id(main, id) };
	int rc = -ENOENT;
	snprintf(root, sizeof(root), "/proc/%d/root", p->pid);
	if (l.id_bytes) {
		rc = by_build_id(root, id, l.id_bytes, ret);
		if (rc)
			rc = by_build_id("", id, l.id_bytes, ret);
	}
	if (!rc)
		return 0;
	char *name = load_link(main, &l.crc);
	if (!name)
		return -ENOENT;
	l.name = name;
	rc = by_link(root, m->pub.path, &l, ret);
	if (rc)
		rc = by_link("", m->pub.path, &l, ret);
	free(name);
	return rc ? -ENOENT : 0;
}

static int unpack(const uint8_t *in, size_t in_bytes, uint8_t **ret, uint64_t *ret_bytes)
{
	for (uint64_t cap = in_bytes * 8 + 65536; cap <= UNPACKED_MAX; cap *= 2) {
		uint8_t *out = malloc(cap);
		if (!out)
			return -ENOMEM;
		uint64_t mem = UNPACKED_MAX;
		size_t in_pos = 0, out_pos = 0;
		lzma_ret rc = lzma_stream_buffer_decode(&mem, 0, NULL, in, &in_pos, in_bytes, out, &out_pos, cap);
		if (rc == LZMA_OK) {
			*ret = out;
			*ret_bytes = out_pos;
			return 0;
		}
		free(out);
		if (rc != LZMA_BUF_ERROR)
			return -EBADMSG;
	}
	return -EFBIG;
}

int obj_minidebug_image(const struct obj_img *main, struct obj_img *ret)
{
	const Elf64_Shdr *sh = obj_img_section(main, ".gnu_debugdata");
	uint8_t *packed = sh ? obj_img_load(main, sh->sh_offset, sh->sh_size) : NULL;
	if (!packed)
		return -ENOENT;
	uint8_t *mem;
	uint64_t bytes;
	int rc = unpack(packed, sh->sh_size, &mem, &bytes);
	free(packed);
	return rc ? rc : obj_img_open_mem(mem, bytes, ret);
}
