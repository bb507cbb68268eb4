/* SPDX-License-Identifier: MIT */
#ifndef OBJ_MAPS_INT_H
#define OBJ_MAPS_INT_H

#include "obj/obj_int.h"

/* A descriptor, or -errno. */
int obj_procfile_open(pid_t pid, enum obj_proc_file, uint64_t start, uint64_t end, bool *ret_helped);
/* All mappings of @pid, with the device of each in a second array; both malloc'ed. */
int obj_maps_read(pid_t pid, struct obj_map **ret, uint64_t **ret_devs, uint32_t *ret_cnt);
void obj_maps_free(struct obj_map *maps, uint64_t *devs, uint32_t cnt);

#endif
