/* SPDX-License-Identifier: MIT */
/* Scripts and descriptions to one program; what the compiler says to stderr. */
#include "cli/cli_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned line_cnt(const char *text)
{
	unsigned n = 1;
	while ((text = strchr(text, '\n'))) {
		text++;
		n++;
	}
	return n;
}

static int load_script(struct cli_source *s)
{
	FILE *fp = fopen(s->arg, "r");
	if (!fp) {
		cli_error("failed to open %s: %s", s->arg, strerror(errno));
		return CLI_ERROR;
	}
	errno = 0;
	s->text = cli_read_all(fp);
	int bad = !ferror(fp) ? 0 : errno ? errno : EIO;
	long bytes = ftell(fp); /* of a pipe: -1 */
	fclose(fp);
	if (s->text && !bad && bytes > 0 && strlen(s->text) < (size_t)bytes) {
		cli_error("failed to compile script %s: line %u: there is a NUL byte, which no script can have", s->arg, line_cnt(s->text));
		return CLI_ERROR;
	}
	if (s->text && !bad)
		return CLI_OK;
	cli_error("failed to read %s: %s", s->arg, strerror(bad ? bad : ENOMEM));
	return CLI_ERROR;
}

void cli_source_error(const struct cli *cli, uint32_t src, const char *tag, uint32_t line, const char *msg)
{
	const struct cli_source *s = &cli->args.srcs[src];
	char where[32] = "", label[80] = "";
	if (line && s->kind == D_SRC_PROGRAM)
		snprintf(where, sizeof(where), "line %u: ", line);
	if (tag && cli->args.opts.errtags)
		snprintf(label, sizeof(label), "[%s] ", tag);
	bool is_script = s->kind == D_SRC_PROGRAM;
	int len = -1;
	const char *label_of = is_script || cli_testing() ? s->arg : d_label(s->arg, &len);
	cli_error("%s %.*s%s: %s%s%s", is_script ? "failed to compile script" : "invalid probe specifier", len, label_of,
		  len < 0 ? "" : "...", label, where, msg);
}

static void show_diags(const struct cli *cli)
{
	for (uint32_t i = 0; i < d_diag_cnt(cli->d); i++) {
		struct d_diag d = *d_diag_at(cli->d, i);
		/* What dtrace says is one message, with a line of its own choice: its tests compare it. */
		if (cli_testing()) {
			d.excerpt = NULL;
			d.line = d.dt_line;
		}
		d_diag_print(stderr, cli_name, &d, cli->args.opts.errtags);
		if (!strcmp(d.tag, "D_MACRO_UNUSED") && !cli_is_dtrace() && !cli_testing() && cli->args.macros)
			cli_args_hint_pids(&cli->args, cli->args.macros[1]);
		if (cli_testing())
			break;
	}
}

int cli_set_option(void *arg, const char *name, const char *value, struct err *reterr)
{
	struct cli *cli = arg;
	int rc = cli_options_set(&cli->args.opts, name, value, cli->session || cli->client ? FROM_RUN : FROM_PROGRAM, reterr);
	if (!rc && cli->consume) {
		struct consume_opts o;
		cli_consume_opts(cli, &o);
		consume_set_opts(cli->consume, &o);
	}
	return rc;
}

#define DTRACE_TREGS 8

static struct d_opts compiler_opts(struct cli *cli)
{
	const struct cli_options *o = &cli->args.opts;
	return (struct d_opts){
		.macros = {
			.target = cli_exe_root(cli), .pid = getpid(), .ppid = getppid(),
			.uid = getuid(), .gid = getgid(), .euid = geteuid(), .egid = getegid(), .sid = getsid(0),
			.pgid = getpgrp(), .taskid = gettid(),
		},
		.strsize = (uint32_t)o->strsize, .dynvarsize = o->dynvarsize < UINT32_MAX ? (uint32_t)o->dynvarsize : 0,
		.tregs = o->tregs || !cli_is_dtrace() ? (uint32_t)o->tregs : DTRACE_TREGS, .scratchsize = (uint32_t)o->scratchsize, .zdefs = o->zdefs,
		.has_amin = o->amin >> 24, .amin = { (uint8_t)(o->amin >> 16), (uint8_t)(o->amin >> 8), (uint8_t)o->amin },
		.defaultargs = o->defaultargs, .aggpercpu = o->aggpercpu, .weighs = o->budget, .empty_ok = o->empty, .set_option = cli_set_option,
		.set_option_arg = cli, .depends = cli_libs_provides, .argref = o->argref, .pspec = o->pspec,
		.types = cli->args.is_32 ? (struct d_types){ 0 } : cli_types_hook(cli), .is_32 = cli->args.is_32, .ustackframes = (uint32_t)o->ustackframes,
		.maxframes = (uint32_t)o->maxframes,
		.this_least = cli->grows ? CLI_THIS_LEAST : 0,
		.stackframes = (uint32_t)o->stackframes, .jstackframes = (uint32_t)o->jstackframes,
	};
}

/* Each script is $0 of its own text. */
static char **source_macros(const struct cli *cli, const struct cli_source *s)
{
	uint32_t cnt = 0;
	while (s->kind != D_SRC_LIBRARY && cli->args.macros[cnt])
		cnt++;
	char **m = calloc(cnt + 1ul, sizeof(*m));
	if (m && cnt) {
		memcpy(m, cli->args.macros, cnt * sizeof(*m));
		if (s->kind == D_SRC_PROGRAM)
			m[0] = s->arg;
	}
	return m;
}

