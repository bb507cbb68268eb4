/* SPDX-License-Identifier: MIT */
/*
 * verify with a script and a command: both are run twice, once with jumps, once with uprobes of the kernel, and what
 * comes out must be the same.  In what order lines come is left out of account, as aggregations and threads have none.
 */
#include "cli/cli_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHOWN 20 /* lines of each, without -v */

struct lines {
	char *text;
	char **v; /* sorted */
	size_t cnt;
};

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int split(struct lines *l)
{
	size_t cap = 1;
	for (const char *c = l->text; *c; c++)
		cap += *c == '\n';
	l->v = calloc(cap, sizeof(*l->v));
	if (!l->v)
		return -ENOMEM;
	for (char *save, *s = strtok_r(l->text, "\n", &save); s; s = strtok_r(NULL, "\n", &save))
		l->v[l->cnt++] = s;
	qsort(l->v, l->cnt, sizeof(*l->v), compare_lines);
	return 0;
}

static void lines_free(struct lines *l)
{
	free(l->text);
	free(l->v);
}

/* This program with the same arguments, and @backend. */
static _Noreturn void run_child(char *const *args, const char *backend, int out)
{
	size_t n = 0;
	while (args[n])
		n++;
	char **argv = calloc(n + 5, sizeof(*argv));
	personality(ADDR_NO_RANDOMIZE); /* addresses are the same in both runs */
	if (!argv || dup2(out, STDOUT_FILENO) < 0)
		_exit(CLI_ERROR);
	argv[0] = args[0];
	argv[1] = (char *)"-x";
	argv[2] = (char *)backend;
	argv[3] = (char *)"-q"; /* which CPU it was may differ */
	memcpy(argv + 4, args + 1, (n - 1) * sizeof(*argv));
	execv("/proc/self/exe", argv);
	_exit(CLI_ERROR);
}

static int run(char *const *args, const char *backend, struct lines *ret)
{
	int p[2], status;
	if (pipe2(p, O_CLOEXEC)) {
		cli_error("cannot make a pipe: %s", strerror(errno));
		return CLI_ERROR;
	}
	pid_t pid = fork();
	if (!pid)
		run_child(args, backend, p[1]);
	close(p[1]);
	FILE *f = fdopen(p[0], "r");
	ret->text = f ? cli_read_all(f) : NULL;
	if (f)
		fclose(f);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !ret->text || split(ret)) {
		cli_error("cannot run this program again: %s", strerror(errno));
		return CLI_ERROR;
	}
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return CLI_OK;
	cli_error("with -x %s it failed", backend);
	return CLI_ERROR;
}

static bool shown(const struct cli *cli, uint32_t *cnt) { return (*cnt)++ < SHOWN || cli->args.verbose; }

/* Lines that only one has; how many. */
static uint32_t show_differences(struct cli *cli, const struct lines *a, const struct lines *b)
{
	uint32_t as = 0, bs = 0;
	for (size_t i = 0, k = 0; i < a->cnt || k < b->cnt;) {
		int c = i == a->cnt ? 1 : k == b->cnt ? -1 : strcmp(a->v[i], b->v[k]);
		if (c < 0 && shown(cli, &as))
			fprintf(cli->out, "jump:   %s\n", a->v[i]);
		else if (c > 0 && shown(cli, &bs))
			fprintf(cli->out, "uprobe: %s\n", b->v[k]);
		i += c <= 0;
		k += c >= 0;
	}
	return as + bs;
}

int cli_verb_compare(struct cli *cli)
{
	struct lines jump = { 0 }, uprobe = { 0 };
	int rc = run(cli->args.words, "backend=jump", &jump);
	rc = rc ? rc : run(cli->args.words, "backend=uprobe", &uprobe);
	uint32_t cnt = rc ? 0 : show_differences(cli, &jump, &uprobe);
	if (!rc && cnt)
		fprintf(cli->out, "jumps and uprobes differ in %u lines\n", cnt);
	else if (!rc && !cli->args.opts.quiet)
		fprintf(cli->out, "jumps and uprobes agree: %zu lines\n", jump.cnt);
	lines_free(&jump);
	lines_free(&uprobe);
	return rc ? rc : cnt ? CLI_ERROR : CLI_OK;
}
