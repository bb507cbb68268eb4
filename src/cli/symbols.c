/* SPDX-License-Identifier: MIT */
/* list-symbols PID|NAME [GLOB]: functions of a process, with their addresses. */
#include "cli/keeper_int.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static void usage(FILE *fp)
{
	fprintf(fp, "Usage: %s list-symbols PID|NAME [GLOB] [--json]\n\n"
		"\tFunctions of a process that runs: address, module, name; those that GLOB matches, or all.\n\n"
		"\t--json  for scripts\n", cli_name);
}

struct shown {
	const char *glob;
	bool json;
	uint64_t cnt;
};

static void show_one(struct shown *s, const struct obj_module *mod, const struct obj_sym *sym)
{
	char *name = obj_demangle(sym->name);
	const char *text = name ? name : sym->name;
	if (!s->json) {
		printf("0x%016llx %s %s\n", (unsigned long long)sym->addr, mod->name, text);
	} else {
		printf("%s{\"address\":\"0x%llx\",\"size\":%llu,\"module\":", s->cnt ? ",\n" : "", (unsigned long long)sym->addr,
		       (unsigned long long)sym->bytes);
		tracer_print_text(stdout, (const uint8_t *)mod->name, (uint32_t)strlen(mod->name));
		fputs(",\"symbol\":", stdout);
		tracer_print_text(stdout, (const uint8_t *)sym->name, (uint32_t)strlen(sym->name));
		fputs(",\"name\":", stdout);
		tracer_print_text(stdout, (const uint8_t *)text, (uint32_t)strlen(text));
		putchar('}');
	}
	s->cnt++;
	free(name);
}

static void show_module(struct shown *s, struct obj_proc *obj, struct obj_module *mod)
{
	const struct obj_sym *syms;
	uint32_t cnt;
	if (!mod->end || obj_module_syms(obj, mod, &syms, &cnt, NULL))
		return;
	for (uint32_t i = 0; i < cnt; i++)
		if ((syms[i].is_func || syms[i].is_ifunc) && (!s->glob || obj_name_matches(s->glob, syms[i].name)))
			show_one(s, mod, &syms[i]);
}

static int list(pid_t pid, struct shown *s)
{
	struct obj_proc *obj = NULL;
	struct err e;
	if (obj_proc_open(pid, &obj, &e)) {
		cli_error("%s", e.msg);
		return CLI_ERROR;
	}
	if (s->json)
		putchar('[');
	for (uint32_t i = 0; i < obj_module_cnt(obj); i++)
		show_module(s, obj, obj_module_at(obj, i));
	if (s->json)
		puts("]");
	obj_proc_close(obj);
	if (s->cnt)
		return fflush(stdout) ? CLI_ERROR : CLI_OK;
	cli_error(s->glob ? "process %d has no function that %s matches" : "process %d has no symbols of functions", (int)pid, s->glob);
	return CLI_ERROR;
}

int symbols_main(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	struct shown s = { 0 };
	for (int opt; (opt = getopt_long(argc, argv, "h", longopts, NULL)) != -1;) {
		if (opt != 'j') {
			usage(opt == 'h' ? stdout : stderr);
			return opt == 'h' ? CLI_OK : CLI_USAGE;
		}
		s.json = true;
	}
	if (optind >= argc || argc - optind > 2) {
		usage(stderr);
		return CLI_USAGE;
	}
	pid_t pid = procs_one(argv[optind], strlen(argv[optind]));
	s.glob = optind + 1 < argc ? argv[optind + 1] : NULL;
	return pid ? list(pid, &s) : CLI_ERROR;
}
