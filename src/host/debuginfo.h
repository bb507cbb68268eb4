/* SPDX-License-Identifier: MIT */
/*
 * Separate debug information for libdwfl, which would open whatever name a file gives, wherever it leads: here only regular
 * files are opened beside the file and in the target's own tree, and only names without a folder are believed.
 */
#ifndef HOST_DEBUGINFO_H
#define HOST_DEBUGINFO_H

#include "base/base.h"

#include <elfutils/libdwfl.h>

/* The userdata of a module; lives as long as that. */
struct host_debuginfo {
	const char *root; /* a folder that has the target's own /usr/lib/debug; NULL: none */
	bool has_alt;     /* found: what .gnu_debugaltlink names */
	bool is_trusted;  /* root's file, or the caller's own: what else it names may be opened */
};

/* Reports the file; NULL: it is none. */
Dwfl_Module *host_debuginfo_report(Dwfl *, const char *name, const char *file, struct host_debuginfo *);
/* dwfl_module_getdwarf(), but NULL where that would have libdw open a name that a stranger's file gives. */
Dwarf *host_debuginfo_dwarf(Dwfl_Module *, const struct host_debuginfo *, Dwarf_Addr *bias);
/* For dwfl_begin(). */
const Dwfl_Callbacks *host_debuginfo_callbacks(void);

#endif
