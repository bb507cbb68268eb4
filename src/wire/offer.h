/* SPDX-License-Identifier: MIT */
/*
 * What the thread of a program that offered itself (agent/offer.c) and dyntraced say to each other, on a
 * SOCK_SEQPACKET socket: one message is one packet.  See ADR 26.
 *
 *	program                         dyntraced
 *	hello ------------------------>            who is there the kernel tells
 *	      <------------------------ req        with what the operation needs behind it; a descriptor, where it says so
 *	reply ------------------------>            in the order of the requests
 */
#ifndef WIRE_OFFER_H
#define WIRE_OFFER_H

#include "base/base.h"

#define WIRE_OFFER_MAGIC 0x726566666f746479ULL /* "dytoffer" */
#define WIRE_OFFER_VERSION 1u
#define WIRE_OFFER_SOCKET "/run/dyntrace/offers.sock"
#define WIRE_OFFER_NAME "offers.sock" /* beside the clients' socket */
#define WIRE_OFFER_FOLDER "offers"    /* likewise: a file for each process, by its number */
#define WIRE_OFFER_DATA 4096u         /* at most behind a req or a reply */
#define WIRE_OFFER_WORDS (WIRE_OFFER_DATA / sizeof(struct wire_offer_word))

struct wire_offer_hello {
	uint64_t magic;
	uint32_t version;
	uint32_t tid; /* of the thread, as the program knows it */
};

enum wire_offer_op {
	WIRE_OFFER_SYSCALL, /* args[0] is its number, args[1..6] what it is given; value: what the kernel says */
	WIRE_OFFER_FD,      /* value: the number of the descriptor that came */
	WIRE_OFFER_STORE,   /* args[0] struct wire_offer_word behind; value: how many were stored, from the first on */
	WIRE_OFFER_READ,    /* args[1] bytes from args[0]; they are behind the reply */
	WIRE_OFFER_WRITE,   /* args[1] bytes, which are behind, to args[0] */
	WIRE_OFFER_OPS
};
struct wire_offer_req {
	uint32_t op, seq;
	uint64_t until_ns; /* CLOCK_REALTIME; later than that it is answered with -ETIMEDOUT, and not done */
	uint64_t args[7];
};
/* Eight aligned bytes of code. */
struct wire_offer_word {
	uint64_t addr;
	uint64_t was, is; /* nothing is stored where another stands than @was */
	uint64_t prot;    /* of its page, PROT_* */
};
struct wire_offer_reply {
	uint32_t seq, bytes; /* bytes: that follow */
	int64_t value;       /* or -errno */
	int64_t error;       /* of WIRE_OFFER_STORE: why it ended early: -EAGAIN: something else stands there */
};

#endif
