/* SPDX-License-Identifier: MIT */
/* What list-symbols is asked for: a description of probes, or part of one. */
#ifndef CLI_WANTED_H
#define CLI_WANTED_H

struct wanted {
	const char *prov, *mod, *func, *name; /* globs, in the text; "": all */
};
/* Both cut @text, which lives as long as what they fill. */
/* Functions, [[pidN:]MODULE:]FUNCTION[:NAME] or MODULE: as a whole; names of C++ hold pairs of colons. */
void wanted_functions(char *text, struct wanted *ret);
/* Probes of a program's own, [[PROVIDER:]MODULE:]FUNCTION:NAME, or NAME. */
void wanted_usdt(char *text, struct wanted *ret);

#endif
