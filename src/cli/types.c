/* SPDX-License-Identifier: MIT */
/* What the compiler asks about the targets' types: modules of processes to room ctype. */
#include "cli/cli_int.h"

#include "cli/types_usdt.h"

#include "kern/kern.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct types_proc {
	pid_t pid;
	struct obj_proc *obj;
	bool is_read;         /* its modules are known */
	bool owned;           /* the session's come only after the compiler */
	bool is_starting;     /* it has not loaded its libraries */
};
struct cli_types {
	struct ctype_db *db;
	struct types_proc *procs;
	uint32_t proc_cnt;
	struct probe_table *table; /* functions that were asked for */
	struct cli_usdt_type *usdt;
	struct types_file { /* that a helper opened */
		const struct obj_module *module;
		int fd;
	} *files;
	uint32_t file_cnt;
};

static void say(void *arg, const char *sentence)
{
	(void)arg;
	if (!cli_testing())
		cli_error("%s", sentence);
}

/* ---- modules ---- */

/* -1: there is none. */
static int helped_file(struct cli_types *t, const struct obj_proc *p, const struct obj_module *m)
{
	for (uint32_t i = 0; i < t->file_cnt; i++)
		if (t->files[i].module == m)
			return t->files[i].fd;
	int fd = obj_module_open(p, m);
	struct types_file *v = fd < 0 ? NULL : realloc(t->files, (t->file_cnt + 1ul) * sizeof(*v));
	if (!v) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	t->files = v;
	v[t->file_cnt++] = (struct types_file){ m, fd };
	return fd;
}

/* Through the process, because a file may have been deleted or lie in another mount namespace. */
static bool module_file(struct cli_types *t, pid_t pid, const struct obj_proc *p, const struct obj_module *m, char *buf, size_t cap)
{
	snprintf(buf, cap, "/proc/%d/root%s", (int)pid, m->path);
	if (!access(buf, R_OK))
		return true;
	snprintf(buf, cap, "/proc/%d/exe", (int)pid);
	if (m->is_exe && !access(buf, R_OK))
		return true;
	int fd = helped_file(t, p, m);
	snprintf(buf, cap, "/proc/self/fd/%d", fd);
	return fd >= 0 && !access(buf, R_OK);
}

static void add_modules(struct cli_types *t, pid_t pid, const struct obj_proc *p)
{
	for (uint32_t i = 0; i < obj_module_cnt(p); i++) {
		const struct obj_module *m = obj_module_at(p, i);
		char file[PATH_MAX];
		if (!m->end || m->is_vdso || !module_file(t, pid, p, m, file, sizeof(file)))
			continue;
		ctype_add_module(t->db, &(struct ctype_module){ .name = m->name, .path = m->path, .run_as = m->run_as, .file = file,
								.bias = m->bias, .is_exe = m->is_exe, .is_loaded = true });
	}
}

/* Their modules are read when there is a question. */
static void note_proc(struct cli_types *t, pid_t pid, struct obj_proc *obj, bool is_starting)
{
	for (uint32_t i = 0; i < t->proc_cnt; i++)
		if (t->procs[i].pid == pid)
			return;
	struct types_proc *v = realloc(t->procs, (t->proc_cnt + 1ul) * sizeof(*v));
	if (!v)
		return;
	t->procs = v;
	v[t->proc_cnt++] = (struct types_proc){ .pid = pid, .obj = obj, .owned = !obj, .is_starting = is_starting };
}

static void look_at(struct cli_types *t, struct types_proc *p)
{
	char root[64];
	struct err e;
	if (p->is_read)
		return;
	p->is_read = true;
	if (!p->obj && obj_proc_open(p->pid, &p->obj, &e) < 0) {
		p->obj = NULL;
		return;
	}
	add_modules(t, p->pid, p->obj);
	snprintf(root, sizeof(root), "/proc/%d/root", (int)p->pid);
	if (p->is_starting)
		ctype_add_needed(t->db, root);
}

static struct cli_types *types_new(struct cli *cli)
{
	char root[64];
	struct ctype_opts opts = { .note = say };
	struct cli_types *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	snprintf(root, sizeof(root), "/proc/%d/root", cli->target_cnt ? (int)cli->targets[0].pid : 1);
	opts.root = cli->target_cnt ? root : NULL;
	t->db = ctype_create(&opts);
	t->table = probe_table_create();
	if (t->db && t->table) {
		for (uint32_t i = 0; i < cli->target_cnt; i++)
			note_proc(t, cli->targets[i].pid, cli->targets[i].obj, cli->targets[i].spawned);
		return t;
	}
	probe_table_destroy(t->table);
	ctype_destroy(t->db);
	free(t);
	return NULL;
}

