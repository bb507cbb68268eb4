/* SPDX-License-Identifier: MIT */
/* Tracepoints as they are listed, for people and as JSON. */
#include "cli/keeper/keeper_int.h"

#include <stdlib.h>
#include <string.h>

/* Of the process that is attached. */
static uint32_t proc_of(const struct keeper_point *pt)
{
	return ((const struct keeper *)((const char *)pt->tp.host - offsetof(struct keeper, host)))->proc;
}

static void show_places(const struct keeper_point *pt, FILE *out)
{
	for (uint32_t i = 0; i < pt->probe_cnt; i++) {
		const struct keeper_probe *p = &pt->probes[i];
		if (p->proc != proc_of(pt))
			continue; /* of followed programs: what they are changes */
		fprintf(out, "  0x%llx %s`%s %s%s%s\n", (unsigned long long)(p->p.func_addr + p->p.offset), p->p.mod, p->p.func, p->p.name,
			p->why ? ": not traced: " : "", p->why ? p->why : "");
	}
}

void keeper_show_gathered(struct keeper_point *pt, FILE *out)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *fp = open_memstream(&text, &bytes);
	if (fp && pt->tp.tracer->show)
		pt->tp.tracer->show(&pt->tp, fp, false);
	if (fp)
		fclose(fp);
	for (char *line = text, *end; line && (end = strchr(line, '\n')); line = end + 1)
		fprintf(out, "  %.*s\n", (int)(end - line), line);
	free(text);
	if (pt->faults)
		fprintf(out, "  %llu hits at which its clause failed\n", (unsigned long long)pt->faults);
}

static void show_plain(struct keeper_point *pt, FILE *out, bool all)
{
	fprintf(out, "%s %s%s %s\n", pt->name, pt->place, pt->tp.both ? " -e" : "", pt->words);
	keeper_show_gathered(pt, out);
	if (all)
		show_places(pt, out);
}

static void put_member(FILE *out, const char *name, const char *text)
{
	fprintf(out, "\"%s\":", name);
	export_print_text(out, text, strlen(text), true);
}

static void show_json(struct keeper_point *pt, FILE *out)
{
	put_member(out, "name", pt->name);
	putc(',', out);
	put_member(out, "place", pt->place);
	fprintf(out, ",\"entry_exit\":%s,", pt->tp.both ? "true" : "false");
	put_member(out, "tracer", pt->tp.tracer->name);
	putc(',', out);
	put_member(out, "arguments", pt->words + strcspn(pt->words, " ") + (strchr(pt->words, ' ') != NULL));
	fprintf(out, ",\"faults\":%llu,\"places\":[", (unsigned long long)pt->faults);
	for (uint32_t i = 0, n = 0; i < pt->probe_cnt; i++) {
		const struct keeper_probe *p = &pt->probes[i];
		if (p->proc != proc_of(pt))
			continue;
		fprintf(out, "%s{\"address\":\"0x%llx\",", n++ ? "," : "", (unsigned long long)(p->p.func_addr + p->p.offset));
		put_member(out, "module", p->p.mod);
		putc(',', out);
		put_member(out, "function", p->p.func);
		putc(',', out);
		put_member(out, "probe", p->p.name);
		fprintf(out, ",\"traced\":%s}", p->why ? "false" : "true");
	}
	putc(']', out);
	if (pt->tp.tracer->show)
		pt->tp.tracer->show(&pt->tp, out, true);
}

void keeper_show_json(const struct keeper *k, struct keeper_point *pt, FILE *out)
{
	fprintf(out, "{\"pid\":%d,\"tracepoints\":[{", (int)k->pid);
	show_json(pt, out);
	fputs("}]}\n", out);
}

void keeper_list(struct keeper *k, FILE *out, bool all, bool json)
{
	if (k->attached)
		keeper_drain(k, false);
	if (json)
		fprintf(out, "{\"pid\":%d,\"tracepoints\":[", (int)k->pid);
	for (uint32_t i = 0; i < k->point_cnt; i++) {
		if (!json) {
			show_plain(k->points[i], out, all);
			continue;
		}
		fputs(i ? ",{" : "{", out);
		show_json(k->points[i], out);
		putc('}', out);
	}
	fputs(json ? "]}\n" : "", out);
}
