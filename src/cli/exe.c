/* SPDX-License-Identifier: MIT */
/*
 * -x exe=FILE: all processes of an executable, those that run and those that come.  Which file it is its device and
 * inode tell.  Root hears of each new program from the kernel; others look through /proc now and then.  Children that
 * they fork are followed; programs that they run are theirs no longer.
 */
#include "cli/cli_int.h"

#include "host/host.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_NS 100000000ULL /* for who looks through /proc */
#define HEAR_NS 10000000ULL  /* for who is told */
#define NOBODY 4194304       /* PID_MAX_LIMIT: no process ever has this number */

struct cli_exe {
	uint64_t dev, ino;
	struct session_execs *execs; /* NULL: nobody tells */
	pid_t *seen;                 /* those with this program at the last look */
	uint32_t seen_cnt;
	uint64_t looked_ns;
	pid_t root;                  /* what $target is */
	bool full, came;
};

static bool runs_it(const struct cli_exe *x, pid_t pid)
{
	char path[64];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	return !stat(path, &st) && st.st_dev == x->dev && st.st_ino == x->ino;
}

/* Their pids, malloc'ed, in the order of their numbers. */
static int scan(const struct cli_exe *x, pid_t **ret, uint32_t *ret_cnt)
{
	DIR *d = opendir("/proc");
	pid_t *v = NULL;
	uint32_t cnt = 0, cap = 0;
	for (struct dirent *e; d && (e = readdir(d));) {
		pid_t pid = (pid_t)atoi(e->d_name);
		if (pid <= 0 || pid == getpid() || !runs_it(x, pid))
			continue;
		if (cnt == cap) {
			pid_t *more = realloc(v, (cap = cap * 2 + 16) * sizeof(*v));
			if (!more)
				break;
			v = more;
		}
		v[cnt++] = pid;
	}
	if (d)
		closedir(d);
	*ret = v;
	*ret_cnt = cnt;
	return d ? 0 : -errno;
}

static bool was_seen(const struct cli_exe *x, pid_t pid)
{
	for (uint32_t i = 0; i < x->seen_cnt; i++)
		if (x->seen[i] == pid)
			return true;
	return false;
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
	*x = (struct cli_exe){ .dev = st.st_dev, .ino = st.st_ino, .execs = session_execs_open(NULL) };
	cli->exe = x;
	int rc = scan(x, &x->seen, &x->seen_cnt);
	struct cli_target *more = realloc(cli->targets, (cli->target_cnt + x->seen_cnt + 1ul) * sizeof(*more));
	if (rc || !more) {
		cli_error("cannot look for processes of %s", path);
		return CLI_ERROR;
	}
	cli->targets = more;
	x->root = cli->target_cnt ? more[0].pid : x->seen_cnt ? x->seen[0] : NOBODY;
	for (uint32_t i = 0; i < x->seen_cnt; i++)
		more[cli->target_cnt++] = (struct cli_target){ .pid = x->seen[i], .followed = true, .of_exe = true,
							       .root = x->seen[i] == x->root ? 0 : x->root };
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
	return !cli->exe ? UINT64_MAX : cli->exe->execs ? HEAR_NS : LOOK_NS;
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

static int take(struct cli *cli, pid_t pid)
{
	struct cli_exe *x = cli->exe;
	uint32_t proc;
	struct err e;
	if (is_traced(cli, pid) || !runs_it(x, pid))
		return CLI_OK;
	/* Held: what it forks before its probes are there would have none. */
	int rc = session_attach_held(cli->session, pid, &proc, &e);
	x->came |= !rc;
	if (!rc)
		return arm(cli, proc);
	/* It has ended; or it is a child of one of them, which enters itself at its first probe. */
	if (rc == -ESRCH || rc == -EALREADY)
		return CLI_OK;
	if (rc != -E2BIG || !x->full)
		cli_error("pid %d is not traced: %s", (int)pid, e.msg);
	x->full |= rc == -E2BIG;
	return CLI_OK;
}

static int look(struct cli *cli)
{
	struct cli_exe *x = cli->exe;
	pid_t *v;
	uint32_t cnt;
	int rc = CLI_OK;
	if (scan(x, &v, &cnt))
		return CLI_OK;
	for (uint32_t i = 0; i < cnt && !rc; i++)
		if (!was_seen(x, v[i]))
			rc = take(cli, v[i]);
	free(x->seen);
	x->seen = v;
	x->seen_cnt = cnt;
	return rc;
}

void cli_exe_execed(struct cli *cli, pid_t pid)
{
	struct cli_exe *x = cli->exe;
	for (uint32_t i = 0; x && i < x->seen_cnt; i++)
		if (x->seen[i] == pid)
			x->seen[i] = 0;
}

int cli_exe_look(struct cli *cli)
{
	struct cli_exe *x = cli->exe;
	int rc = CLI_OK;
	bool lost = !x || !x->execs;
	pid_t pid = 0;
	if (!x)
		return CLI_OK;
	while (x->execs && !rc && !lost && (pid = session_execs_next(x->execs, &lost)))
		rc = take(cli, pid);
	/* It may have forked before it was traced. */
	lost |= x->came;
	x->came = false;
	uint64_t now = host_now_ns();
	if (rc || !lost || (!x->execs && now - x->looked_ns < LOOK_NS))
		return rc;
	x->looked_ns = now;
	return look(cli);
}

void cli_exe_close(struct cli *cli)
{
	if (!cli->exe)
		return;
	session_execs_close(cli->exe->execs);
	free(cli->exe->seen);
	free(cli->exe);
	cli->exe = NULL;
}
