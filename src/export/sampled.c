/* SPDX-License-Identifier: MIT */
/* What a trace says of events that are missing because of a budget: a line of env, since whoever records may be killed, and
 * comments at the metadata's end, which any reader of CTF passes over and babeltrace2 -o ctf-metadata shows. */
#include "export/export_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUDGET "budget_percent = "
#define SAMPLED "/* sampled: 1 event of "
#define ALL_THERE "/* sampled: none */"

void ctf_meta_budget(FILE *fp, uint32_t percent) { fprintf(fp, "\t%s%u;\n", BUDGET, percent); }

void ctf_meta_sampled(FILE *fp, const struct export_sampled *v, uint32_t cnt)
{
	if (!cnt)
		fputs(ALL_THERE "\n", fp);
	for (uint32_t i = 0; i < cnt; i++) {
		fprintf(fp, SAMPLED "%u at most: ", v[i].weight);
		/* A name that ends the comment would be the metadata's end. */
		for (const char *c = v[i].place; *c; c++)
			putc((unsigned char)*c < ' ' || (*c == '/' && c > v[i].place && c[-1] == '*') ? ' ' : *c, fp);
		fputs(" */\n", fp);
	}
}

static int add(struct export_sampling *s, const char *at)
{
	char *end;
	unsigned long weight = strtoul(at, &end, 10);
	const char *place = strstr(end, ": "), *tail = place ? strstr(place, " */") : NULL;
	if (!tail)
		return -EINVAL;
	struct export_sampled *v = realloc(s->v, (s->cnt + 1ul) * sizeof(*v));
	s->v = v ? v : s->v;
	char *name = v ? strndup(place + 2, (size_t)(tail - place - 2)) : NULL;
	if (!name)
		return -ENOMEM;
	v[s->cnt++] = (struct export_sampled){ name, (uint32_t)weight };
	s->is_known = true;
	return 0;
}

int ctf_sampling_line(struct export_sampling *s, const char *line)
{
	if (!strncmp(line, BUDGET, strlen(BUDGET)))
		s->budget = (uint32_t)strtoul(line + strlen(BUDGET), NULL, 10);
	else if (!strncmp(line, ALL_THERE, strlen(ALL_THERE)))
		s->is_known = true;
	else if (!strncmp(line, SAMPLED, strlen(SAMPLED)))
		return add(s, line + strlen(SAMPLED));
	return 0;
}

void ctf_sampling_deinit(struct export_sampling *s)
{
	for (uint32_t i = 0; i < s->cnt; i++)
		free((char *)s->v[i].place);
	free(s->v);
}
