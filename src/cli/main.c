/* SPDX-License-Identifier: MIT */
#include "cli/keeper/keeper_int.h"
#include "client/client.h"
#include "host/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define OUT_BYTES 65536

/* Each drain ends with a flush, so that nothing waits for the rest of a buffer. */
static void buffer_output(FILE *out)
{
	if (!isatty(fileno(out)))
		setvbuf(out, NULL, _IOFBF, OUT_BYTES);
}

static int open_output(struct cli *cli)
{
	FILE *out = cli->args.out ? fopen(cli->args.out, "ae") : stdout;
	cli->out = out ? out : stdout;
	if (out)
		buffer_output(out);
	else
		cli_error("failed to open output file '%s': %s", cli->args.out, strerror(errno));
	return out ? CLI_OK : CLI_ERROR;
}

static int run(struct cli *cli)
{
	switch (cli->args.mode) {
	case MODE_HELP:
		cli_usage(stdout);
		return CLI_OK;
	case MODE_OPTIONS:
		cli_options_list(stdout);
		return CLI_OK;
	case MODE_VERSION:
		printf("%s: dyntrace %s, D 2.0\n", cli_name, DYNTRACE_VERSION);
		if (cli->args.verbose)
			printf("D 2.0 is the language of DTrace for Linux, up to version 2.0.1 of its interface\n");
		return CLI_OK;
	case MODE_LIST:
		return open_output(cli) ? CLI_ERROR : cli_verb_list(cli);
	case MODE_EXPLAIN:
		return open_output(cli) ? CLI_ERROR : cli_verb_explain(cli);
	case MODE_VERIFY:
		return open_output(cli) ? CLI_ERROR : cli_verb_verify(cli);
	case MODE_REPAIR:
		return open_output(cli) ? CLI_ERROR : cli_verb_repair(cli);
	case MODE_HEADER:
		return cli_verb_header(cli);
	case MODE_LINK:
		return cli_verb_link(cli);
	case MODE_RECORD:
		cli->out = stdout;
		return cli_verb_record(cli);
	case MODE_NOTHING:
		return CLI_OK;
	case MODE_TRACE:
		return open_output(cli) ? CLI_ERROR : cli_verb_trace(cli);
	}
	return CLI_USAGE;
}

static int close_output(struct cli *cli)
{
	if (!cli->out)
		return CLI_OK;
	bool bad = cli_flush(cli->out, cli->args.out) == CLI_NOT_WRITTEN;
	if (cli->out != stdout)
		fclose(cli->out);
	return bad ? CLI_ERROR : CLI_OK;
}

static void cli_deinit(struct cli *cli)
{
	consume_destroy(cli->consume);
	client_close(cli->client);
	cli_targets_close(cli);
	session_destroy(cli->session);
	aim_deinit(&cli->aim);
	free(cli->matches);
	if (cli->compiled)
		d_program_deinit(&cli->prog);
	d_destroy(cli->d);
	cli_types_close(cli);
	cli_args_deinit(&cli->args);
}

/* getopt() complains under the name that it finds in front. */
static int verb_main(const struct cli_verb *v, int argc, char **argv)
{
	char name[256];
	snprintf(name, sizeof(name), "%s %s", cli_name, v->name);
	argv[0] = name;
	return v->main(argc, argv);
}

/* A verb that has said all, into nothing, has failed. */
static int said(int rc) { return cli_flush(stdout, NULL) == CLI_NOT_WRITTEN && !rc ? CLI_ERROR : rc; }

/* Processes of others, which members of group dyntrace may trace. */
static int look(pid_t pid, enum obj_proc_file file, uint64_t start, uint64_t end)
{
	_Static_assert((int)OBJ_FILE_MAPS == PROTO_LOOK_MAPS && (int)OBJ_FILE_MAPPED == PROTO_LOOK_MAPPED, "the same numbers");
	return geteuid() ? client_look(pid, (enum proto_look)file, start, end) : -EPERM;
}

int main(int argc, char **argv)
{
	struct cli cli = { 0 };
	cli_spare_init();
	if (argc < 1)
		return CLI_USAGE;
	host_title_init(argv);
	cli_write_signals();
	obj_set_helper(look);
	obj_keep_tables(true);
	const char *slash = strrchr(argv[0], '/');
	cli_name = strdup(slash ? slash + 1 : argv[0]); /* a keeper's title takes its place */
	if (!cli_name)
		return CLI_ERROR;
	prctl(PR_SET_NAME, cli_name); /* what execname is in BEGIN */
	if (!strcmp(cli_name, "dyntrace-run"))
		return run_main(argc, argv);
	if (argc == 1) {
		cli_usage_wrong();
		return CLI_USAGE;
	}
	int wrong = cli_usage_help(&argc, argv);
	if (wrong)
		return wrong;
	const struct cli_verb *v = cli_verb_find(argv[1]);
	if (v && v->main)
		return said(verb_main(v, argc - 1, argv + 1));
	int rc = cli_args_parse(&cli.args, argc, argv);
	if (!rc)
		rc = run(&cli);
	int closed = close_output(&cli);
	cli_deinit(&cli);
	return rc ? rc : closed;
}