/* NULL: no memory. */
static struct cli_types *types_of(struct cli *cli)
{
	if (!cli->types)
		cli->types = types_new(cli);
	for (uint32_t i = 0; cli->types && i < cli->types->proc_cnt; i++)
		look_at(cli->types, &cli->types->procs[i]);
	return cli->types;
}

void cli_types_close(struct cli *cli)
{
	struct cli_types *t = cli->types;
	if (!t)
		return;
	probe_table_destroy(t->table);
	cli_usdt_types_free(t->usdt);
	for (uint32_t i = 0; i < t->proc_cnt; i++)
		if (t->procs[i].owned)
			obj_proc_close(t->procs[i].obj);
	ctype_destroy(t->db);
	for (uint32_t i = 0; i < t->file_cnt; i++)
		close(t->files[i].fd);
	free(t->files);
	free(t->procs);
	free(t);
	cli->types = NULL;
}

/* ---- questions ---- */

static const struct tdesc *hook_find(void *arg, const char *scope, enum tdesc_kind kind, const char *name)
{
	struct cli_types *t = types_of(arg);
	return t ? ctype_find(t->db, scope, kind, name) : NULL;
}

static void hook_load(void *arg, const struct tdesc *d)
{
	struct cli *cli = arg;
	ctype_load(cli->types->db, d);
}

/* The kernel tells no types of its variables: a word, whose address can be cast. */
static int kernel_var(struct cli_types *t, const char *name, struct tdesc_var *ret, struct err *reterr)
{
	uint64_t addr = kern_symbol(name);
	const char *near = addr ? NULL : kern_symbol_near(name);
	if (!addr)
		return err_setf(reterr, -ENOENT, "there is no program whose variable it could be (use -c or -p), and the running kernel "
				"shows no symbol of that name%s%s%s", near ? " (did you mean `" : "", near ? near : "", near ? "?)" : "");
	*ret = (struct tdesc_var){ .type = cli_type_named(&t->usdt, t->db, "vmlinux", "unsigned long"), .addr = addr };
	return ret->type ? 0 : err_setf(reterr, -ENOENT, "the kernel does not describe its types (/sys/kernel/btf/vmlinux)");
}

static int program_var(const struct cli_types *t, const char *scope, const char *name, struct tdesc_var *ret, struct err *reterr)
{
	int rc = ctype_var(t->db, scope, name, ret, reterr);
	const char *near = rc == -ENOENT && reterr && !cli_testing() ? ctype_near_var(t->db, scope, name) : NULL;
	if (near)
		err_setf(reterr, rc, "no debug information of the program has a variable %s (did you mean `%s?)", name, near);
	return rc;
}

static int hook_var(void *arg, const char *scope, const char *name, struct tdesc_var *ret, struct err *reterr)
{
	struct cli *cli = arg;
	struct cli_types *t = types_of(cli);
	bool is_kernel = scope && (!strcmp(scope, "vmlinux") || !strcmp(scope, "kernel"));
	if (t && (!t->proc_cnt || is_kernel))
		return kernel_var(t, name, ret, reterr);
	int r = t ? program_var(t, scope, name, ret, reterr) : err_setf(reterr, -ENOMEM, "out of memory");
	/* What no program has may be the kernel's. */
	return r == -ENOENT && !scope && kern_symbol(name) ? kernel_var(t, name, ret, reterr) : r;
}

static bool hook_enumerator(void *arg, const char *scope, const char *name, struct tdesc_const *ret)
{
	struct cli_types *t = types_of(arg);
	return t && ctype_enumerator(t->db, scope, name, ret);
}

static struct obj_proc *obj_of(const struct cli_types *t, pid_t pid)
{
	for (uint32_t i = 0; i < t->proc_cnt; i++)
		if (t->procs[i].pid == pid && t->procs[i].obj)
			return t->procs[i].obj;
	return NULL;
}

static const struct tdesc *usdt_proto_of(struct cli_types *t, const struct probe *p)
{
	struct obj_proc *obj = obj_of(t, p->pid);
	return obj ? cli_usdt_proto(&t->usdt, t->db, obj, p) : NULL;
}

static const struct tdesc *proto_of(struct cli_types *t, const struct probe *p)
{
	char file[PATH_MAX];
	bool known;
	if (p->kind == WIRE_SITE_KERNEL)
		return cli_kern_proto(&t->usdt, t->db, p, &known);
	if (p->kind == WIRE_SITE_USDT)
		return usdt_proto_of(t, p);
	/* Copies that the compiler made take other arguments than the source says. */
	if (!p->module || strstr(p->func, ".isra.") || strstr(p->func, ".constprop.") || strstr(p->func, ".part.") ||
	    !obj_of(t, p->pid) || !module_file(t, p->pid, obj_of(t, p->pid), p->module, file, sizeof(file)))
		return NULL;
	return ctype_proto(t->db, file, p->func_addr - p->module->bias);
}

