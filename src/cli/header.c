/* SPDX-License-Identifier: MIT */
/*
 * -h: a C header with a macro for each probe that a script declares, and -G.
 *
 * A probe is a nop of five bytes, room for a jump, with a note about it (.note.stapsdt: provider, name, where
 * the arguments are), which any tracer of such notes can use.  Nothing has to
 * be generated from the object files; -G's result (object.c) is for builds that
 * link one.
 */
#include "cli/cli_int.h"
#include "cli/sites.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* PROV_NAME: capitals, two underscores as one. */
static void macro_name(FILE *fp, const char *s)
{
	for (; *s; s += s[0] == '_' && s[1] == '_' ? 2 : 1)
		putc(isalnum((unsigned char)*s) ? toupper((unsigned char)*s) : '_', fp);
}

/* A name of C again: the compiler made dashes of two underscores. */
struct cname {
	char s[300];
};
static struct cname c_name(const char *s)
{
	struct cname n = { "" };
	for (size_t len = 0; *s && len + 3 < sizeof(n.s); s++) {
		len += *s == '-';
		n.s[len - (*s == '-')] = '_';
		n.s[len++] = *s == '-' ? '_' : *s;
	}
	return n;
}

static void args_list(FILE *fp, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		fprintf(fp, "%sarg%u", i ? ", " : "", i);
}

static void note(FILE *fp, const char *prov, const char *probe, const struct d_probe_arg *args, uint32_t cnt)
{
	fprintf(fp, "\t__asm__ volatile(_DYNTRACE_NOTE(\"%s\", \"%s\", \"%s___%s\", \"", prov, probe, prov, probe);
	for (uint32_t i = 0; i < cnt; i++)
		fprintf(fp, "%s%%n%u%s@%%%u", i ? " " : "", 2 * i, args[i].is_float ? "f" : "", 2 * i + 1);
	fprintf(fp, "\")");
	for (uint32_t i = 0; i < cnt; i++)
		fprintf(fp, "%s\"n\" (%s(int)sizeof(arg%u)), \"%s\" (arg%u)", i ? ", " : " :: ",
			args[i].is_signed ? "" : "-", i, args[i].is_float ? "m" : "nor", i);
	fprintf(fp, ");\n");
}

static int probe_function(void *arg, const char *prov_name, const char *probe_name, const struct d_probe_arg *args,
			  uint32_t cnt)
{
	const struct cname p = c_name(prov_name), q = c_name(probe_name);
	const char *prov = p.s, *probe = q.s;
	FILE *fp = arg;
	for (uint32_t i = 0; i < cnt; i++)
		if (args[i].tag)
			fprintf(fp, "%s;\n", args[i].tag);
	fprintf(fp, "_DYNTRACE_SEMAPHORE(%s___%s);\n"
		"static __inline__ __attribute__((__always_inline__, __unused__)) void\n"
		"__dtrace_%s___%s(", prov, probe, prov, probe);
	for (uint32_t i = 0; i < cnt; i++)
		fprintf(fp, "%s__typeof__(%s) arg%u", i ? ", " : "", args[i].type, i);
	fprintf(fp, "%s)\n{\n", cnt ? "" : "void");
	note(fp, prov, probe, args, cnt);
	fprintf(fp, "}\n");
	return 0;
}

static int probe_macro(FILE *fp, const char *prov_name, const char *probe_name, uint32_t cnt, bool is_on)
{
	const struct cname p = c_name(prov_name), q = c_name(probe_name);
	const char *prov = p.s, *probe = q.s;
	fprintf(fp, "#define\t");
	macro_name(fp, prov);
	putc('_', fp);
	macro_name(fp, probe);
	putc('(', fp);
	args_list(fp, cnt);
	putc(')', fp);
	if (is_on) {
		fprintf(fp, " \\\n\t__dtrace_%s___%s(", prov, probe);
		args_list(fp, cnt);
		putc(')', fp);
	}
	fprintf(fp, "\n#define\t");
	macro_name(fp, prov);
	putc('_', fp);
	macro_name(fp, probe);
	if (is_on)
		fprintf(fp, "_ENABLED() \\\n\t(__builtin_expect(_dyntrace_%s___%s, 0) != 0)\n", prov, probe);
	else
		fprintf(fp, "_ENABLED() (0)\n");
	return 0;
}

static int macro_on(void *arg, const char *prov, const char *probe, const struct d_probe_arg *args, uint32_t cnt)
{
	(void)args;
	return probe_macro(arg, prov, probe, cnt, true);
}

