/* SPDX-License-Identifier: MIT */
/* A run whose session dyntraced has. */
#ifndef CLI_REMOTE_INT_H
#define CLI_REMOTE_INT_H

#include "cli/cli_int.h"
#include "client/client.h"

/* remote_loop.c: from armed to told to stop, and what comes after that; CLI_OK or CLI_ERROR after a message */
int cli_remote_loop(struct cli *);
int cli_remote_finish(struct cli *);
int cli_remote_failed(struct cli *, int rc); /* after a message; the status */
/* remote.c: whether dyntraced is asked for process @pid; asks it for a session: CLI_ERROR after a message, or -errno */
bool cli_remote_is_for(const struct cli *, pid_t pid);
bool cli_remote_takes_exe(const struct cli *); /* and for -x exe */
int cli_remote_request(struct cli *, struct err *reterr);
/* remote.c: what the daemon found; complains as for a run of our own */
int cli_remote_matched(struct cli *, const struct proto_matched *);
/* What the daemon said while something else was waited for. */
void cli_remote_said(struct cli *);

#endif
