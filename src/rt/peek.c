/* SPDX-License-Identifier: MIT */
/* In tools only: the kernel's memory, where somebody reads it for their own probes. */
#include "rt/rt.h"

static struct rt_peek peek;

void rt_peek_set(const struct rt_peek *p) { peek = p ? *p : (struct rt_peek){ 0 }; }

int rt_peek_read(void *dst, uint64_t addr, uint64_t bytes)
{
	return peek.read && bytes <= 0 - addr ? peek.read(peek.arg, dst, addr, bytes) : -1;
}

uint64_t rt_peek_task(void) { return peek.task ? peek.task(peek.arg) : 0; }
