/* SPDX-License-Identifier: MIT */
/* Declarations of all helpers, all with the one signature that executors call. */
#ifndef RT_HELPERS_H
#define RT_HELPERS_H

#include "rt/mem.h"

#define HELPER(name, result, args, faults) \
	uint64_t rt_##name(struct rt_ctx *, uint64_t, uint64_t, uint64_t, uint64_t);
#include "wire/helpers.def"
#undef HELPER

#define UNUSED(a, b, c) ((void)(a), (void)(b), (void)(c))

#endif
