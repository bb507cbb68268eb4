/* SPDX-License-Identifier: MIT */
/* Programs that are kept from their start: dyntrace-run, and dyntrace trace. */
#include "cli/keeper/keeper_int.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PRELOADS 16
#define NOT_FOUND 127 /* as shells have it */

static pid_t program;

/* What would end us is for the program to decide. */
static void pass_on(int sig)
{
	if (program > 0)
		kill(program, sig);
}

static void set_signals(void)
{
	static const int passed[] = { SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };
	struct sigaction sa = { .sa_handler = pass_on, .sa_flags = SA_RESTART };
	for (size_t i = 0; i < ARRAY_CNT(passed); i++)
		sigaction(passed[i], &sa, NULL);
	/* A terminal sends these to both. */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
}

static int set_preload(const char *const *libs)
{
	const char *old = getenv("LD_PRELOAD");
	char *text = strdup(old ? old : "");
	struct err e;
	for (uint32_t i = 0; libs && libs[i] && text; i++) {
		char path[4300], *more = NULL;
		if (keeper_lib_path(libs[i], path, sizeof(path), &e)) {
			cli_error("%s", e.msg);
			free(text);
			return CLI_ERROR;
		}
		if (asprintf(&more, "%s%s%s", path, *text ? ":" : "", text) < 0)
			more = NULL;
		free(text);
		text = more;
	}
	int r = text && (!*text || !setenv("LD_PRELOAD", text, 1)) ? CLI_OK : CLI_ERROR;
	free(text);
	return r;
}

static int start_child(struct keeper *k, char *const argv[], const char *const *preload)
{
	struct session_child *child;
	struct err e;
	const char *old = getenv("LD_PRELOAD");
	char *saved = old ? strdup(old) : NULL;
	if (set_preload(preload))
		return CLI_ERROR;
	int r = session_child_start(argv, &child, &e);
	if (saved)
		setenv("LD_PRELOAD", saved, 1);
	else
		unsetenv("LD_PRELOAD");
	free(saved);
	if (r) {
		cli_error("%s: %s", argv[0], r == -ENOENT ? strerror(ENOENT) : e.msg);
		return NOT_FOUND;
	}
	program = session_child_pid(child);
	if (keeper_init(k, program)) {
		session_child_kill(child);
		return CLI_ERROR;
	}
	k->child = child;
	k->is_parent = true;
	return CLI_OK;
}

/* It is there as soon as its libraries are. */
static int fulfil(struct keeper *k, const struct keeper_wish *w, uint32_t cnt)
{
	struct err e;
	FILE *null = fopen("/dev/null", "we");
	int r = null ? 0 : -errno;
	k->begins = true;
	for (uint32_t i = 0; i < cnt && !r; i++) {
		r = keeper_add(k, w[i].argc, (char **)w[i].argv, null, &e);
		if (r)
			cli_error("%s", e.msg);
	}
	k->begins = false;
	if (null)
		fclose(null);
	return r;
}

static bool has_loader(struct obj_proc *obj)
{
	for (uint32_t i = 0; i < obj_module_cnt(obj); i++)
		if (obj_module_at(obj, i)->is_loader && !obj_module_at(obj, i)->is_exe)
			return true;
	return false;
}

struct run {
	struct keeper k;
	const struct keeper_wish *wishes;
	uint32_t wish_cnt;
	bool fulfilled, failed;
};

static void modules_came(struct run *r)
{
	struct err e;
	uint32_t sites;
	if (!r->fulfilled && fulfil(&r->k, r->wishes, r->wish_cnt)) {
		r->failed = true;
		kill(program, SIGKILL);
	}
	r->fulfilled = true;
	if (session_arm(r->k.cli.session, NULL, 0, NULL, NULL, &sites, &e) || session_modules_done(r->k.cli.session, r->k.proc, &e))
		cli_error("%s", e.msg);
}

static void show_all(struct keeper *k)
{
	for (uint32_t i = 0; i < k->point_cnt; i++) {
		char *text = NULL;
		size_t bytes = 0;
		FILE *fp = open_memstream(&text, &bytes);
		if (!fp)
			return;
		keeper_show_gathered(k->points[i], fp);
		fclose(fp);
		if (*text)
			fprintf(stderr, "%s %s\n%s", k->points[i]->name, k->points[i]->place, text);
		free(text);
	}
	fflush(stderr);
}

