/* SPDX-License-Identifier: MIT */
/* keep: how one finds the keeper of a process (ADR 18) and speaks with it; and libdyntrace, the same for programs. */
#ifndef KEEP_KEEP_H
#define KEEP_KEEP_H

#include "base/base.h"

#include <sys/types.h>

#define KEEP_MAGIC 0x314b5944u /* "DYK1" */
#define KEEP_WORDS_MAX (64u << 10)
#define KEEP_TEXT_MAX (16u << 20)
struct keep_head {
	uint32_t magic;
	int32_t status;      /* of an answer: as the command's */
	uint32_t bytes;      /* of words, each with a NUL; of an answer: of text for standard output */
	uint32_t err_bytes;  /* then of text for standard error */
};
int keep_connect(pid_t pid, struct err *reterr); /* a descriptor; -ENOENT: it has no keeper */
/* Of a new keeper: a listening socket. -EEXIST: there is one. */
int keep_listen(pid_t pid, struct err *reterr);
void keep_unlink(pid_t pid);
/* Processes that have keepers of the caller's: malloc'ed. */
int keep_pids(pid_t **ret, uint32_t *ret_cnt, struct err *reterr);
int keep_read(int fd, void *buf, size_t bytes); /* 0, or -errno; all of it */
int keep_write(int fd, const void *buf, size_t bytes);
/* Sends words to the keeper of @pid and fills *ret_out and *ret_err (malloc'ed); the status, or -errno. */
int keep_ask(pid_t pid, int argc, const char *const *argv, char **ret_out, char **ret_err, struct err *reterr);

#endif
