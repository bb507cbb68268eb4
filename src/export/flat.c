/* SPDX-License-Identifier: MIT */
/*
 * Events whose fields are all of fixed length, out of bytes that hold them
 * already: what an event costs is what ten million a second have to share.
 */
#include "consume/consume.h"
#include "export/write_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the command's name ---- */

#define PAGE 4096u
#define ONES 0x0101010101010101ULL
#define HIGHS 0x8080808080808080ULL

struct any_word {
	uint64_t v;
} PACKED;

/* Behind the NUL may be anything, but nothing that cannot be read: a page has no end before its end. */
__attribute__((no_sanitize("address"))) static void both_words(uint64_t ret[2], const char *comm)
{
	ret[0] = ((const volatile struct any_word *)comm)->v;
	ret[1] = ((const volatile struct any_word *)(comm + 8))->v;
}

/* The word's bytes below its first NUL; none: all. */
static uint32_t text_bytes(uint64_t w)
{
	uint64_t nul = (w - ONES) & ~w & HIGHS;
	return nul ? (uint32_t)__builtin_ctzll(nul) / 8 : 8;
}

static uint64_t low_bytes(uint64_t w, uint32_t cnt)
{
	return cnt < 8 ? w & ((1ULL << cnt * 8) - 1) : w;
}

/* Looked at once: the process may write its own name meanwhile. */
uint32_t ctf_comm(uint64_t ret[2], const char *comm)
{
	if ((uintptr_t)comm % PAGE <= PAGE - CTF_COMM_BYTES) {
		both_words(ret, comm);
	} else {
		char text[CTF_COMM_BYTES] = { 0 };
		for (uint32_t i = 0; i < CTF_COMM_BYTES && (text[i] = LOAD_RELAXED(&comm[i])); i++)
			;
		memcpy(ret, text, sizeof(text));
	}
	uint32_t n = text_bytes(ret[0]);
	n = n < 8 ? n : 8 + text_bytes(ret[1]);
	n = n < CTF_COMM_BYTES ? n : CTF_COMM_BYTES - 1;
	ret[0] = low_bytes(ret[0], n);
	ret[1] = n > 8 ? low_bytes(ret[1], n - 8) : 0;
	return n + 1;
}

/* ---- fields ---- */

static void *copy_of(const void *data, size_t bytes)
{
	void *p = malloc(bytes + 1);
	return p ? memcpy(p, data, bytes) : NULL;
}

int writer_class_from(struct writer_class *c, const uint32_t *offs)
{
	struct ctf_run *runs = calloc(c->cnt + 1ul, sizeof(*runs));
	uint32_t *copy = copy_of(offs, c->cnt * sizeof(*offs));
	if (!runs || !copy || writer_class_wide(c, offs)) {
		free(runs);
		free(copy);
		return -ENOMEM;
	}
	free(c->runs);
	free(c->offs);
	c->runs = runs;
	c->offs = copy;
	c->run_cnt = c->data_bytes = 0;
	for (uint32_t i = 0; i < c->cnt; i++) {
		uint32_t bytes = ctf_type_bytes[c->types[i]];
		if (offs[i] != EXPORT_AT_TIME && offs[i] + bytes > c->data_bytes)
			c->data_bytes = offs[i] + bytes;
		struct ctf_run *last = c->run_cnt ? &runs[c->run_cnt - 1] : NULL;
		if (last && last->off != EXPORT_AT_TIME && last->off + last->bytes == offs[i])
			last->bytes += bytes;
		else
			runs[c->run_cnt++] = (struct ctf_run){ offs[i], bytes };
	}
	return 0;
}

int export_writer_from(struct export_writer *w, uint32_t class_id, const uint32_t *offs, struct err *reterr)
{
	struct writer_class *c = class_id < w->class_cnt ? &w->classes[class_id] : NULL;
	if (!c || !c->is_flat)
		return err_setf(reterr, -EINVAL, "events of this class have no fixed length");
	return writer_class_from(c, offs) ? err_setf(reterr, -ENOMEM, "out of memory") : 0;
}

static inline void put_run(uint8_t *at, const struct ctf_run *run, const uint8_t *data)
{
	if (run->bytes == 4)
		memcpy(at, data + run->off, 4);
	else if (run->bytes == 8)
		memcpy(at, data + run->off, 8);
	else if (run->bytes == 16)
		memcpy(at, data + run->off, 16);
	else
		memcpy(at, data + run->off, run->bytes);
}

static inline uint8_t *put_fields(uint8_t *at, const struct writer_class *c, const struct consume_rec *r)
{
	for (uint32_t i = 0; i < c->run_cnt; i++) {
		const struct ctf_run *run = &c->runs[i];
		if (run->off == EXPORT_AT_TIME)
			memcpy(at, &r->ns, sizeof(r->ns));
		else if (r->bytes >= c->data_bytes || (run->off <= r->bytes && r->bytes - run->off >= run->bytes))
			put_run(at, run, r->payload);
		else
			memset(at, 0, run->bytes);
		at += run->bytes;
	}
	return at;
}

/* The metadata have what one of that class, the first of some, may need. */
static int check_class(struct export_writer *w, const struct stream *s, const struct consume_rec *r, uint32_t id)
{
	struct writer_class *c = id < w->class_cnt ? &w->classes[id] : NULL;
	if (!c || !c->runs)
		return -EINVAL;
	if (!c->narrow && !c->stays_wide && ctf_fits(c, r->payload, r->bytes))
		writer_class_narrow(w, id);
	if (s->kind != CTF_ONE)
		return 0;
	c = &w->classes[id];
	int rc = writer_class_in_one(w, c);
	return rc || !c->narrow ? rc : writer_class_in_one(w, &w->classes[c->narrow]);
}

