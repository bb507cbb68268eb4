/* SPDX-License-Identifier: MIT */
/*
 * Tracers of one's own for `dyntrace add PID:PLACE NAME [ARGS...]`: a shared object NAME.so in the folder
 * dyntrace/tracers of the library folder, which exports one `const struct dyntrace_tracer dyntrace_tracer`.
 * See dyntrace-tracer(3).
 *
 * It is loaded into the keeper of the process, never into the process: it may take its time, allocate, and fail.  All
 * functions are called by one thread.
 *
 *   begin --> hit ... show ... --> end
 */
#ifndef DYNTRACE_TRACER_H
#define DYNTRACE_TRACER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DYNTRACE_TRACER_VERSION 1

enum dyntrace_tracer_at { DYNTRACE_AT_ENTRY, DYNTRACE_AT_RETURN, DYNTRACE_AT_PLACE };

/* An argument, or the return value (at returns; "tail_call" is not 0 where the function left by a jump to another). */
struct dyntrace_value {
	const char *name;
	const char *text;  /* as log shows it: 12, 0x7f00, "word" */
	int64_t number;    /* of what is no text; of a floating-point number, its bits */
};

/* All of it lasts for the call only. */
struct dyntrace_hit {
	int at;            /* enum dyntrace_tracer_at */
	uint64_t ns;       /* since 1970 */
	uint32_t pid, tid, cpu;
	uint64_t address;  /* of the place; at a return, of the function */
	const char *process, *module, *function;
	const char *fault; /* values could not be read, and why; NULL: they are there */
	const struct dyntrace_value *values;
	uint32_t value_cnt;
};

struct dyntrace_tracepoint {
	const char *name, *place;
	uint32_t pid;
	int entry_and_exit; /* -e */
};

struct dyntrace_tracer {
	uint32_t version;  /* DYNTRACE_TRACER_VERSION */
	uint32_t bytes;    /* sizeof(struct dyntrace_tracer) */
	const char *args;  /* as usage shows them: "[FILE]"; may be NULL */
	const char *help;  /* one sentence; may be NULL */
	/* A tracepoint comes. 0, with *state of the tracer's own; or another number and a sentence in @why: it does not. */
	int (*begin)(const struct dyntrace_tracepoint *, int argc, char *const argv[], void **state, char *why, size_t why_bytes);
	void (*hit)(void *state, const struct dyntrace_hit *);
	/* What was gathered so far: lines; with @json, members of an object, each with "," before it. May be NULL. */
	void (*show)(void *state, FILE *out, int json);
	void (*end)(void *state); /* it is gone; may be NULL */
};

extern const struct dyntrace_tracer dyntrace_tracer;

#ifdef __cplusplus
}
#endif
#endif
