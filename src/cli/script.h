/* SPDX-License-Identifier: MIT */
/* Ready scripts as verbs. */
#ifndef CLI_SCRIPT_H
#define CLI_SCRIPT_H

#include "cli/cli_int.h"

bool cli_script_is(const char *name);
const char *cli_script_name(uint32_t i); /* NULL: there are fewer */
void cli_script_list(FILE *); /* a line each */
/* @argv[0] is the script's name. CLI_OK, or the exit status after a message. */
int cli_script_parse(struct cli_args *, int argc, char **argv);

#endif
