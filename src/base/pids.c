/* SPDX-License-Identifier: MIT */
#include "base/pids.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

int base_pids(const char *dir, pid_t **ret, uint32_t *ret_cnt)
{
	DIR *d = opendir(dir);
	pid_t *v = NULL;
	uint32_t cnt = 0, cap = 0;
	int r = d ? 0 : -errno;
	for (struct dirent *e; d && !r && (e = readdir(d));) {
		pid_t pid = (pid_t)atoi(e->d_name);
		if (pid <= 0)
			continue;
		if (cnt == cap) {
			pid_t *more = realloc(v, (cap = cap * 2 + 256) * sizeof(*v));
			r = more ? 0 : -ENOMEM;
			v = more ? more : v;
		}
		if (!r)
			v[cnt++] = pid;
	}
	if (d)
		closedir(d);
	if (r) {
		free(v);
		return r;
	}
	*ret = v;
	*ret_cnt = cnt;
	return 0;
}
