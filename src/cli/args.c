/* SPDX-License-Identifier: MIT */
#include "cli/keeper/keeper_int.h"
#include "cli/record/record_int.h"
#include "cli/script.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const char optstring[] = "3:6:b:Bc:Cd:D:ef:FGhHi:I:lL:m:n:o:p:P:qs:SU:vVwx:X:Z";
enum { OPT_HELP = 256, OPT_VERSION };
static const struct option longopts[] = {
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ 0 },
};

static bool add_source(struct cli_args *a, enum d_source_kind kind, const char *arg)
{
	struct cli_source *s = realloc(a->srcs, (a->src_cnt + 1) * sizeof(*s));
	if (!s)
		return false;
	a->srcs = s;
	s = &a->srcs[a->src_cnt++];
	*s = (struct cli_source){ .kind = kind, .arg = strdup(arg) };
	if (kind == D_SRC_PROGRAM) {
		s->name = strdup(arg);
	} else {
		s->text = strdup(arg);
		s->name = strndup(arg, strcspn(arg, "{/;"));
	}
	return s->arg && s->name && (s->text || kind == D_SRC_PROGRAM);
}

static bool add_command(struct cli_args *a, const char *arg)
{
	char **v = realloc(a->commands, (a->command_cnt + 1) * sizeof(*v));
	if (!v)
		return false;
	a->commands = v;
	return (v[a->command_cnt++] = strdup(arg)) != NULL;
}

int cli_args_pid(struct cli_args *a, pid_t pid)
{
	for (uint32_t i = 0; i < a->pid_cnt; i++)
		if (a->pids[i] == pid)
			return CLI_OK;
	pid_t *v = realloc(a->pids, (a->pid_cnt + 1) * sizeof(*v));
	if (!v)
		return CLI_ERROR;
	a->pids = v;
	v[a->pid_cnt++] = pid;
	return CLI_OK;
}

int cli_args_named(struct cli_args *a, const char *name, size_t len)
{
	pid_t pid = procs_one(name, len);
	return pid ? cli_args_pid(a, pid) : CLI_ERROR;
}

bool cli_args_is_another_pid(const struct cli_args *a, const char *word)
{
	long pid = *word && strspn(word, "0123456789") == strlen(word) ? strtol(word, NULL, 10) : 0;
	return a->pid_cnt && pid > 0 && pid <= INT32_MAX && (!kill((pid_t)pid, 0) || errno == EPERM);
}

void cli_args_hint_pids(const struct cli_args *a, const char *word)
{
	if (cli_args_is_another_pid(a, word))
		cli_hint("each process needs a -p of its own: -p %d -p %s", (int)a->pids[a->pid_cnt - 1], word);
}

/* dtrace knows numbers alone. */
static bool is_name(const char *arg)
{
	return isalpha((unsigned char)*arg) && !cli_is_dtrace() && !cli_testing();
}

/* dtrace knows fewer uses that are wrong. */
static int wrong_usage(void) { return cli_testing() || cli_is_dtrace() ? CLI_ERROR : CLI_USAGE; }

static int add_pid(struct cli_args *a, const char *arg)
{
	char *end;
	if (is_name(arg))
		return cli_args_named(a, arg, strlen(arg));
	if (!*arg && wrong_usage() == CLI_USAGE) {
		cli_error("a process is missing: its number or its name");
		return CLI_USAGE;
	}
	errno = 0;
	long pid = strtol(arg, &end, 10);
	if (errno || end == arg || *end || pid <= 0 || pid > INT32_MAX) {
		cli_error("invalid pid: %s", arg);
		return wrong_usage();
	}
	return cli_args_pid(a, (pid_t)pid);
}

/* As the flag was written, without what -x assigns. */
static int set_option(struct cli_args *a, const char *flag, const char *name, const char *value)
{
	bool x = !strncmp(flag, "-x", 2);
	struct err e;
	if (!cli_options_set(&a->opts, name, value, FROM_ARGS, &e))
		return CLI_OK;
	cli_error("failed to set %s%s%s: %s", flag, value && !x ? " " : "", value && !x ? value : "", e.msg);
	return wrong_usage();
}

