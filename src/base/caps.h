/* SPDX-License-Identifier: MIT */
/* Capabilities (capabilities(7)) of this process.  Tools only. */
#ifndef BASE_CAPS_H
#define BASE_CAPS_H

#include <stdbool.h>

/* Whether it is in the effective set, as the kernel itself says: /proc may not be there. @cap: CAP_*, of linux/capability.h. */
bool base_has_cap(unsigned cap);

/* What root does who lacks one: "give it " BASE_CAP_WHERE. */
#define BASE_CAP_WHERE "to the container or the service that this runs in, or run outside of it"

#endif
