/* SPDX-License-Identifier: MIT */
/*
 * Code that asks the kernel for a seccomp filter by itself, past the libc: a `syscall` instruction shortly behind
 *
 *	mov $317,%eax                     seccomp()
 *	mov $157,%eax; mov $22,%edi       prctl(PR_SET_SECCOMP)
 *
 * in either order.  Likewise code that begins a thread, or moves its fs base:
 *
 *	mov $56,%eax                      clone()
 *	mov $435,%eax                     clone3()
 *	mov $158,%eax; mov $0x1002,%edi   arch_prctl(ARCH_SET_FS)
 *
 * Whoever passes the number in a variable is not found here.  What is found in a file is kept for the next time (host/cache.h),
 * for large ones: programs have dozens of libraries.
 */
#include "session/session_int.h"

#include "host/cache.h"

#include <emmintrin.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK (256u << 10)
#define NEAR 64u            /* bytes before the instruction that are looked at */
#define TEXT_MAX (32u << 20) /* the largest programs are no sandboxes, but engines: to read them takes too long */

static const uint8_t syscall_insn[] = { 0x0f, 0x05 };
static const uint8_t seccomp_nr[] = { 0xb8, 0x3d, 0x01, 0, 0 }, prctl_nr[] = { 0xb8, 0x9d, 0, 0, 0 }, set_seccomp[] = { 0xbf, 0x16, 0, 0, 0 };
static const uint8_t clone_nr[] = { 0xb8, 0x38, 0, 0, 0 }, clone3_nr[] = { 0xb8, 0xb3, 0x01, 0, 0 };
static const uint8_t arch_nr[] = { 0xb8, 0x9e, 0, 0, 0 }, set_fs[] = { 0xbf, 0x02, 0x10, 0, 0 };

static bool has(const uint8_t *code, size_t bytes, const uint8_t insn[5])
{
	return memmem(code, bytes, insn, 5) != NULL;
}

static bool asks(const uint8_t *before, size_t bytes)
{
	return has(before, bytes, seccomp_nr) || (has(before, bytes, prctl_nr) && has(before, bytes, set_seccomp));
}

static bool begins(const uint8_t *before, size_t bytes)
{
	return has(before, bytes, clone_nr) || has(before, bytes, clone3_nr) || (has(before, bytes, arch_nr) && has(before, bytes, set_fs));
}

/* The next `syscall` in [at, end), or NULL.  memmem() takes its time with short ones. */
static const uint8_t *next_syscall(const uint8_t *at, const uint8_t *end)
{
	const __m128i first = _mm_set1_epi8(0x0f), second = _mm_set1_epi8(0x05);
	for (; end - at >= 17; at += 16) {
		__m128i a = _mm_loadu_si128((const __m128i *)at), b = _mm_loadu_si128((const __m128i *)(at + 1));
		unsigned bits = (unsigned)_mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(a, first), _mm_cmpeq_epi8(b, second)));
		if (bits)
			return at + __builtin_ctz(bits);
	}
	return memmem(at, (size_t)(end - at), syscall_insn, sizeof(syscall_insn));
}

enum { IS_FILTER = 1, IS_THREAD = 2 };

/* A `syscall`, from the beginning of the text. */
struct hit {
	uint32_t off, what;
};

struct hits {
	struct hit *v;
	uint32_t cnt;
	bool failed;
};

static void note(struct hits *h, uint64_t off, uint32_t what)
{
	struct hit *more = what ? realloc(h->v, (h->cnt + 1ul) * sizeof(*more)) : NULL;
	h->failed |= what && !more;
	if (!more)
		return;
	h->v = more;
	h->v[h->cnt++] = (struct hit){ (uint32_t)off, what };
}

/* From code[@from] on; what is before has been looked at. */
static void scan(const uint8_t *code, size_t from, size_t bytes, uint64_t off, struct hits *h)
{
	const uint8_t *at = code + from, *end = code + bytes;
	while ((at = next_syscall(at, end))) {
		size_t before = (size_t)(at - code) < NEAR ? (size_t)(at - code) : NEAR;
		note(h, off + (uint64_t)(at - code), (asks(at - before, before) ? IS_FILTER : 0) | (begins(at - before, before) ? IS_THREAD : 0));
		at += sizeof(syscall_insn);
	}
}

