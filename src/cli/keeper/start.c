/* SPDX-License-Identifier: MIT */
/* How a keeper begins: forked, without a terminal, with a name of its own. */
#include "cli/keeper/keeper_int.h"

#include "host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIRST_ID 2u /* even */

int keeper_init(struct keeper *k, pid_t pid)
{
	struct cli *cli = &k->cli;
	*k = (struct keeper){ .pid = pid, .listener = -1, .said_fd = -1, .next_id = FIRST_ID };
	k->host = (struct tracer_host){ .pid = pid, .pidfd = (int)syscall(SYS_pidfd_open, pid, 0), .direct = keeper_direct, .read_symbol = keeper_lib_read };
	cli_options_init(&cli->args.opts);
	cli->args.opts.quiet = 1;
	cli->args.opts.empty = 1;
	cli->grows = true;
	cli->args.record = calloc(1, sizeof(*cli->args.record));
	cli->args.macros = calloc(1, sizeof(*cli->args.macros));
	cli->targets = calloc(1, sizeof(*cli->targets));
	if (!cli->args.record || !cli->args.macros || !cli->targets)
		return -ENOMEM;
	cli->targets[0] = (struct cli_target){ .pid = pid };
	cli->target_cnt = 1;
	return 0;
}

void keeper_deinit(struct keeper *k)
{
	struct cli *cli = &k->cli;
	if (k->listener >= 0)
		close(k->listener);
	if (k->host.pidfd >= 0)
		close(k->host.pidfd);
	free(k->points);
	free(cli->targets);
	cli_args_deinit(&cli->args);
}

/* No terminal, no files but these three and @keep: the last one of three gathers what is to be said. */
static int leave_terminal(const int keep[3])
{
	int null = open("/dev/null", O_RDWR);
	setsid();
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || keeper_gather_messages() || chdir("/"))
		return -errno;
	for (int fd = 3; fd < 1024; fd++)
		if (fd != keep[0] && fd != keep[1] && fd != keep[2])
			close(fd);
	return 0;
}

struct news {
	int code;
	char msg[ERR_MSG_MAX];
};

static void tell(int fd, int code, const struct err *e)
{
	struct news n = { .code = code };
	if (code)
		snprintf(n.msg, sizeof(n.msg), "%s", e->msg);
	if (write(fd, &n, sizeof(n)) != (ssize_t)sizeof(n))
		_exit(CLI_ERROR);
	close(fd);
}

static int set_options(struct keeper *k, const char *const *options, struct err *reterr)
{
	int r = 0;
	for (; options && *options && !r; options++) {
		char *name = strdup(*options), *value = name ? strchr(name, '=') : NULL;
		if (value)
			*value++ = 0;
		r = name ? cli_options_set(&k->cli.args.opts, name, value, FROM_ARGS, reterr) : err_setf(reterr, -ENOMEM, "out of memory");
		free(name);
	}
	if (!r && k->cli.args.opts.budget)
		r = err_setf(reterr, -ENOTSUP, "-x budget is for scripts: a keeper keeps none");
	return r;
}

static void run(pid_t pid, const char *const *options, int tell_fd)
{
	struct keeper k;
	struct err e = { .msg = "out of memory" };
	int r = keeper_init(&k, pid);
	r = r ? r : set_options(&k, options, &e);
	r = r ? r : (k.listener = keep_listen(pid, &e)) < 0 ? k.listener : 0;
	r = r ? r : leave_terminal((const int[]){ tell_fd, k.listener, k.host.pidfd });
	if (!r) {
		struct obj_proc_info info = { .comm = "" };
		obj_proc_info(pid, &info, NULL);
		prctl(PR_SET_NAME, "dyntrace-keeper");
		host_title_set("dyntrace-keeper: tracepoints of process %d (%s)", (int)pid, info.comm);
		keeper_catch_knocks(k.listener);
		cli_loop_signals();
		signal(SIGHUP, SIG_IGN);
		r = keeper_attach(&k, &e);
		if (r)
			keep_unlink(pid);
	}
	tell(tell_fd, r, &e);
	if (!r)
		keeper_live(&k);
	keeper_deinit(&k);
	_exit(CLI_OK);
}

int keeper_start(pid_t pid, const char *const *options, struct err *reterr)
{
	int p[2];
	struct news n = { .code = -EPIPE, .msg = "the keeper ended at once" };
	int fd = keep_connect(pid, NULL);
	if (fd >= 0) {
		close(fd);
		return options && *options ? err_setf(reterr, -EEXIST, "process %d is attached already, without %s: detach it first", (int)pid,
						      *options) : 0;
	}
	if (pipe2(p, O_CLOEXEC))
		return err_setf(reterr, -errno, "cannot make a pipe: %s", strerror(errno));
	fflush(NULL);
	pid_t child = fork();
	if (!child) {
		close(p[0]);
		run(pid, options, p[1]);
	}
	close(p[1]);
	int r = child < 0 ? err_setf(reterr, -errno, "cannot fork: %s", strerror(errno)) : 0;
	if (!r && keep_read(p[0], &n, sizeof(n)) < 0)
		n.code = -EPIPE;
	close(p[0]);
	if (!r && n.code && n.code != -EEXIST)
		r = err_setf(reterr, n.code, "%s", n.msg);
	return r;
}
