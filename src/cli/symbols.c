/* SPDX-License-Identifier: MIT */
/* list-symbols PID|NAME [[MODULE:]GLOB]: functions of a process, with their addresses. */
#include "cli/keeper/keeper_int.h"
#include "cli/wanted.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static void usage(FILE *fp)
{
	fprintf(fp, "Usage: %s list-symbols PID|NAME [[MODULE:]GLOB] [-u] [--json]\n\n"
		"\tFunctions of a process that runs: address, module, name; those that GLOB matches, or all of MODULE, or all.\n"
		"\tA description of a probe, as D has it, means its functions.\n\n"
		"\t-u      instead of them the probes that it declares itself (USDT), as add takes them; those whose name GLOB matches,\n"
		"\t        or [[PROVIDER:]MODULE:]FUNCTION:GLOB\n"
		"\t--json  for scripts\n", cli_name);
}

struct shown {
	const char *text; /* what is asked for, as given; NULL: all */
	struct wanted want;
	struct obj_proc *obj;
	bool json, usdt;
	uint64_t cnt;
};

static void member(const char *name, const char *text)
{
	printf("%s\"%s\":", strcmp(name, "module") ? "," : "", name);
	export_print_text(stdout, text, strlen(text), true);
}

static void show_usdt_one(struct shown *s, const struct probe *p, int prov_len)
{
	char prov[256];
	snprintf(prov, sizeof(prov), "%.*s", prov_len, p->prov);
	if (!s->json) {
		printf("%s:%s:%s:%s\n", prov, p->mod, p->func, p->name);
	} else {
		fputs(s->cnt ? ",\n{" : "{", stdout);
		member("module", p->mod);
		member("provider", prov);
		member("function", p->func);
		member("name", p->name);
		putchar('}');
	}
	s->cnt++;
}

/* Those of one provider: their names as D has them. */
static void show_provider(struct shown *s, struct obj_proc *obj, struct probe_table *table, const char *name)
{
	char prov[256];
	pid_t pid = obj_proc_pid(obj);
	uint32_t *found = NULL, cnt = 0;
	snprintf(prov, sizeof(prov), "%.200s%d", name, (int)pid);
	const struct probe_spec spec = { prov, s->want.mod, s->want.func, s->want.name };
	if (probe_glob(s->want.prov, name) && !probe_match(table, &spec, &obj, &pid, 1, &found, &cnt, NULL))
		for (uint32_t i = 0; i < cnt; i++)
			show_usdt_one(s, probe_at(table, found[i]), (int)strlen(name));
	free(found);
}

static bool is_first(struct obj_proc *obj, uint32_t mod, uint32_t nr, const char *name)
{
	const struct obj_usdt *u;
	uint32_t cnt;
	for (uint32_t i = 0; i <= mod; i++) {
		struct obj_module *m = obj_module_at(obj, i);
		if (!m->end || m->is_vdso || obj_module_usdt(obj, m, &u, &cnt, NULL))
			continue;
		for (uint32_t k = 0; k < (i == mod ? nr : cnt); k++)
			if (!strcmp(u[k].prov, name))
				return false;
	}
	return true;
}

static void show_usdt(struct shown *s, struct obj_proc *obj)
{
	struct probe_table *table = probe_table_create();
	const struct obj_usdt *u;
	uint32_t cnt;
	for (uint32_t i = 0; table && i < obj_module_cnt(obj); i++) {
		struct obj_module *m = obj_module_at(obj, i);
		if (!m->end || m->is_vdso || obj_module_usdt(obj, m, &u, &cnt, NULL))
			continue;
		for (uint32_t k = 0; k < cnt; k++)
			if (is_first(obj, i, k, u[k].prov))
				show_provider(s, obj, table, u[k].prov);
	}
	probe_table_destroy(table);
}

