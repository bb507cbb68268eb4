/* SPDX-License-Identifier: MIT */
/*
 * libdyntrace: tracepoints in running programs, from C.
 *
 * Each process that is attached has a keeper, a background process of the caller's user, which holds its tracepoints: they stay until
 * they are removed, also when the caller has ended.  What a tracepoint does is a tracer's: "log", "count", "hist", "d",
 * "ctf", "lttng", "none", with arguments as in dyntrace-add(1).
 *
 * All functions return 0, or a negative errno value after filling *err (which may be NULL) with a sentence.  Outputs stay
 * untouched on failure.  Strings that are returned are the caller's, who frees them with free().  Functions may be called
 * from any thread; each waits for the keeper's answer, which may take the time of a stop of the process.
 */
#ifndef DYNTRACE_DYNTRACE_H
#define DYNTRACE_DYNTRACE_H

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DYNTRACE_API __attribute__((visibility("default")))

struct dyntrace_error {
	int code;          /* as returned */
	char message[1024];
};

/* Flags of dyntrace_add(). */
#define DYNTRACE_ENTRY_EXIT 1u /* the entry and the exit of the function */

/* Begins to trace process @pid: nothing changes in it but that it is ready for tracepoints.  Once more does no harm. */
DYNTRACE_API int dyntrace_attach(pid_t pid, struct dyntrace_error *err);

/* Removes all tracepoints of the process and everything that tracing brought into it. -ENOENT: it is not attached. */
DYNTRACE_API int dyntrace_detach(pid_t pid, struct dyntrace_error *err);

/*
 * Places a tracepoint, attaching the process if need be.
 *
 * @place:    [MODULE:]SYMBOL[+OFFSET], SYMBOL@MODULE, or an address as a number
 * @name:     of the tracepoint; NULL: one is made up
 * @tracer:   its name and arguments, NULL behind the last: { "log", "/tmp/calls", NULL }
 * @ret_name: the tracepoint's name; NULL: it is not wanted
 */
DYNTRACE_API int dyntrace_add(pid_t pid, const char *place, unsigned flags, const char *name, const char *const tracer[],
			      char **ret_name, struct dyntrace_error *err);

/* Removes a tracepoint. @ret_text: what it gathered, for people; NULL: it is not wanted. */
DYNTRACE_API int dyntrace_remove(pid_t pid, const char *name, char **ret_text, struct dyntrace_error *err);

/* The tracepoints of a process and what they gathered so far, as the JSON document of
 * `dyntrace list-tracepoints --json`. -ENOENT: it is not attached. */
DYNTRACE_API int dyntrace_list(pid_t pid, char **ret_json, struct dyntrace_error *err);

#ifdef __cplusplus
}
#endif
#endif