static void live(struct run *r)
{
	struct keeper *k = &r->k;
	int status = 0;
	while (!k->ends && k->attached && !k->was_execed) {
		enum session_event ev = keeper_step(k, &status);
		if (ev == SESSION_MODULES)
			modules_came(r);
		if (ev == SESSION_EXITED)
			k->status = status;
		if (!k->ends && !k->was_execed)
			keeper_serve(k);
		keeper_relay(k);
	}
	bool over = k->ends && k->attached && !k->was_execed; /* else it goes on without us (detach, another program) */
	keeper_unlink(k);
	if (k->attached)
		keeper_drain(k, true);
	if (!r->wish_cnt)
		show_all(k);
	keeper_end(k);
	keeper_relay(k);
	if (!over)
		while (waitpid(program, &k->status, 0) < 0 && errno == EINTR)
			;
}

static int begin(struct run *r)
{
	struct keeper *k = &r->k;
	struct err e;
	int rc = k->listener = keep_listen(k->pid, &e);
	rc = rc < 0 ? rc : keeper_attach(k, &e);
	if (rc < 0) {
		cli_error("%s", e.msg);
		return CLI_ERROR;
	}
	keeper_catch_knocks(k->listener);
	if (!has_loader(session_obj(k->cli.session, k->proc))) {
		r->fulfilled = true;
		if (fulfil(k, r->wishes, r->wish_cnt))
			return CLI_ERROR;
	}
	if (session_go(k->cli.session, &e) >= 0)
		return CLI_OK;
	cli_error("%s", e.msg);
	return CLI_ERROR;
}

static int run_child(char *const argv[], const struct keeper_wish *wishes, uint32_t wish_cnt, const char *const *preload)
{
	struct run r = { .wishes = wishes, .wish_cnt = wish_cnt };
	int rc = start_child(&r.k, argv, preload);
	if (rc)
		return rc;
	set_signals();
	r.k.said_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (r.k.said_fd >= 0 && keeper_gather_messages())
		r.k.said_fd = -1;
	rc = begin(&r);
	if (rc) {
		kill(program, SIGKILL);
		keep_unlink(r.k.pid);
		keeper_relay(&r.k);
		keeper_end(&r.k);
		session_child_kill(r.k.child);
		keeper_deinit(&r.k);
		return rc;
	}
	live(&r);
	keeper_deinit(&r.k);
	if (r.failed)
		return CLI_ERROR;
	return WIFSIGNALED(r.k.status) ? 128 + WTERMSIG(r.k.status) : WEXITSTATUS(r.k.status);
}

/* Standard error is gathered meanwhile; afterwards the caller has something to say, too. */
int keeper_run(char *const argv[], const struct keeper_wish *wishes, uint32_t wish_cnt, const char *const *preload)
{
	int shown = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	int rc = run_child(argv, wishes, wish_cnt, preload);
	if (shown >= 0) {
		fflush(stderr);
		dup2(shown, STDERR_FILENO);
		close(shown);
	}
	return rc;
}

/* ---- dyntrace-run ---- */

static void usage(FILE *fp, const char *name)
{
	fprintf(fp, "Usage: %s [-t TRACER]... [--] PROGRAM [ARGS...]\n\n"
		"\tRuns a program so that it is attached from its start; its status is the program's.\n\n"
		"\t-t  load what this tracer needs (lttng) with the program\n", name);
}

int run_main(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "tracer", required_argument, NULL, 't' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	const char *preload[PRELOADS + 1] = { NULL };
	uint32_t cnt = 0;
	optind = 1;
	if (!strchr(argv[0], ' '))
		argv[0] = (char *)cli_name;
	for (int opt; (opt = getopt_long(argc, argv, "+ht:", longopts, NULL)) != -1;) {
		const struct tracer *t = opt == 't' ? tracer_find(optarg) : NULL;
		if (opt != 't') {
			usage(opt == 'h' ? stdout : stderr, argv[0]);
			return opt == 'h' ? CLI_OK : CLI_USAGE;
		}
		if (!t) {
			cli_error("there is no tracer %s; %s add --help names them", optarg, "dyntrace");
			return CLI_ERROR;
		}
		if (t->library && cnt < PRELOADS && (!cnt || strcmp(preload[cnt - 1], t->library)))
			preload[cnt++] = t->library;
	}
	if (optind >= argc) {
		usage(stderr, argv[0]);
		return CLI_USAGE;
	}
	return keeper_run(argv + optind, NULL, 0, preload);
}
