/* SPDX-License-Identifier: MIT */
/* Events of LTTng that come while the program runs: they have the name of a tracepoint, and the fields of the usual ones. */
#ifndef TRACER_LTTNG_NAMED_H
#define TRACER_LTTNG_NAMED_H

#include <stdbool.h>
#include <stdint.h>

struct lttng_ust_tracepoint;

/* "P" and a name: one event of that name; "E" and a name: NAME_entry and NAME_exit. Takes memory and LTTng's locks. */
void named_make(const char *text);
/* On the probe path: NULL where no such text was given to named_make(). @exit: NAME_exit. */
struct lttng_ust_tracepoint *named_find(const char *text, bool exit);
/* Writes it, where some session records it. @args: six words; NULL at an exit, which has @ret. */
void named_emit(struct lttng_ust_tracepoint *, uint64_t address, const char *name, const uint64_t *args, uint64_t ret);

#endif
