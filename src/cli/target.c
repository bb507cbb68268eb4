/* SPDX-License-Identifier: MIT */
/* -c and -p. */
#include "cli/cli_int.h"

#include "keep/keep.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EXEC_TRIES 5
#define EXEC_PAUSE_NS 2000000

static int start_command(struct cli *cli, const char *command)
{
	struct cli_target *t = &cli->targets[cli->target_cnt];
	char **argv = cli_args_split(command);
	struct err e;
	int rc = -EINVAL;
	if (!argv)
		cli_error("-c %s: a quote is not closed", command);
	else if (!argv[0])
		cli_error("-c needs a command");
	else if ((rc = session_child_start(argv, &t->child, &e)) < 0)
		cli_error("failed to execute %s: %s", argv[0], rc == -ENOENT ? strerror(ENOENT) : e.msg);
	cli_args_split_free(argv);
	if (rc < 0)
		return CLI_ERROR;
	t->pid = session_child_pid(t->child);
	t->spawned = t->starting = true;
	cli->target_cnt++;
	return CLI_OK;
}

static bool is_ended(const struct obj_proc_info *info)
{
	return info->state == 'X' || (info->state == 'Z' && info->threads <= 1);
}

bool cli_targets_ended(const struct cli *cli)
{
	struct obj_proc_info info;
	for (uint32_t i = 0; i < cli->target_cnt; i++) {
		int rc = obj_proc_info(cli->targets[i].pid, &info, NULL);
		if (cli->targets[i].spawned || (rc && rc != -ESRCH) || (!rc && !is_ended(&info)))
			return false;
	}
	return cli->target_cnt > 0 && !cli->exe;
}

static int look_at_pid(struct cli *cli, pid_t pid)
{
	struct cli_target *t = &cli->targets[cli->target_cnt];
	struct obj_proc_info info;
	struct err e;
	int rc = obj_proc_info(pid, &info, &e);
	if (rc == -ESRCH) {
		cli_error("%s", cli_testing() || cli_is_dtrace() ? strerror(ESRCH) : e.msg);
		return CLI_ERROR;
	}
	if (rc < 0) {
		cli_error("failed to grab pid %d: %s", (int)pid, e.msg);
		return CLI_ERROR;
	}
	t->pid = pid;
	cli->target_cnt++;
	return CLI_OK;
}

int cli_targets_open(struct cli *cli)
{
	const struct cli_args *a = &cli->args;
	int rc = CLI_OK;
	cli->targets = calloc(a->command_cnt + a->pid_cnt + 1ul, sizeof(*cli->targets));
	if (!cli->targets)
		return CLI_ERROR;
	for (uint32_t i = 0; !rc && i < a->command_cnt; i++)
		rc = start_command(cli, a->commands[i]);
	for (uint32_t i = 0; !rc && i < a->pid_cnt; i++)
		rc = look_at_pid(cli, a->pids[i]);
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		cli->targets[i].awaited = true;
	cli->live_cnt = cli->target_cnt;
	return rc ? rc : cli_exe_open(cli);
}

static bool is_target(const struct cli *cli, pid_t pid)
{
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		if (cli->targets[i].pid == pid)
			return true;
	return false;
}

pid_t cli_pid_named(const char *prov)
{
	struct obj_proc_info info;
	size_t at = strlen(prov);
	char *end;
	while (at && isdigit((unsigned char)prov[at - 1]))
		at--;
	if (!at || !prov[at])
		return 0;
	errno = 0;
	long pid = strtol(prov + at, &end, 10);
	return !errno && pid > 0 && pid <= INT32_MAX && !obj_proc_info((pid_t)pid, &info, NULL) ? (pid_t)pid : 0;
}

int cli_targets_add_named(struct cli *cli)
{
	for (uint32_t i = 0; i < cli->prog.plan.clause_cnt; i++) {
		const struct plan_clause *c = &cli->prog.plan.clauses[i];
		for (uint32_t k = 0; k < c->desc_cnt; k++) {
			pid_t pid = c->descs[k].prov ? cli_pid_named(c->descs[k].prov) : 0;
			if (!pid || is_target(cli, pid))
				continue;
			struct cli_target *more = realloc(cli->targets, (cli->target_cnt + 1) * sizeof(*more));
			if (!more)
				return CLI_ERROR;
			cli->targets = more;
			more[cli->target_cnt] = (struct cli_target){ 0 };
			if (look_at_pid(cli, pid))
				return CLI_ERROR;
		}
	}
	return CLI_OK;
}

bool cli_targets_spawned(const struct cli *cli)
{
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		if (cli->targets[i].spawned)
			return true;
	return false;
}

/* A program without a loader is complete from its start. */
static bool has_loader(const struct obj_proc *p)
{
	for (uint32_t i = 0; i < obj_module_cnt(p); i++)
		if (obj_module_at(p, i)->is_loader && !obj_module_at(p, i)->is_exe)
			return true;
	return false;
}

