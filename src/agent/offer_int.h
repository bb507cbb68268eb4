/* SPDX-License-Identifier: MIT */
/*
 * Private to the code of a program that offers itself: no libc but what offer.c asks for by weak names; system calls go to the kernel.
 */
#ifndef AGENT_OFFER_INT_H
#define AGENT_OFFER_INT_H

#include "rt/mem.h"
#include "wire/offer.h"

#include <sys/un.h>

struct offer_place {
	struct sockaddr_un addr;
	uint32_t addr_bytes;
};
/* Connects to the daemon of @place: a descriptor, or -errno. */
int offer_connect(const struct offer_place *);
/* serve.c: does what the daemon at the other end of @fd asks for, until that is gone. */
void offer_serve(int fd);

#endif
