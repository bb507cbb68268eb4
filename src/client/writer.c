/* SPDX-License-Identifier: MIT */
/* What a reader of the memory cannot write, and what it cannot find out. */
#include "client/client_int.h"

#include <errno.h>
#include <stdlib.h>

static void say(struct client *c, enum proto_type type, const uint64_t *v)
{
	proto_words_encode(&c->out, type, v);
	client_send(c, NULL);
}

void client_tails_flush(struct client *c)
{
	if (!c->tail_cnt)
		return;
	proto_tails_encode(&c->out, c->tails, c->tail_cnt);
	c->tail_cnt = 0;
	client_send(c, NULL);
}

void client_tail(struct client *c, uint32_t slot, uint64_t pos)
{
	for (uint32_t i = 0; i < c->tail_cnt; i++)
		if (c->tails[i].slot == slot) {
			/* A second time in one drain: the ring is long and its thread may be waiting. */
			c->tails[i].pos = pos;
			client_tails_flush(c);
			return;
		}
	c->tails[c->tail_cnt++] = (struct proto_tail){ slot, pos };
	if (c->tail_cnt == PROTO_TAILS)
		client_tails_flush(c);
}

void client_folded(struct client *c, uint32_t slot, uint32_t incarnation)
{
	client_tails_flush(c);
	say(c, PROTO_FOLDED, (uint64_t[]){ slot, incarnation });
}

/* Of the next two: what answers the second message has done the first. */
void client_agg_gen(struct client *c, uint32_t agg, uint32_t gen)
{
	say(c, PROTO_GEN, (uint64_t[]){ agg, gen });
	client_proc_of(c, 0);
}

void client_drains(struct client *c)
{
	say(c, PROTO_DRAINS, NULL);
	client_proc_of(c, 0);
}

void client_aggs_read(struct client *c) { say(c, PROTO_AGGS_READ, NULL); }

void client_spec(struct client *c, enum proto_spec_what what, uint32_t id, uint64_t v)
{
	say(c, PROTO_SPEC, (uint64_t[]){ what, id, v });
}

void client_error(struct client *c, const uint64_t args[5])
{
	struct proto_in in;
	client_tails_flush(c);
	proto_words_encode(&c->out, PROTO_ERROR, args);
	if (!client_send(c, NULL))
		client_await(c, PROTO_FIRED, &in, NULL);
}

static struct client_sym *sym_add(struct client *c, uint32_t proc, uint64_t addr, struct client_sym **bucket)
{
	struct client_sym *s = calloc(1, sizeof(*s));
	struct proto_in in;
	if (!s)
		return NULL;
	*s = (struct client_sym){ .next = *bucket, .proc = proc, .addr = addr };
	*bucket = s;
	proto_words_encode(&c->out, PROTO_LOOKUP, (uint64_t[]){ proc, addr });
	if (!client_send(c, NULL) && !client_await(c, PROTO_SYMBOL, &in, NULL))
		proto_symbol_decode(&in, &s->sym, NULL);
	return s;
}

const struct proto_symbol *client_symbol(struct client *c, uint32_t proc, uint64_t addr)
{
	static const struct proto_symbol none;
	struct client_sym **bucket = &c->syms[(addr + proc) * WIRE_MULT >> (WIRE_HASH_SHIFT + 32)], *s = *bucket;
	while (s && (s->proc != proc || s->addr != addr))
		s = s->next;
	if (!s)
		s = sym_add(c, proc, addr, bucket);
	return s ? &s->sym : &none;
}

uint32_t client_proc_of(struct client *c, uint32_t pid)
{
	struct proto_in in;
	uint64_t v[PROTO_WORDS] = { 0 };
	proto_words_encode(&c->out, PROTO_PROC_OF, (uint64_t[]){ pid });
	if (!client_send(c, NULL) && !client_await(c, PROTO_PROC, &in, NULL))
		proto_words_decode(&in, PROTO_PROC, v, NULL);
	return (uint32_t)v[0];
}