/* Whoever starts a program and tells us its pid at once may be between fork and exec: once more, then. */
static int attach_running(struct cli *cli, struct cli_target *t, struct err *reterr)
{
	int rc = -ESRCH;
	for (int i = 0; rc == -ESRCH && i < EXEC_TRIES; i++) {
		if (i)
			nanosleep(&(struct timespec){ .tv_nsec = EXEC_PAUSE_NS }, NULL);
		rc = session_attach(cli->session, t->pid, &t->proc, reterr);
		if (rc == -ESRCH && kill(t->pid, 0) && errno == ESRCH)
			break;
	}
	return rc;
}

static int attach_one(struct cli *cli, struct cli_target *t, struct err *reterr)
{
	int rc;
	if (!cli->session)
		return obj_proc_open(t->pid, &t->obj, reterr);
	if (t->child) {
		rc = session_adopt(cli->session, t->child, &t->proc, reterr);
		t->child = NULL;
	} else {
		rc = attach_running(cli, t, reterr);
	}
	if (rc < 0)
		return rc;
	t->obj = session_obj(cli->session, t->proc);
	return 0;
}

/* Where its stack begins, which is random: another number for the same executable is another program. */
static unsigned long stack_of(pid_t pid)
{
	char path[64], line[1024] = "";
	unsigned long start = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *fp = fopen(path, "re");
	size_t n = fp ? fread(line, 1, sizeof(line) - 1, fp) : 0;
	if (fp)
		fclose(fp);
	line[n] = 0;
	char *p = strrchr(line, ')'); /* the name may hold anything */
	for (int field = 2; p && field < 28; field++)
		p = strchr(p + 1, ' ');
	return p && sscanf(p, "%lu", &start) == 1 ? start : 0;
}

/* Which program it runs; false: that cannot be seen. */
static bool program_of(const struct cli_target *t, struct cli_program *ret)
{
	char path[64];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)t->pid);
	if (stat(path, &st))
		return false;
	*ret = (struct cli_program){ .dev = st.st_dev, .ino = st.st_ino, .stack = stack_of(t->pid) };
	return true;
}

bool cli_targets_changed(const struct cli *cli)
{
	bool changed = false;
	struct cli_program now;
	for (uint32_t i = 0; i < cli->target_cnt; i++) {
		const struct cli_target *t = &cli->targets[i];
		if (t->spawned)
			return false;
		changed |= t->program.ino && program_of(t, &now) && (now.dev != t->program.dev || now.ino != t->program.ino ||
			(now.stack && t->program.stack && now.stack != t->program.stack));
	}
	return changed;
}

static bool is_loading(struct cli *cli, const struct cli_target *t)
{
	return cli->session && session_is_loading(cli->session, t->proc);
}

bool cli_from_entry(const struct cli *cli)
{
	enum { UNSET, EXEC };
	uint64_t when = cli->args.opts.evaltime;
	return cli->has_kernel && !cli->has_user && when != EXEC && (when != UNSET || !strcmp(cli_name, "dtrace"));
}

/* The keeper of a process that another dyntrace traces waits, without tracepoints, for its next one. */
static bool keeper_holds(pid_t pid)
{
	struct session_verdict v = { 0 };
	struct ucred c = { 0 };
	socklen_t n = sizeof(c);
	struct err e;
	int fd = keep_connect(pid, &e);
	bool known = fd >= 0 && !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n);
	if (fd >= 0)
		close(fd);
	return known && !session_verify(pid, NULL, NULL, &v, &e) && v.owner == c.pid;
}

/* Its tracepoints stay until somebody says otherwise. */
static void hint_kept(pid_t pid, int rc)
{
	if (rc == -EBUSY && keeper_holds(pid))
		cli_hint("it is attached: %s detach %d ends that, %s add %d:FUNCTION d '{ trace(arg0); }' traces beside it", cli_name,
			 (int)pid, cli_name, (int)pid);
}

/* With a session: traces them. Without: only reads their symbols. */
int cli_targets_attach(struct cli *cli)
{
	for (uint32_t i = 0; i < cli->target_cnt; i++) {
		struct cli_target *t = &cli->targets[i];
		struct err e;
		if (!program_of(t, &t->program))
			t->program = (struct cli_program){ .ino = 0 };
		int rc = attach_one(cli, t, &e);
		if (rc == -ESRCH && t->of_exe) {
			t->gone = true;
			continue;
		}
		if (rc == -ESRCH && cli_targets_ended(cli))
			return CLI_ERROR;
		if (cli_record_lower_bufsize(cli, rc))
			return CLI_ERROR;
		if (rc < 0) {
			cli_error("failed to grab pid %d: %s", (int)t->pid, e.msg);
			hint_kept(t->pid, rc);
			return CLI_ERROR;
		}
		cli_shell_note(cli, t);
		t->starting = t->obj && !cli->watches && (t->spawned ? has_loader(t->obj) && !cli_from_entry(cli) : is_loading(cli, t));
	}
	return CLI_OK;
}