static int set_x(struct cli_args *a, const char *arg)
{
	char name[64], flag[80];
	size_t len = strcspn(arg, "=");
	if (!strcmp(arg, "help")) {
		a->mode = MODE_OPTIONS;
		return CLI_OK;
	}
	snprintf(name, sizeof(name), "%.*s", (int)len, arg);
	snprintf(flag, sizeof(flag), "-x %s", name);
	return set_option(a, flag, name, arg[len] ? arg + len + 1 : NULL);
}

static int set_dumps(struct cli_args *a, const char *arg)
{
	static const struct { const char *name; unsigned bit; } stages[] = {
		{ "ast", DUMP_AST }, { "types", DUMP_TYPES }, { "ir", DUMP_IR }, { "jit", DUMP_JIT }, { "verifier", DUMP_VERIFIER },
	};
	while (*arg) {
		size_t len = strcspn(arg, ","), i;
		for (i = 0; i < ARRAY_CNT(stages); i++)
			if (strlen(stages[i].name) == len && !memcmp(arg, stages[i].name, len))
				break;
		if (i == ARRAY_CNT(stages)) {
			cli_error("-d knows the stages ast, types, ir and jit, not '%.*s'", (int)len, arg);
			return CLI_USAGE;
		}
		a->dumps |= stages[i].bit;
		arg += len + (arg[len] == ',');
	}
	return CLI_OK;
}

static int set_mode(struct cli_args *a, enum cli_mode mode)
{
	if (a->mode != MODE_TRACE && a->mode != mode) {
		cli_error("only one of the [-GhlV] options can be specified at a time");
		return CLI_USAGE;
	}
	a->mode = mode;
	return CLI_OK;
}

static int help(struct cli_args *a)
{
	if (!cli_usage_verb(a->mode))
		return set_mode(a, MODE_HELP);
	a->mode = MODE_NOTHING;
	return CLI_OK;
}

static int no_memory(bool ok)
{
	if (!ok)
		cli_error("out of memory");
	return ok ? CLI_OK : CLI_ERROR;
}

static int data_model(struct cli_args *a, int opt, const char *arg)
{
	a->is_32 = opt == '3';
	if (!strcmp(arg, a->is_32 ? "2" : "4"))
		return CLI_OK;
	cli_error("illegal option -- %c%s", opt, arg);
	return CLI_USAGE;
}

int cli_args_option(struct cli_args *a, int opt, const char *arg)
{
	switch (opt) {
	case '3': case '6': return data_model(a, opt, arg);
	case 'P': return no_memory(add_source(a, D_SRC_PROVIDER, arg));
	case 'm': return no_memory(add_source(a, D_SRC_MODULE, arg));
	case 'f': return no_memory(add_source(a, D_SRC_FUNCTION, arg));
	case 'n': return no_memory(add_source(a, D_SRC_NAME, arg));
	case 'i': return no_memory(add_source(a, D_SRC_NAME, arg)); /* a number or, as with dtrace, a name */
	case 's': return no_memory(add_source(a, D_SRC_PROGRAM, arg));
	case 'c': return no_memory(add_command(a, arg));
	case 'p': return add_pid(a, arg);
	case 'b': return set_option(a, "-b", "bufsize", arg);
	case 'q': return set_option(a, "-q", "quiet", NULL);
	case 'w': return set_option(a, "-w", "destructive", NULL);
	case 'F': return set_option(a, "-F", "flowindent", NULL);
	case 'Z': return set_option(a, "-Z", "zdefs", NULL);
	case 'C': return set_option(a, "-C", "cpp", NULL);
	case 'D': return set_option(a, "-D", "define", arg);
	case 'H': return set_option(a, "-H", "cpphdrs", NULL);
	case 'I': return set_option(a, "-I", "incdir", arg);
	case 'B':
		cli_error("-B shows dtrace's own buffers, which this program does not have");
		return CLI_USAGE;
	case 'L': return set_option(a, "-L", "libdir", arg);
	case 'U': return set_option(a, "-U", "undef", arg);
	case 'X': return set_option(a, "-X", "stdc", arg);
	case 'x': return set_x(a, arg);
	case 'd': return set_dumps(a, arg);
	case 'S': a->dumps |= DUMP_CLAUSES; return CLI_OK;
	case 'o': a->out = arg; return CLI_OK;
	case 'e': a->compile_only = true; return CLI_OK;
	case 'v': a->verbose = true; return CLI_OK;
	case 'l': return set_mode(a, MODE_LIST);
	case 'V': case OPT_VERSION: return set_mode(a, MODE_VERSION);
	case 'h': return set_mode(a, MODE_HEADER);
	case 'G': return set_mode(a, MODE_LINK);
	case OPT_HELP: return help(a);
	default:
		cli_usage_wrong();
		return CLI_USAGE;
	}
}

