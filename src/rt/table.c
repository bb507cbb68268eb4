/* SPDX-License-Identifier: MIT */
#include "rt/helpers.h"

rt_helper_fn *const rt_helpers[] = {
#define HELPER(name, result, args, faults) rt_##name,
#include "wire/helpers.def"
#undef HELPER
};