static bool has_file(const struct cli_source *s)
{
	return s->kind == D_SRC_PROGRAM || s->kind == D_SRC_LIBRARY;
}

static int compile_sources(struct cli *cli)
{
	uint32_t cnt = cli->args.src_cnt;
	struct d_source *srcs = calloc(cnt + 1ul, sizeof(*srcs));
	int rc = srcs ? 0 : -ENOMEM;
	for (uint32_t i = 0; !rc && i < cnt; i++) {
		struct cli_source *s = &cli->args.srcs[i];
		srcs[i] = (struct d_source){ .name = has_file(s) ? s->arg : NULL, .text = s->text,
					     .kind = s->kind, .macro_args = source_macros(cli, s) };
		if (!srcs[i].macro_args)
			rc = -ENOMEM;
	}
	rc = rc ? rc : d_compile(cli->d, srcs, cnt, &cli->prog);
	for (uint32_t i = 0; srcs && i < cnt; i++)
		free(srcs[i].macro_args);
	free(srcs);
	return rc;
}

static int check_image(struct cli *cli)
{
	struct err e;
	for (uint32_t i = 0; i < cli->prog.image.prog_cnt; i++)
		ir_prog_optimize(&cli->prog.image.progs[i]);
	if (!ir_image_verify(&cli->prog.image, &e)) {
		if (cli->args.opts.verbose)
			cli->args.dumps |= DUMP_CLAUSES;
		return CLI_OK;
	}
	cli_error("the compiler made a program that the verifier refuses; please report it: %s", e.msg);
	return CLI_ERROR;
}

static int preprocess(struct cli *cli, uint32_t src)
{
	struct cli_source *s = &cli->args.srcs[src];
	struct err e;
	char *text = cli_cpp_run(&cli->args.opts, s->text, &e);
	if (!text) {
		cli_source_error(cli, src, NULL, 0, e.msg);
		return CLI_ERROR;
	}
	free(s->text);
	s->text = text;
	return CLI_OK;
}

int cli_compile(struct cli *cli)
{
	for (uint32_t i = 0; i < cli->args.src_cnt; i++) {
		struct cli_source *s = &cli->args.srcs[i];
		if (s->kind == D_SRC_PROGRAM && !s->text && load_script(s))
			return CLI_ERROR;
		if (cli->args.opts.cpp && s->kind == D_SRC_PROGRAM && preprocess(cli, i))
			return CLI_ERROR;
	}
	if (cli_libs_load(cli))
		return CLI_ERROR;
	struct d_opts opts = compiler_opts(cli);
	cli->d = d_create(&opts);
	int rc = cli->d ? compile_sources(cli) : -ENOMEM;
	if (cli->d)
		show_diags(cli);
	if (rc) {
		if (rc == -ENOMEM)
			cli_error("out of memory");
		return CLI_ERROR;
	}
	cli->compiled = true;
	return check_image(cli);
}

/* What the environment says that terminals show; formats stay those of the C locale. */
static bool locale_is_utf8(void)
{
	static const char *const vars[] = { "LC_ALL", "LC_CTYPE", "LANG" };
	const char *v = NULL;
	for (size_t i = 0; i < ARRAY_CNT(vars) && !(v && *v); i++)
		v = getenv(vars[i]);
	return v && (strcasestr(v, "utf-8") || strcasestr(v, "utf8"));
}

/* As dtrace has it: what is out of bounds is the default. */
static uint32_t print_bytes(uint64_t v)
{
	return v && v <= 65536 ? (uint32_t)align_up(v, 8) : 8192;
}

/* Who says when buffers are switched has buffers that are, and counts them in the guide's way. */
enum consume_bufpolicy cli_bufpolicy(const struct cli *cli)
{
	const struct cli_options *o = &cli->args.opts;
	return o->bufpolicy ? (enum consume_bufpolicy)o->bufpolicy : o->switchrate ? CONSUME_SWITCH : CONSUME_ALL;
}

void cli_consume_opts(struct cli *cli, struct consume_opts *ret)
{
	const struct cli_options *o = &cli->args.opts;
	*ret = (struct consume_opts){
		.out = cli->out, .progname = cli_name, .quiet = o->quiet, .flowindent = o->flowindent,
		.rawbytes = o->rawbytes, .droptags = o->droptags, .dropdetail = o->dropdetail, .no_ids = cli_testing(), .demangle = o->demangle,
		.foldstacks = o->foldstacks, .as_mapped = cli_is_dtrace() || cli_testing(),
		.aggrate_ns = o->aggrate, .printsize = print_bytes(o->printsize), .stackindent = (uint32_t)o->stackindent, .aggsortkey = o->aggsortkey, .aggsortrev = o->aggsortrev,
		.aggsortpos = (uint32_t)o->aggsortpos, .aggsortkeypos = (uint32_t)o->aggsortkeypos,
		.obj = cli_symbols, .proc_of = cli_proc_of, .on_error = cli_fire_error, .writer.agg_gen = cli_agg_gen,
		.run_command = cli_commands_traced(cli) ? cli_command_run : NULL, .set_option = cli_set_option, .arg = cli, .destructive = o->destructive,
		.agghist = o->agghist, .aggpack = o->aggpack, .aggzoom = o->aggzoom,
		.utf8 = o->encoding ? o->encoding == 2 : locale_is_utf8(), .utf8_bars = o->encoding == 2, .bufpolicy = cli_bufpolicy(cli), .bufsize = o->bufsize,
	};
	if (cli->client)
		cli_remote_hooks(ret);
}
