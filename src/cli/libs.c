/* SPDX-License-Identifier: MIT */
/*
 * -L: D libraries.  All *.d of the folders are read for what they depend on and
 * go to the compiler in that order, before the scripts.  One that needs a
 * provider or module which is not there is left out silently, and with it all
 * that need it: a folder may hold libraries for other systems.
 */
#include "cli/cli_int.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEPS_MAX 64

struct lib {
	char *path; /* owned, as is text, until the sources take them */
	char *text;
	char *deps[DEPS_MAX]; /* paths; owned */
	uint32_t dep_cnt;
	bool left_out;
	enum { LIB_NEW, LIB_BUSY, LIB_DONE } state;
};
struct libs {
	struct lib *v;
	uint32_t cnt;
};

bool cli_libs_provides(const char *class, const char *name)
{
	static const char *const providers[] = { "dtrace", "profile", "pid" };
	for (size_t i = 0; i < ARRAY_CNT(providers); i++)
		if (!strcmp(class, "provider") && !strcmp(name, providers[i]))
			return true;
	return false;
}

static void add_dep(struct lib *l, const char *name)
{
	size_t dir = (size_t)(strrchr(l->path, '/') + 1 - l->path);
	if (l->dep_cnt < DEPS_MAX && asprintf(&l->deps[l->dep_cnt], "%.*s%s", (int)dir, l->path, name) >= 0)
		l->dep_cnt++;
}

/* Only the lines that say so: the rest is the compiler's. */
static void read_deps(struct lib *l)
{
	for (const char *s = l->text; s; s = strchr(s, '\n')) {
		char class[32], name[256];
		s += *s == '\n';
		if (sscanf(s, " # pragma D depends_on %31s %255s", class, name) != 2)
			continue;
		if (!strcmp(class, "library"))
			add_dep(l, name);
		else if (!cli_libs_provides(class, name))
			l->left_out = true;
	}
}

static int add_lib(struct libs *libs, const char *dir, const char *name)
{
	struct lib *more = realloc(libs->v, (libs->cnt + 1) * sizeof(*more)), *l;
	if (!more)
		return -ENOMEM;
	libs->v = more;
	l = &more[libs->cnt];
	*l = (struct lib){ 0 };
	if (asprintf(&l->path, "%s/%s", dir, name) < 0)
		return -ENOMEM;
	libs->cnt++;
	FILE *fp = fopen(l->path, "r");
	if (!fp)
		l->left_out = true;
	l->text = fp ? cli_read_all(fp) : strdup("");
	if (fp)
		fclose(fp);
	if (l->text)
		read_deps(l);
	return l->text ? 0 : -ENOMEM;
}

static int is_d(const struct dirent *e)
{
	size_t len = strlen(e->d_name);
	return len > 2 && !strcmp(e->d_name + len - 2, ".d");
}

static int read_dir(struct libs *libs, const char *dir)
{
	struct dirent **names;
	int cnt = scandir(dir, &names, is_d, alphasort), rc = 0;
	for (int i = 0; i < cnt; i++) {
		rc = rc ? rc : add_lib(libs, dir, names[i]->d_name);
		free(names[i]);
	}
	if (cnt >= 0)
		free(names);
	return rc;
}

static struct lib *find(struct libs *libs, const char *path)
{
	for (uint32_t i = 0; i < libs->cnt; i++)
		if (!strcmp(libs->v[i].path, path))
			return &libs->v[i];
	return NULL;
}

static int add_source(struct cli *cli, struct lib *l)
{
	struct cli_args *a = &cli->args;
	struct cli_source *more = realloc(a->srcs, (a->src_cnt + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	a->srcs = more;
	more[a->src_cnt++] = (struct cli_source){ D_SRC_LIBRARY, l->path, l->text, NULL };
	l->path = l->text = NULL;
	return 0;
}

/* Those that @l needs, then @l. */
static int visit(struct cli *cli, struct libs *libs, struct lib *l, struct libs *order, struct err *reterr)
{
	int rc = 0;
	l->state = LIB_BUSY;
	for (uint32_t i = 0; !rc && i < l->dep_cnt; i++) {
		struct lib *dep = find(libs, l->deps[i]);
		if (!dep)
			return err_setf(reterr, -EINVAL, "Invalid library dependency in %s: %s", l->path, l->deps[i]);
		if (dep->state == LIB_BUSY)
			return err_setf(reterr, -EINVAL, "Cyclic dependency detected: %s => %s", dep->path, l->path);
		if (dep->state == LIB_NEW)
			rc = visit(cli, libs, dep, order, reterr);
		l->left_out |= dep->left_out;
	}
	l->state = LIB_DONE;
	if (!rc)
		order->v[order->cnt++] = *l;
	return rc;
}

static int take_all(struct cli *cli, struct libs *libs, struct err *reterr)
{
	struct libs order = { calloc(libs->cnt + 1ul, sizeof(*order.v)), 0 };
	int rc = order.v ? 0 : -ENOMEM;
	for (uint32_t i = 0; !rc && i < libs->cnt; i++)
		if (libs->v[i].state == LIB_NEW)
			rc = visit(cli, libs, &libs->v[i], &order, reterr);
	/* The last one first, as dtrace shows how it sorts: what others need comes after them. */
	for (uint32_t i = order.cnt; !rc && i && getenv("DTRACE_DEBUG"); i--)
		fprintf(stderr, "%s DEBUG: library %s sorted (%u/%u)\n", cli_name, order.v[i - 1].path, i, order.cnt);
	for (uint32_t i = 0; !rc && i < order.cnt; i++) {
		struct lib *l = find(libs, order.v[i].path);
		rc = l->left_out ? 0 : add_source(cli, l);
		if (!l->path) /* the source's now; the name is looked for no more */
			l->path = strdup("");
	}
	free(order.v);
	return rc;
}

static void libs_free(struct libs *libs)
{
	for (uint32_t i = 0; i < libs->cnt; i++) {
		free(libs->v[i].path);
		free(libs->v[i].text);
		for (uint32_t k = 0; k < libs->v[i].dep_cnt; k++)
			free(libs->v[i].deps[k]);
	}
	free(libs->v);
}

int cli_libs_load(struct cli *cli)
{
	const struct cli_options *o = &cli->args.opts;
	struct libs libs = { 0 };
	struct err e = { 0 };
	int rc = 0;
	for (uint32_t i = 0; !rc && !o->nolibs && i < o->libdir_cnt; i++)
		rc = read_dir(&libs, o->libdirs[i]);
	rc = rc ? rc : take_all(cli, &libs, &e);
	libs_free(&libs);
	if (rc)
		cli_source_error(cli, 0, NULL, 0, rc == -ENOMEM ? "out of memory" : e.msg);
	return rc ? CLI_ERROR : CLI_OK;
}