/* What is no option is $1 $2 ...; $0 is the program. */
static int take_macros(struct cli_args *a, int argc, char **argv, const char *zero)
{
	a->macros = calloc((size_t)argc + 2, sizeof(*a->macros));
	if (!a->macros)
		return no_memory(false);
	a->macros[0] = (char *)zero;
	for (int i = optind, n = 1; i < argc; i++)
		a->macros[n++] = argv[i];
	return CLI_OK;
}

int cli_args_parse(struct cli_args *a, int argc, char **argv)
{
	const char *zero = argv[0];
	int opt, rc = CLI_OK;
	cli_options_init(&a->opts);
	const struct cli_verb *v = argc > 1 ? cli_verb_find(argv[1]) : NULL;
	if (v && v->mode != MODE_RECORD) {
		a->mode = v->mode;
		argv++;
		argc--;
	}
	argv[0] = (char *)cli_name;
	if (argc > 1 && !strcmp(argv[1], "record")) {
		argv[1] = (char *)cli_name;
		return cli_record_parse(a, argc - 1, argv + 1);
	}
	a->words = argv;
	if (argc > 1 && cli_script_is(argv[1]))
		return cli_script_parse(a, argc - 1, argv + 1);
	optind = 1;
	while (rc == CLI_OK && (opt = getopt_long(argc, argv, optstring, longopts, NULL)) != -1)
		rc = cli_args_option(a, opt, optarg);
	a->opts.quietresize |= cli_testing(); /* as dtrace has it: only a program can take it back */
	if (a->mode == MODE_VERIFY || a->mode == MODE_REPAIR)
		for (; rc == CLI_OK && optind < argc; optind++)
			rc = add_pid(a, argv[optind]) ? CLI_USAGE : CLI_OK;
	return rc ? rc : take_macros(a, argc, argv, zero);
}

void cli_args_deinit(struct cli_args *a)
{
	for (uint32_t i = 0; i < a->src_cnt; i++) {
		free(a->srcs[i].arg);
		free(a->srcs[i].text);
		free(a->srcs[i].name);
	}
	for (uint32_t i = 0; i < a->command_cnt; i++)
		free(a->commands[i]);
	free(a->srcs);
	free(a->commands);
	free(a->pids);
	free(a->macros);
	cli_options_deinit(&a->opts);
	cli_record_free(a->record);
}

void cli_args_split_free(char **words)
{
	for (char **w = words; w && *w; w++)
		free(*w);
	free(words);
}

/* Copies one word of @p to @w, quotes taken off; returns what follows, NULL if a quote is not closed. */
static const char *split_word(const char *p, char *w)
{
	char quote = 0;
	for (; *p && (quote || !isspace((unsigned char)*p)); p++) {
		if (quote ? *p == quote : *p == '"' || *p == '\'')
			quote = quote ? 0 : *p;
		else if (*p == '\\' && p[1] && quote != '\'')
			*w++ = *++p;
		else
			*w++ = *p;
	}
	*w = 0;
	return quote ? NULL : p;
}

char **cli_args_split(const char *command)
{
	char **words = calloc(strlen(command) / 2 + 2, sizeof(*words));
	uint32_t n = 0;
	for (const char *p = command; words && p;) {
		while (isspace((unsigned char)*p))
			p++;
		if (!*p)
			break;
		words[n] = malloc(strlen(p) + 1);
		if (!words[n])
			break;
		p = split_word(p, words[n++]);
		if (!p) {
			cli_args_split_free(words);
			return NULL;
		}
	}
	return words;
}