static int macro_off(void *arg, const char *prov, const char *probe, const struct d_probe_arg *args, uint32_t cnt)
{
	(void)args;
	return probe_macro(arg, prov, probe, cnt, false);
}

/*
 * The layout of a note is that of SystemTap's version 3: the address of the nop,
 * of the section that tells how far the program was moved, and of the counter
 * of who listens; then three strings.  %n negates: sizes of unsigned ones are
 * positive in the text.
 */
static const char machinery[] =
	"#ifndef\t_DYNTRACE_NOTE\n"
	"#define\t_DYNTRACE_NOTE(prov, probe, sem, args) \\\n"
	"\t\"990: .byte 0x0f, 0x1f, 0x44, 0, 0\\n\" \\\n"
	"\t\".pushsection .note.stapsdt,\\\"?\\\",\\\"note\\\"\\n\" \\\n"
	"\t\".balign 4\\n\" \\\n"
	"\t\".4byte 992f-991f, 994f-993f, 3\\n\" \\\n"
	"\t\"991: .asciz \\\"stapsdt\\\"\\n\" \\\n"
	"\t\"992: .balign 4\\n\" \\\n"
	"\t\"993: .8byte 990b, _.stapsdt.base, _dyntrace_\" sem \"\\n\" \\\n"
	"\t\".asciz \\\"\" prov \"\\\"\\n.asciz \\\"\" probe \"\\\"\\n.asciz \\\"\" args \"\\\"\\n\" \\\n"
	"\t\"994: .balign 4\\n\" \\\n"
	"\t\".popsection\\n\" \\\n"
	"\t\".ifndef _.stapsdt.base\\n\" \\\n"
	"\t\".pushsection .stapsdt.base,\\\"aG\\\",\\\"progbits\\\",.stapsdt.base,comdat\\n\" \\\n"
	"\t\".weak _.stapsdt.base\\n.hidden _.stapsdt.base\\n\" \\\n"
	"\t\"_.stapsdt.base: .space 1\\n.size _.stapsdt.base, 1\\n\" \\\n"
	"\t\".popsection\\n.endif\\n\"\n"
	"#define\t_DYNTRACE_SEMAPHORE(sem) \\\n"
	"\textern volatile unsigned short _dyntrace_##sem; \\\n"
	"\tvolatile unsigned short _dyntrace_##sem __attribute__((__weak__, __visibility__(\"hidden\"), \\\n"
	"\t\t__section__(\".probes\"))) = 0\n"
	"#define\t_DYNTRACE_DECL(prov, probe, args) \\\n"
	"\t__asm__(\".pushsection .note.dyntrace,\\\"\\\",\\\"note\\\"\\n\" \\\n"
	"\t\".balign 4\\n\" \\\n"
	"\t\".4byte 992f-991f, 994f-993f, 1\\n\" \\\n"
	"\t\"991: .asciz \\\"dyntrace\\\"\\n\" \\\n"
	"\t\"992: .balign 4\\n\" \\\n"
	"\t\"993: .asciz \\\"\" prov \"\\\"\\n.asciz \\\"\" probe \"\\\"\\n\" args \\\n"
	"\t\"994: .balign 4\\n\" \\\n"
	"\t\".popsection\\n\")\n"
	"#endif\n\n";

/* What scripts see of the arguments: a note that is not loaded (obj/usdt.c). */
static int declaration(void *arg, const char *prov_name, const char *probe_name, const struct d_probe_out *outs, uint32_t cnt)
{
	FILE *fp = arg;
	if (!cnt)
		return 0;
	fprintf(fp, "_DYNTRACE_DECL(\"%s\", \"%s\",", c_name(prov_name).s, c_name(probe_name).s);
	for (uint32_t i = 0; i < cnt; i++)
		fprintf(fp, " \".asciz \\\"%u %s\\\"\\n\"", outs[i].native, outs[i].type);
	fprintf(fp, ");\n");
	return 0;
}

