/* SPDX-License-Identifier: MIT */
/*
 * Folders of D libraries (-L): each file "*.d" of them is compiled before the
 * scripts, after the files that it names with
 *	#pragma D depends_on library FILE
 */
#include "cli/cli_int.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 100

struct libs {
	struct cli_source *v; /* in the order of their names */
	uint32_t cnt;
	uint8_t *state;   /* 0: not yet, 1: its dependencies are being placed, 2: placed */
	uint32_t *order, placed;
};

static int is_library(const struct dirent *e)
{
	size_t len = strlen(e->d_name);
	return len > 2 && e->d_name[0] != '.' && !strcmp(e->d_name + len - 2, ".d");
}

static int add_lib(struct libs *l, const char *dir, const char *file)
{
	struct cli_source *v = realloc(l->v, (l->cnt + 1ul) * sizeof(*v)), s = { .is_lib = true };
	if (!v || asprintf(&s.arg, "%s/%s", dir, file) < 0) {
		l->v = v ? v : l->v;
		return -ENOMEM;
	}
	l->v = v;
	s.kind = D_SRC_PROGRAM;
	s.name = strdup(s.arg);
	v[l->cnt++] = s;
	return s.name ? 0 : -ENOMEM;
}

static int scan(struct libs *l, const char *dir)
{
	struct dirent **list;
	int n = scandir(dir, &list, is_library, alphasort), rc = 0;
	if (n < 0)
		return 0; /* as dtrace(1): a folder that is not there has no libraries */
	for (int i = 0; i < n; i++) {
		rc = rc ? rc : add_lib(l, dir, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	return rc;
}

/* ---- order ---- */

/* @file in the folder of library @of; -1: it is not there. */
static int find(const struct libs *l, uint32_t of, const char *file, size_t len)
{
	const char *arg = l->v[of].arg;
	size_t dir = (size_t)(strrchr(arg, '/') + 1 - arg);
	for (uint32_t i = 0; i < l->cnt; i++)
		if (!strncmp(l->v[i].arg, arg, dir) && !strncmp(l->v[i].arg + dir, file, len) && !l->v[i].arg[dir + len])
			return (int)i;
	return -1;
}

/* The file that the line depends on, or NULL. */
static const char *dependency(const char *line, size_t *ret_len)
{
	static const char *const words[] = { "pragma", "D", "depends_on", "library" };
	if (*line++ != '#')
		return NULL;
	for (size_t i = 0; i < ARRAY_CNT(words); i++) {
		line += strspn(line, " \t");
		size_t len = strlen(words[i]);
		if (strncmp(line, words[i], len) || !strchr(" \t", line[len]))
			return NULL;
		line += len;
	}
	line += strspn(line, " \t");
	*ret_len = strcspn(line, " \t\r\n");
	return *ret_len ? line : NULL;
}

static int place(struct libs *l, uint32_t i, uint32_t depth);

static int place_dependencies(struct libs *l, uint32_t i, uint32_t depth)
{
	for (const char *line = l->v[i].text; line && *line; line = strchr(line, '\n'), line += line != NULL) {
		size_t len;
		const char *file = dependency(line, &len);
		int on = file ? find(l, i, file, len) : 0;
		if (on < 0) {
			cli_error("library %s depends on library %.*s, which is not in its folder", l->v[i].arg, (int)len, file);
			return CLI_ERROR;
		}
		if (file && place(l, (uint32_t)on, depth + 1))
			return CLI_ERROR;
	}
	return CLI_OK;
}

static int place(struct libs *l, uint32_t i, uint32_t depth)
{
	if (l->state[i] == 2)
		return CLI_OK;
	if (l->state[i] == 1 || depth > DEPTH_MAX) {
		cli_error("library %s depends on itself, through others", l->v[i].arg);
		return CLI_ERROR;
	}
	l->state[i] = 1;
	if (place_dependencies(l, i, depth))
		return CLI_ERROR;
	l->state[i] = 2;
	l->order[l->placed++] = i;
	return CLI_OK;
}

/* ---- into the sources ---- */

static int put_first(struct cli *cli, struct libs *l)
{
	struct cli_args *a = &cli->args;
	struct cli_source *v = calloc(a->src_cnt + l->cnt + 1ul, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->cnt; i++)
		v[i] = l->v[l->order[i]];
	memcpy(v + l->cnt, a->srcs, a->src_cnt * sizeof(*v));
	free(a->srcs);
	a->srcs = v;
	a->src_cnt += l->cnt;
	l->cnt = 0; /* they are the arguments' now */
	return 0;
}

static void deinit(struct libs *l)
{
	for (uint32_t i = 0; i < l->cnt; i++) {
		free(l->v[i].arg);
		free(l->v[i].text);
		free(l->v[i].name);
	}
	free(l->v);
	free(l->state);
	free(l->order);
}

static int load_all(struct cli *cli, struct libs *l)
{
	int rc = 0;
	for (uint32_t i = 0; i < cli->args.opts.libdir_cnt && !rc; i++)
		rc = scan(l, cli->args.opts.libdirs[i]);
	l->state = calloc(l->cnt + 1ul, sizeof(*l->state));
	l->order = calloc(l->cnt + 1ul, sizeof(*l->order));
	if (rc || !l->state || !l->order) {
		cli_error("out of memory");
		return CLI_ERROR;
	}
	for (uint32_t i = 0; i < l->cnt; i++)
		if (cli_source_load(&l->v[i]))
			return CLI_ERROR;
	for (uint32_t i = 0; i < l->cnt; i++)
		if (place(l, i, 0))
			return CLI_ERROR;
	return put_first(cli, l) ? CLI_ERROR : CLI_OK;
}

int cli_libs_load(struct cli *cli)
{
	struct libs l = { 0 };
	if (!cli->args.opts.libdir_cnt)
		return CLI_OK;
	int rc = load_all(cli, &l);
	deinit(&l);
	return rc;
}
