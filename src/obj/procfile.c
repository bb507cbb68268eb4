/* SPDX-License-Identifier: MIT */
/* Files of processes, by ourselves or by a helper. */
#include "obj/maps_int.h"

#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

static obj_helper_fn *helper;

void obj_set_helper(obj_helper_fn *fn) { helper = fn; }

static const char *const names[] = {
	[OBJ_FILE_MAPS] = "maps", [OBJ_FILE_MEM] = "mem", [OBJ_FILE_AUXV] = "auxv", [OBJ_FILE_EXE] = "exe",
};

int obj_procfile_open(pid_t pid, enum obj_proc_file file, uint64_t start, uint64_t end, bool *ret_helped)
{
	char path[128];
	if (file == OBJ_FILE_MAPPED)
		snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", (int)pid, (unsigned long long)start,
			 (unsigned long long)end);
	else
		snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, names[file]);
	bool is_any = file != OBJ_FILE_MAPPED && file != OBJ_FILE_EXE;
	int fd = is_any ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : host_open_regular(path);
	int code = is_any ? errno : -fd;
	*ret_helped = false;
	if (fd >= 0 || !helper || (code != EACCES && code != EPERM))
		return fd >= 0 ? fd : -code;
	fd = helper(pid, file, start, end);
	*ret_helped = fd >= 0;
	return fd >= 0 ? fd : -code;
}