static int write_header(struct cli *cli, FILE *fp, const char *path)
{
	const char *base = strrchr(path, '/');
	base = base ? base + 1 : path;
	fprintf(fp, "/*\n * Generated by dyntrace -h: probes of this program, as notes that tracers find.\n */\n\n");
	fprintf(fp, "#ifndef\t_");
	macro_name(fp, base);
	fprintf(fp, "\n#define\t_");
	macro_name(fp, base);
	fprintf(fp, "\n\n#include <unistd.h>\n#include <inttypes.h>\n\n"
		"#ifdef\t__cplusplus\nextern \"C\" {\n#endif\n\n"
		"#ifdef\t__GNUC__\n#pragma GCC system_header\n#endif\n\n"
		"#ifndef\t_DTRACE_VERSION\n#if defined(__GNUC__) && defined(__x86_64__) && defined(__LP64__)\n"
		"#define\t_DTRACE_VERSION 1\n#else\n#define\t_DTRACE_VERSION 0\n#endif\n#endif\n\n"
		"#if _DTRACE_VERSION\n\n");
	fputs(machinery, fp);
	int rc = d_providers_outs_each(cli->d, declaration, fp);
	rc = rc ? rc : d_providers_each(cli->d, probe_function, fp);
	putc('\n', fp);
	rc = rc ? rc : d_providers_each(cli->d, macro_on, fp);
	fprintf(fp, "\n#else\n\n");
	rc = rc ? rc : d_providers_each(cli->d, macro_off, fp);
	fprintf(fp, "\n#endif\n\n#ifdef\t__cplusplus\n}\n#endif\n\n#endif\n");
	return rc;
}

/* script.d to script.EXT, here; or what -o says. malloc'ed, NULL after a message. */
static char *output_name(const struct cli *cli, const char *flag, const char *ext)
{
	const struct cli_args *a = &cli->args;
	char *name = NULL;
	if (a->out)
		return strdup(a->out);
	const char *arg = a->srcs[0].arg, *slash = strrchr(arg, '/'), *dot = strrchr(arg, '.');
	if (a->src_cnt > 1)
		cli_error("%s requires an output file if multiple scripts are specified", flag);
	else if (!dot || strcmp(dot, ".d"))
		cli_error("%s requires an output file if no scripts are specified", flag);
	else if (asprintf(&name, "%.*s%s", (int)(dot - (slash ? slash + 1 : arg)), slash ? slash + 1 : arg, ext) < 0)
		name = NULL;
	return name;
}

/* CLI_OK: cli->d has the declarations. */
static int compile_declarations(struct cli *cli, const char *flag)
{
	if (!cli->args.src_cnt) {
		cli_error("%s requires one or more scripts or enabling options", flag);
		if (!strcmp(flag, "-h"))
			cli_hint("--help shows what there is");
		return CLI_USAGE;
	}
	cli->args.opts.zdefs = cli->args.opts.empty = cli->args.opts.argref = true;
	return cli_compile(cli);
}

int cli_verb_header(struct cli *cli)
{
	int rc = compile_declarations(cli, "-h");
	if (rc)
		return rc;
	char *path = output_name(cli, "-h", ".h");
	FILE *fp = path ? fopen(path, "we") : NULL;
	if (!path) {
		rc = CLI_USAGE;
	} else if (!fp) {
		cli_error("failed to open header file '%s': %s", path, strerror(errno));
		rc = CLI_ERROR;
	} else {
		int bad = write_header(cli, fp, path);
		bad = fclose(fp) == EOF || bad;
		if (bad)
			cli_error("failed to create header file %s: %s", path, strerror(errno));
		rc = bad ? CLI_ERROR : CLI_OK;
	}
	free(path);
	return rc;
}

/* PATH is left alone where the objects cannot be linked. */
static int write_object(struct cli *cli, const char *path, bool is_32, char *const *files)
{
	struct sites sites = { 0 };
	int rc = is_32 ? CLI_OK : cli_sites_collect(cli, files, &sites);
	FILE *fp = rc ? NULL : fopen(path, "we");
	bool ok = fp && cli_object_write(cli, fp, is_32, &sites);
	if ((fp && fclose(fp) == EOF) || (!rc && !ok)) {
		cli_error("failed to link %s: %s", path, strerror(errno));
		rc = CLI_ERROR;
	}
	cli_sites_free(&sites);
	return rc;
}

int cli_verb_link(struct cli *cli)
{
	bool is_32 = false;
	char *none[] = { NULL, NULL }, **files = (cli->args.macros[0] ? cli->args.macros : none) + 1, *first = files[0];
	int rc = cli_object_class(files, &is_32);
	if (rc)
		return rc;
	/* What follows are object files, not arguments of the script. */
	files[0] = NULL;
	rc = compile_declarations(cli, "-G");
	files[0] = first;
	if (rc)
		return rc;
	char *path = cli->args.src_cnt == 1 && !cli->args.out && !strstr(cli->args.srcs[0].arg, ".d") ? strdup("d.out") :
		output_name(cli, "-G", ".o");
	rc = path ? write_object(cli, path, is_32, files) : CLI_USAGE;
	free(path);
	return rc;
}
