/* SPDX-License-Identifier: MIT */
/* The numbers that name the entries of a folder: processes in /proc, and in a folder of ours.  Tools only. */
#ifndef BASE_PIDS_H
#define BASE_PIDS_H

#include <stdint.h>
#include <sys/types.h>

/* Those above 0, malloc'ed, as they were read.  0 or -errno; then nothing is set. */
int base_pids(const char *dir, pid_t **ret, uint32_t *ret_cnt);

#endif
