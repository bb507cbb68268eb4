/* SPDX-License-Identifier: MIT */
/*
 * -x exe=FILE: all processes of an executable, those that run and those that come.  Which file it is its device and
 * inode tell.  Root hears of each new program from the kernel; others look through /proc now and then.  Children that
 * they fork are followed; programs that they run are theirs no longer.
 */
#include "cli/cli_int.h"
#include "cli/remote_int.h"

#include "base/pids.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY 4194304       /* PID_MAX_LIMIT: no process ever has this number */

struct cli_exe {
	struct aim_exe x;
	pid_t root;   /* what $target is */
	bool full;
	bool is_far;  /* dyntraced looks for them */
};

/* What another's process runs only root sees; its name all do. */
static bool may_run(pid_t pid, const char *name)
{
	char path[64], comm[16] = "";
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	if (!stat(path, &st) || errno != EACCES)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	FILE *f = fopen(path, "re");
	bool known = f && fgets(comm, sizeof(comm), f);
	if (f)
		fclose(f);
	comm[strcspn(comm, "\n")] = 0;
	return known && !strncmp(comm, name, sizeof(comm) - 1);
}

static void tell_others(const char *path)
{
	const char *slash = strrchr(path, '/');
	pid_t *v = NULL;
	uint32_t cnt = 0, others = 0;
	base_pids("/proc", &v, &cnt);
	for (uint32_t i = 0; i < cnt; i++)
		others += may_run(v[i], slash ? slash + 1 : path);
	free(v);
	if (!others)
		return;
	cli_error("%u process%s of other users with that name %s not traced", others, others == 1 ? "" : "es", others == 1 ? "is" : "are");
	cli_remote_hint(-EPERM, "");
}

/* Those that run now. */
static int begin(struct cli *cli, struct cli_exe *x, const struct stat *st)
{
	struct err e;
	x->is_far = cli_remote_takes_exe(cli);
	if (!x->is_far) {
		int rc = aim_exe_open(&x->x, st->st_dev, st->st_ino, true);
		if (rc)
			cli_error("cannot look for processes of %s: %s", cli->args.opts.exe_path, strerror(-rc));
		else if (geteuid())
			tell_others(cli->args.opts.exe_path);
		return rc;
	}
	x->x = (struct aim_exe){ .dev = st->st_dev, .ino = st->st_ino };
	int rc = client_running(st->st_dev, st->st_ino, &x->x.seen, &x->x.seen_cnt, &e);
	if (rc)
		cli_error("%s", e.msg);
	return rc;
}

int cli_exe_open(struct cli *cli)
{
	const char *path = cli->args.opts.exe_path;
	struct cli_exe *x = path ? calloc(1, sizeof(*x)) : NULL;
	struct stat st;
	if (!path)
		return CLI_OK;
	if (!x || stat(path, &st)) {
		cli_error("-x exe=%s: %s", path, strerror(errno));
		free(x);
		return CLI_ERROR;
	}
	if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111)) {
		cli_error("-x exe=%s: it is no executable file", path);
		free(x);
		return CLI_ERROR;
	}
	cli->exe = x;
	if (begin(cli, x, &st))
		return CLI_ERROR;
	struct cli_target *more = realloc(cli->targets, (cli->target_cnt + x->x.seen_cnt + 1ul) * sizeof(*more));
	if (!more) {
		cli_error("out of memory");
		return CLI_ERROR;
	}
	cli->targets = more;
	x->root = cli->target_cnt ? more[0].pid : x->x.seen_cnt ? x->x.seen[0] : NOBODY;
	for (uint32_t i = 0; i < x->x.seen_cnt; i++)
		more[cli->target_cnt++] = (struct cli_target){ .pid = x->x.seen[i], .followed = true, .of_exe = true,
							       .root = x->x.seen[i] == x->root ? 0 : x->root };
	return CLI_OK;
}

pid_t cli_exe_root(const struct cli *cli)
{
	return cli->exe ? cli->exe->root : cli->target_cnt ? cli->targets[0].pid : 0;
}

bool cli_exe_pending(const struct cli *cli)
{
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		if (!cli->targets[i].gone)
			return false;
	return cli->exe != NULL;
}

uint64_t cli_exe_gap_ns(const struct cli *cli)
{
	return cli->exe ? aim_exe_gap_ns(&cli->exe->x) : UINT64_MAX;
}

/* Probes for the one that came. */
static int arm(struct cli *cli, uint32_t proc)
{
	struct err e;
	int rc = cli_targets_follow(cli, proc);
	if (rc)
		return rc;
	struct cli_target *t = &cli->targets[cli->target_cnt - 1];
	t->awaited = false;
	cli->live_cnt--;
	t->of_exe = true;
	t->root = t->pid == cli->exe->root ? 0 : cli->exe->root;
	t->obj = session_obj(cli->session, proc);
	bool loading = session_is_loading(cli->session, proc);
	rc = cli_match_all(cli);
	if (!rc && !cli->noticed && !loading && !cli->args.opts.zdefs && cli_match_complain(cli, false))
		rc = CLI_ERROR;
	t = &cli->targets[cli->target_cnt - 1];
	t->starting = loading && !cli->noticed;
	if (!rc && !loading && !cli->noticed)
		cli_match_notice(cli);
	rc = rc ? rc : cli_arm_new(cli);
	if (session_go(cli->session, &e) < 0)
		cli_error("pid %d: %s", (int)t->pid, e.msg);
	return rc;
}

static bool is_traced(const struct cli *cli, pid_t pid)
{
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		if (cli->targets[i].pid == pid && !cli->targets[i].gone)
			return true;
	return false;
}

static int take(void *arg, pid_t pid, bool *ret_came)
{
	struct cli *cli = arg;
	struct cli_exe *x = cli->exe;
	uint32_t proc;
	struct err e;
	if (is_traced(cli, pid))
		return CLI_OK;
	/* Held: what it forks before its probes are there would have none. */
	int rc = session_attach_held(cli->session, pid, &proc, &e);
	if (!rc) {
		*ret_came = true;
		return arm(cli, proc);
	}
	/* It has ended; or it is a child of one of them, which enters itself at its first probe. */
	if (rc == -ESRCH || rc == -EALREADY)
		return CLI_OK;
	if (rc != -E2BIG || !x->full)
		cli_error("pid %d is not traced: %s", (int)pid, e.msg);
	x->full |= rc == -E2BIG;
	return CLI_OK;
}

void cli_exe_execed(struct cli *cli, pid_t pid)
{
	if (cli->exe)
		aim_exe_execed(&cli->exe->x, pid);
}

int cli_exe_look(struct cli *cli) { return cli->exe ? aim_exe_look(&cli->exe->x, take, cli) : CLI_OK; }

bool cli_exe_is_far(const struct cli *cli) { return cli->exe && cli->exe->is_far; }

void cli_exe_file(const struct cli *cli, uint64_t *ret_dev, uint64_t *ret_ino)
{
	*ret_dev = cli->exe ? cli->exe->x.dev : 0;
	*ret_ino = cli->exe ? cli->exe->x.ino : 0;
}

void cli_exe_close(struct cli *cli)
{
	if (!cli->exe)
		return;
	aim_exe_close(&cli->exe->x);
	free(cli->exe);
	cli->exe = NULL;
}
