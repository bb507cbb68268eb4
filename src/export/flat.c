/* SPDX-License-Identifier: MIT */
/*
 * Events whose fields are all of fixed length, out of bytes that hold them
 * already: what an event costs is what ten million a second have to share.
 */
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

int export_writer_from(struct export_writer *w, uint32_t class_id, const uint32_t *offs, struct err *reterr)
{
	struct writer_class *c = class_id < w->class_cnt ? &w->classes[class_id] : NULL;
	if (!c || !c->is_flat)
		return err_setf(reterr, -EINVAL, "events of this class have no fixed length");
	struct ctf_run *runs = calloc(c->cnt + 1ul, sizeof(*runs));
	if (!runs)
		return err_setf(reterr, -ENOMEM, "out of memory");
	free(c->runs);
	c->runs = runs;
	c->run_cnt = 0;
	for (uint32_t i = 0; i < c->cnt; i++) {
		uint32_t bytes = ctf_type_bytes[c->types[i]];
		struct ctf_run *last = c->run_cnt ? &runs[c->run_cnt - 1] : NULL;
		if (last && last->off + last->bytes == offs[i])
			last->bytes += bytes;
		else
			runs[c->run_cnt++] = (struct ctf_run){ offs[i], bytes };
	}
	return 0;
}

static uint8_t *put_run(uint8_t *at, const struct ctf_run *run, const uint8_t *data, uint32_t bytes)
{
	if (run->off > bytes || bytes - run->off < run->bytes)
		memset(at, 0, run->bytes);
	else if (run->bytes == 8)
		memcpy(at, data + run->off, 8);
	else if (run->bytes == 16)
		memcpy(at, data + run->off, 16);
	else
		memcpy(at, data + run->off, run->bytes);
	return at + run->bytes;
}

int export_writer_event_from(struct export_writer *w, const struct export_event *e, const uint8_t *data, uint32_t bytes,
			     struct err *reterr)
{
	struct stream *s = stream_of(w, e->cpu);
	const struct writer_class *c = e->class_id < w->class_cnt ? &w->classes[e->class_id] : NULL;
	if (!s || !c || !c->runs)
		return err_setf(reterr, s ? -EINVAL : -ENOMEM, s ? "nothing says where the fields of this class are" : "out of memory");
	uint64_t ns = e->ns > s->last_ns ? e->ns : s->last_ns, comm[2];
	uint32_t comm_bytes = ctf_comm(comm, e->comm);
	uint64_t all = sizeof(struct ctf_event) + comm_bytes + c->bytes;
	uint8_t *at;
	int rc = stream_room(w, s, all, ns, &at);
	w->last = s;
	if (rc)
		return writer_cannot(rc, reterr);
	struct ctf_event *head = (struct ctf_event *)at;
	head->id = e->class_id;
	head->ns = ns;
	head->pid = e->pid;
	head->tid = e->tid;
	memcpy(head->comm, comm, sizeof(comm)); /* what is too much of it is overwritten: STREAM_SPARE */
	at += sizeof(*head) + comm_bytes;
	for (uint32_t i = 0; i < c->run_cnt; i++)
		at = put_run(at, &c->runs[i], data, bytes);
	s->used += all;
	s->wait_cnt++;
	s->last_ns = ns;
	w->events++;
	return 0;
}
