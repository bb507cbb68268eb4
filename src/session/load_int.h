/* SPDX-License-Identifier: MIT */
#ifndef SESSION_LOAD_INT_H
#define SESSION_LOAD_INT_H

#include "session/session_int.h"

/* quiet.c: the index of a thread of a stopped target that may be sent to dlopen(); -1: none can be told to be.
 * @patient: nor one in a timed wait. */
int quiet_thread(struct target *, bool patient);
/* Whether the stack of a thread with these registers, of the stopped process behind @inj, proves that it will not
 * return to code of @t's. */
bool quiet_has_none_of_ours(struct target *, struct obj_proc *, struct inject *, const struct user_regs_struct *);

#endif