/* Watches for the libraries of commands, arming nothing.  What has all of its code stays where it is: once it has run
 * to its end there is nothing left to look at. */
static int run_to_loaded(struct cli *cli, struct err *reterr)
{
	uint32_t waiting = 0, sites, proc = 0;
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		waiting += cli->targets[i].starting;
	if (!waiting)
		return 0;
	int rc = session_arm(cli->session, NULL, 0, NULL, NULL, &sites, reterr), status;
	session_enable(cli->session, true); /* the loader tells through a probe */
	rc = rc < 0 ? rc : session_go(cli->session, reterr);
	for (uint32_t i = 0; !rc && i < cli->target_cnt; i++)
		if (cli->targets[i].spawned && !cli->targets[i].starting)
			session_hold(cli->session, cli->targets[i].proc, NULL);
	while (!rc && waiting && !cli_loop_interrupted()) {
		enum session_event ev = session_wait(cli->session, 1000000000, &proc, &status);
		struct cli_target *t = cli_target_by_proc(cli, proc);
		if (ev == SESSION_NOTHING || ev == SESSION_DATA || !t || !t->starting)
			continue;
		t->starting = false;
		t->gone = ev != SESSION_MODULES;
		if (!t->gone)
			session_hold(cli->session, proc, NULL);
		waiting--;
	}
	return rc;
}

int cli_targets_look(struct cli *cli)
{
	struct err e;
	bool spawned = cli_targets_spawned(cli);
	if (spawned && !cli->session && session_create(&cli->prog.image, &(struct session_opts){ 0 }, &cli->session, &e)) {
		cli_error("%s", e.msg);
		return CLI_ERROR;
	}
	cli_loop_signals();
	if (cli_targets_attach(cli))
		return CLI_ERROR;
	if (!spawned || !run_to_loaded(cli, &e))
		return CLI_OK;
	cli_error("%s", e.msg);
	return CLI_ERROR;
}

void cli_targets_kill(struct cli *cli)
{
	for (uint32_t i = 0; i < cli->target_cnt; i++) {
		struct cli_target *t = &cli->targets[i];
		if (t->child)
			session_child_kill(t->child);
		else if (t->spawned && (!t->gone || t->gone_on))
			kill(t->pid, SIGKILL);
		t->child = NULL;
	}
}

void cli_targets_close(struct cli *cli)
{
	cli_targets_kill(cli);
	for (uint32_t i = 0; i < cli->target_cnt && !cli->session; i++)
		obj_proc_close(cli->targets[i].obj);
	cli_exe_close(cli);
	free(cli->shell);
	free(cli->targets);
	cli->targets = NULL;
	cli->target_cnt = 0;
}

int cli_targets_started(struct cli *cli, uint32_t proc)
{
	pid_t pid = session_pid(cli->session, proc), root = cli->target_cnt ? cli->targets[0].pid : 0;
	struct err e;
	for (uint32_t i = 0; i < cli->target_cnt; i++) {
		struct cli_target *t = &cli->targets[i];
		if (t->pid != pid || t->gone)
			continue;
		t->gone = true;
		cli->live_cnt -= t->awaited;
	}
	int rc = cli_targets_follow(cli, proc);
	if (rc)
		return rc;
	struct cli_target *t = &cli->targets[cli->target_cnt - 1];
	t->obj = session_obj(cli->session, proc);
	t->root = root;
	if (!cli_match_all(cli))
		rc = cli_arm_new(cli);
	if (session_go(cli->session, &e) < 0)
		cli_error("%s", e.msg);
	return rc;
}

int cli_targets_follow(struct cli *cli, uint32_t proc)
{
	/* One that was freed for another child may have had the number. */
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		if (cli->targets[i].proc == proc && cli->targets[i].gone)
			cli->targets[i].proc = 0;
	struct cli_target *more = realloc(cli->targets, (cli->target_cnt + 1) * sizeof(*more));
	if (!more) {
		cli_error("out of memory");
		return CLI_ERROR;
	}
	cli->targets = more;
	more[cli->target_cnt++] = (struct cli_target){ .pid = session_pid(cli->session, proc), .proc = proc, .awaited = true,
						       .followed = true };
	cli->live_cnt++;
	return CLI_OK;
}

struct cli_target *cli_target_by_proc(struct cli *cli, uint32_t proc)
{
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		if (cli->targets[i].proc == proc)
			return &cli->targets[i];
	return NULL;
}

static uint32_t threads_of(pid_t pid)
{
	char path[64];
	uint32_t n = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));)
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

uint32_t cli_thread_cnt(const struct cli *cli)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < cli->target_cnt; i++)
		n += cli->targets[i].gone ? 0 : threads_of(cli->targets[i].pid);
	return n;
}