static int check_classes(struct export_writer *w, const struct stream *s, const struct consume_rec *recs, const uint32_t *ids,
			 uint32_t cnt)
{
	int rc = 0;
	for (uint32_t i = 0; !rc && i < cnt; i++)
		rc = i && ids[i] == ids[i - 1] ? 0 : check_class(w, s, &recs[i], ids[i]);
	return rc;
}

/* What is asked of a class for each event, where stores into the trace cannot be meant. */
struct form {
	const struct writer_class *c, *narrow; /* NULL: it has none */
	uint32_t id, narrow_id;
	uint32_t most;       /* bytes of an event */
	uint32_t data_bytes;
	uint32_t wide_cnt;   /* of @wide, where these are all fields; else 0 */
	const struct ctf_wide *wide;
};

static void form_of(const struct export_writer *w, uint32_t id, struct form *ret)
{
	const struct writer_class *c = &w->classes[id];
	bool all = c->narrow && c->wide_cnt == c->cnt;
	*ret = (struct form){ .c = c, .narrow = c->narrow ? &w->classes[c->narrow] : NULL, .id = id, .narrow_id = c->narrow,
			      .most = (uint32_t)STREAM_HEAD_MAX + c->bytes, .data_bytes = c->data_bytes,
			      .wide_cnt = all ? c->wide_cnt : 0, .wide = c->wide };
}

/* In one go, whether they fit or not; returns what was over. */
static inline uint64_t put_narrow(uint8_t *at, const struct form *f, const uint8_t *data)
{
	uint64_t over = 0, v;
	for (uint32_t k = 0; k < f->wide_cnt; k++) {
		memcpy(&v, data + f->wide[k].off, 8);
		memcpy(at + 4 * k, &v, 4);
		over |= (v + f->wide[k].bias) >> 32;
	}
	return over;
}

static inline uint8_t *put_rec(uint8_t *at, const struct form *f, const struct consume_rec *r, const struct stream_who *who,
			       uint64_t ns, uint64_t since)
{
	if (f->wide_cnt && r->bytes >= f->data_bytes) {
		uint8_t *to = stream_put_head(at, f->narrow_id, ns, since, who);
		if (!put_narrow(to, f, r->payload))
			return to + 4 * f->wide_cnt;
	} else if (f->narrow && ctf_fits(f->c, r->payload, r->bytes)) {
		at = stream_put_head(at, f->narrow_id, ns, since, who);
		return put_fields(at, f->narrow, r);
	}
	at = stream_put_head(at, f->id, ns, since, who);
	return put_fields(at, f->c, r);
}

/* All on the CPU of that stream. */
static int put_recs(struct export_writer *w, struct stream *s, const struct stream_who *who, const struct consume_rec *recs,
		    const uint32_t *ids, uint32_t cnt)
{
	const struct stream_who said = *who, *in = s->kind == CTF_ONE ? NULL : &said;
	uint8_t *at = NULL, *end = NULL;
	uint64_t ns = s->many->last_ns, since = s->ns;
	struct form f;
	uint32_t put = 0;
	for (uint32_t i = 0; i < cnt; i++, put++) {
		if (!i || ids[i] != f.id)
			form_of(w, ids[i], &f);
		uint64_t now = recs[i].ns > ns ? recs[i].ns : ns;
		if ((uint64_t)(end - at) < f.most) {
			stream_put(w, s, at, put, ns);
			put = 0;
			int rc = stream_room(w, s, f.most, now, &at, &end);
			if (rc)
				return rc;
			since = s->ns;
		}
		ns = now;
		at = put_rec(at, &f, &recs[i], in, ns, since);
		since = ns;
	}
	stream_put(w, s, at, put, ns);
	return 0;
}

static int on_one_cpu(struct export_writer *w, const struct stream_who *who, const struct consume_rec *recs,
		      const uint32_t *ids, uint32_t cnt)
{
	struct stream *s;
	int rc = stream_of(w, recs->cpu, who, cnt, &s);
	rc = rc ? rc : check_classes(w, s, recs, ids, cnt);
	if (rc)
		return rc;
	w->last = s;
	return put_recs(w, s, who, recs, ids, cnt);
}

int export_writer_recs(struct export_writer *w, const struct export_event *of, const struct consume_rec *recs,
		       const uint32_t *ids, uint32_t cnt, struct err *reterr)
{
	struct stream_who who;
	int rc = 0;
	stream_who(&who, of->pid, of->tid, of->comm);
	for (uint32_t i = 0, n; !rc && i < cnt; i += n) {
		for (n = 1; i + n < cnt && recs[i + n].cpu == recs[i].cpu;)
			n++;
		rc = on_one_cpu(w, &who, recs + i, ids + i, n);
	}
	if (rc == -EINVAL)
		return err_setf(reterr, rc, "nothing says where the fields of this class are");
	return rc ? writer_cannot(w, rc, reterr) : 0;
}

int export_writer_event_from(struct export_writer *w, const struct export_event *e, const uint8_t *data, uint32_t bytes,
			     struct err *reterr)
{
	const struct consume_rec r = { .ns = e->ns, .payload = data, .bytes = bytes, .cpu = e->cpu };
	return export_writer_recs(w, e, &r, &e->class_id, 1, reterr);
}