static void show_one(struct shown *s, const struct obj_module *mod, const struct obj_sym *sym)
{
	char *name = obj_demangle(sym->name);
	const char *text = name ? name : sym->name;
	if (!s->json) {
		printf("0x%016llx %s %s\n", (unsigned long long)sym->addr, mod->name, text);
	} else {
		printf("%s{\"address\":\"0x%llx\",\"size\":%llu,\"module\":", s->cnt ? ",\n" : "", (unsigned long long)sym->addr,
		       (unsigned long long)sym->bytes);
		export_print_text(stdout, mod->name, strlen(mod->name), true);
		fputs(",\"symbol\":", stdout);
		export_print_text(stdout, sym->name, strlen(sym->name), true);
		fputs(",\"name\":", stdout);
		export_print_text(stdout, text, strlen(text), true);
		putchar('}');
	}
	s->cnt++;
	free(name);
}

static void show_unnamed(void *arg, const char *name, uint64_t addr, uint64_t bytes)
{
	struct shown *s = arg;
	show_one(s, obj_module_by_addr(s->obj, addr), &(struct obj_sym){ .name = name, .addr = addr, .bytes = bytes });
}

/* What is exported of a library are its functions; a program, or what was stripped of all, may have others. */
static void show_module(struct shown *s, struct obj_proc *obj, struct obj_module *mod)
{
	const struct obj_sym *syms;
	uint32_t cnt = 0, named = 0;
	if (!mod->end)
		return;
	if (obj_module_syms(obj, mod, &syms, &cnt, NULL))
		cnt = 0;
	for (uint32_t i = 0; i < cnt; i++) {
		if (!syms[i].is_func && !syms[i].is_ifunc)
			continue;
		named++;
		if (!*s->want.func || obj_name_matches(s->want.func, syms[i].name))
			show_one(s, mod, &syms[i]);
	}
	if (!named || mod->is_exe || !strncmp(s->want.func, "sub_", 4))
		probe_unnamed(obj, mod, s->want.func, show_unnamed, s);
}

static void show_functions(struct shown *s, struct obj_proc *obj)
{
	for (uint32_t i = 0; i < obj_module_cnt(obj); i++) {
		struct obj_module *mod = obj_module_at(obj, i);
		if (!*s->want.mod || probe_module_meant(s->want.mod, obj, mod))
			show_module(s, obj, mod);
	}
}

static int list(pid_t pid, struct shown *s)
{
	struct obj_proc *obj = NULL;
	struct err e;
	int r = obj_proc_open(pid, &obj, &e);
	if (r) {
		cli_error("%s", e.msg);
		cli_remote_hint(r, e.msg);
		return CLI_ERROR;
	}
	s->obj = obj;
	if (s->json)
		putchar('[');
	if (s->usdt)
		show_usdt(s, obj);
	else
		show_functions(s, obj);
	if (s->json)
		puts("]");
	obj_proc_close(obj);
	if (s->cnt)
		return fflush(stdout) ? CLI_ERROR : CLI_OK;
	const char *what = s->usdt ? "probe of its own" : s->text ? "function" : "symbols of functions";
	cli_error(s->text ? "process %d has no %s that %s matches" : "process %d has no %s", (int)pid, what, s->text);
	return CLI_ERROR;
}

int symbols_main(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	struct shown s = { .want = { "", "", "", "" } };
	for (int opt; (opt = getopt_long(argc, argv, "hu", longopts, NULL)) != -1;) {
		if (opt != 'j' && opt != 'u') {
			usage(opt == 'h' ? stdout : stderr);
			return opt == 'h' ? CLI_OK : CLI_USAGE;
		}
		s.json |= opt == 'j';
		s.usdt |= opt == 'u';
	}
	if (optind >= argc || argc - optind > 2) {
		usage(stderr);
		return CLI_USAGE;
	}
	pid_t pid = procs_one(argv[optind], strlen(argv[optind]));
	s.text = optind + 1 < argc ? argv[optind + 1] : NULL;
	char *text = s.text ? strdup(s.text) : NULL;
	if (text && s.usdt)
		wanted_usdt(text, &s.want);
	else if (text)
		wanted_functions(text, &s.want);
	int rc = pid ? list(pid, &s) : CLI_ERROR;
	free(text);
	return rc;
}