/* Each piece with the end of the one before, where the number may be, and the beginning of an instruction. */
static void scan_text(struct target *t, const struct obj_module *m, struct hits *h)
{
	uint64_t bytes = m->text_end - m->text_start;
	uint8_t *buf = malloc(CHUNK + NEAR);
	h->failed = !buf;
	for (uint64_t at = 0; buf && at < bytes; at += CHUNK) {
		uint64_t first = at < NEAR ? 0 : at - NEAR, end = bytes - at < CHUNK ? bytes : at + CHUNK;
		obj_proc_code(t->obj, m->text_start + first, buf, end - first);
		scan(buf, at > first ? at - first - 1 : 0, end - first, first, h);
	}
	free(buf);
}

/* ---- what is known from last time ---- */

#define CACHE_VERSION 1
#define CACHE_WORTH (512u << 10) /* bytes of text: less is read sooner than looked up */

/* As for branches (branches.c): of a file that is trusted, whose code the process has byte for byte. */
static bool cache_key(struct target *t, struct obj_module *m, uint8_t id[OBJ_LINES_ID_MAX], struct host_cache_key *ret)
{
	struct stat st;
	uint64_t what[] = { m->text_start - m->bias, m->text_end - m->bias };
	*ret = (struct host_cache_key){ .id = id, .kind = "calls", .version = CACHE_VERSION, .key = host_hash(0, what, sizeof(what)) };
	return !t->s->opts.shared && what[1] - what[0] >= CACHE_WORTH &&
	       obj_proc_is_as_file(t->obj, m->text_start, m->text_end - m->text_start, &st) && host_cache_file(&st, &ret->file) &&
	       (ret->id_bytes = obj_module_build_id(t->obj, m, id)) >= 8;
}

/* After their number, rising. */
static bool hits_load(struct hits *h, uint64_t text_bytes, const struct host_cache_key *k)
{
	uint64_t bytes, cnt;
	uint8_t *data = host_cache_load(k, &bytes);
	bool ok = data && bytes >= sizeof(cnt);
	if (ok)
		memcpy(&cnt, data, sizeof(cnt));
	ok = ok && cnt <= UINT32_MAX && bytes == sizeof(cnt) + cnt * sizeof(*h->v) && (h->v = malloc(cnt * sizeof(*h->v) + 1));
	if (ok)
		memcpy(h->v, data + sizeof(cnt), cnt * sizeof(*h->v));
	for (uint64_t i = 0; ok && i < cnt; i++)
		ok = h->v[i].off < text_bytes && (!i || h->v[i].off > h->v[i - 1].off) && h->v[i].what && h->v[i].what <= (IS_FILTER | IS_THREAD);
	free(data);
	h->cnt = ok ? (uint32_t)cnt : 0;
	return ok;
}

static void hits_store(const struct hits *h, const struct host_cache_key *k)
{
	uint64_t cnt = h->cnt, bytes = sizeof(cnt) + cnt * sizeof(*h->v);
	uint8_t *data = h->failed ? NULL : malloc(bytes);
	if (!data)
		return;
	memcpy(data, &cnt, sizeof(cnt));
	if (cnt)
		memcpy(data + sizeof(cnt), h->v, cnt * sizeof(*h->v));
	host_cache_store(k, data, bytes);
	free(data);
}

void guard_scan(struct target *t, struct obj_module *m, guard_found_fn *found, void *arg)
{
	struct host_cache_key k;
	uint8_t id[OBJ_LINES_ID_MAX];
	struct hits h = { 0 };
	uint64_t bytes = m->text_end - m->text_start;
	if (bytes > TEXT_MAX)
		return;
	bool keeps = cache_key(t, m, id, &k);
	if (!keeps || !hits_load(&h, bytes, &k)) {
		free(h.v);
		h = (struct hits){ 0 };
		scan_text(t, m, &h);
		if (keeps)
			hits_store(&h, &k);
	}
	for (uint32_t i = 0; i < h.cnt; i++) {
		const struct obj_range *r = obj_range_at(t->obj, m, m->text_start + h.v[i].off);
		bool is_func = r && r->kind == OBJ_RANGE_FUNC;
		if (is_func && h.v[i].what & IS_FILTER)
			found(arg, m, r->start, r->end - r->start, false);
		if (is_func && h.v[i].what & IS_THREAD)
			found(arg, m, r->start, r->end - r->start, true);
	}
	free(h.v);
}
