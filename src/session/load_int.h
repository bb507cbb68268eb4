/* SPDX-License-Identifier: MIT */
#ifndef SESSION_LOAD_INT_H
#define SESSION_LOAD_INT_H

#include "session/session_int.h"

/* quiet.c: the index of a thread of a stopped target that may be sent to dlopen(); -1: none can be told to be.
 * @patient: nor one in a timed wait. */
int quiet_thread(struct target *, bool patient);

#endif