static uint32_t loaded_protos(struct cli *cli, const struct plan_probe_desc *d, const struct tdesc **ret,
			      uint32_t cap, uint32_t *ret_unknown)
{
	struct cli_types *t = cli->types;
	struct probe_spec spec = { d->prov, d->mod, d->func, d->name };
	pid_t *pids = calloc(t->proc_cnt + 1ul, sizeof(*pids));
	struct obj_proc **procs = calloc(t->proc_cnt + 1ul, sizeof(struct obj_proc *));
	uint32_t *found = NULL, found_cnt = 0, cnt = 0, n = 0;
	struct err e;
	for (uint32_t i = 0; pids && procs && i < t->proc_cnt; i++) {
		if (!t->procs[i].obj)
			continue;
		pids[n] = t->procs[i].pid;
		procs[n++] = t->procs[i].obj;
	}
	if (!probe_match(t->table, &spec, procs, pids, n, &found, &found_cnt, &e))
		for (uint32_t i = 0; i < found_cnt && cnt < cap; i++) {
			const struct tdesc *f = proto_of(t, probe_at(t->table, found[i]));
			if (f)
				ret[cnt++] = f;
			else
				++*ret_unknown;
		}
	free(found);
	free(procs);
	free(pids);
	return cnt;
}

static uint32_t hook_protos(void *arg, const struct plan_probe_desc *d, const struct tdesc **ret, uint32_t cap,
			    uint32_t *ret_unknown)
{
	struct cli *cli = arg;
	struct cli_types *t = types_of(cli);
	*ret_unknown = 0;
	if (!t)
		return 0;
	uint32_t cnt = loaded_protos(cli, d, ret, cap, ret_unknown);
	/* A library that is still to come is known by its file only. */
	if (!cnt && !*ret_unknown && !strncmp(d->prov, "pid", 3))
		cnt = ctype_protos(t->db, d->mod, d->func, obj_name_matches, ret, cap, ret_unknown);
	return cnt;
}

/* pid123:::, without -p */
static void hook_described(void *arg, const struct plan_probe_desc *d)
{
	struct cli *cli = arg;
	pid_t pid = cli_pid_named(d->prov);
	if (pid && !cli->types)
		cli->types = types_new(cli);
	if (pid && cli->types)
		note_proc(cli->types, pid, NULL, false);
}

static bool hook_in_kernel(void *arg, const struct plan_probe_desc *d)
{
	struct probe_spec spec = { d->prov, d->mod, d->func, d->name };
	const struct cli *cli = arg;
	return d->id || cli->args.opts.backend >= CLI_BACKEND_AUTO || probe_may_be_kernel(&spec);
}

struct d_types cli_types_hook(struct cli *cli)
{
	return (struct d_types){ .in_kernel = hook_in_kernel, .find = hook_find, .load = hook_load, .var = hook_var, .enumerator = hook_enumerator,
				 .protos = hook_protos, .described = hook_described, .arg = cli };
}

/* ---- -lv ---- */

static void show_arg(FILE *fp, uint32_t i, const struct tdesc *type)
{
	char *name = ctype_name(type);
	fprintf(fp, "\t\targs[%u]: %s\n", i, name ? name : "?");
	free(name);
}

static void show_param(FILE *fp, uint32_t i, const struct tdesc_param *p)
{
	if (p->d_type)
		fprintf(fp, "\t\targs[%u]: %s\n", i, p->d_type);
	else
		show_arg(fp, i, p->type);
}

void cli_types_args(struct cli *cli, const struct probe *p, FILE *fp)
{
	struct cli_types *t = p->module || p->kind == WIRE_SITE_KERNEL ? types_of(cli) : NULL;
	const struct tdesc *f = t ? proto_of(t, p) : NULL;
	fprintf(fp, "\n\tArgument Types\n");
	if (f && p->kind != WIRE_SITE_USDT && p->kind != WIRE_SITE_KERNEL && !strcmp(p->name, "return")) {
		fprintf(fp, "\t\targs[0]: uint64_t\n");
		if (f->base && f->base->kind != TDESC_VOID)
			show_arg(fp, 1, f->base);
	} else if (f && (p->kind == WIRE_SITE_USDT || p->kind == WIRE_SITE_KERNEL || !strcmp(p->name, "entry")) && f->part_cnt) {
		for (uint32_t i = 0; i < f->part_cnt; i++)
			show_param(fp, i, &f->params[i]);
	} else {
		fprintf(fp, "\t\tNone\n");
	}
	fputc('\n', fp);
}
