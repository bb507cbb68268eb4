/* SPDX-License-Identifier: MIT */
/* verify and repair: whether the code of processes is as in their files, and making it so. */
#include "cli/cli_int.h"

#include <stdlib.h>
#include <string.h>

#define SHOWN 10 /* places, without -v */

struct shown {
	struct cli *cli;
	uint32_t cnt;
};

static const char *whose_text(enum session_whose w)
{
	static const char *const texts[] = {
		[SESSION_WHOSE_DYNTRACE] = "dyntrace",
		[SESSION_WHOSE_BREAKPOINT] = "breakpoint of a debugger or uprobe",
		[SESSION_WHOSE_UPROBE] = "uprobe",
		[SESSION_WHOSE_UNKNOWN] = "not dyntrace's",
	};
	return texts[w];
}

static void print_bytes(FILE *out, const uint8_t *b, uint32_t n)
{
	for (uint32_t i = 0; i < n && i < SESSION_DIFF_MAX; i++)
		fprintf(out, " %02x", b[i]);
	if (n > SESSION_DIFF_MAX)
		fputs(" ...", out);
}

static void show_diff(void *arg, const struct session_diff *d)
{
	struct shown *s = arg;
	FILE *out = s->cli->out;
	if (s->cli->args.opts.quiet || (s->cnt++ >= SHOWN && !s->cli->args.verbose))
		return;
	const char *base = strrchr(d->path, '/');
	char *name = d->func ? obj_demangle(d->func) : NULL;
	fprintf(out, "  0x%llx %s`", (unsigned long long)d->addr, base ? base + 1 : d->path);
	if (d->func && d->off)
		fprintf(out, "%s+0x%llx:", name ? name : d->func, (unsigned long long)d->off);
	else
		fprintf(out, "%s:", name ? name : d->func ? d->func : "?");
	print_bytes(out, d->now, d->bytes);
	fputs(", file", out);
	print_bytes(out, d->file, d->bytes);
	fprintf(out, " (%s)\n", whose_text(d->whose));
	free(name);
}

static const char *plural(uint32_t n)
{
	return n == 1 ? "" : "s";
}

static void show_owner(FILE *out, const struct session_verdict *v)
{
	if (v->owner && *v->owner_command)
		fprintf(out, "traced by process %d \"%s\"", v->owner, v->owner_command);
	else if (v->owner)
		fprintf(out, "traced by process %d", v->owner);
	else if (v->owner_unsure)
		fputs("of a process that you may not look into, or left by a dyntrace that was killed", out);
	else if (v->is_over && !v->place_cnt[SESSION_WHOSE_DYNTRACE])
		fputs("whose tracing has ended: threads may still return there; repair takes them away once none does", out);
	else if (v->is_over)
		fputs("whose tracing has ended, but for places that had to stay: no probe fires there, and repair takes them away", out);
	else if (v->ended)
		fprintf(out, "left by process %d, a dyntrace that was killed, whose parent has not asked for its status yet", v->ended);
	else
		fputs("left by a dyntrace that was killed", out);
}

static void show_verdict(FILE *out, pid_t pid, const struct session_verdict *v, uint32_t places)
{
	fprintf(out, "process %d: ", pid);
	if (!places)
		fputs("its code is as in its files", out);
	else
		fprintf(out, "its code differs from its files in %u place%s", places, plural(places));
	if (places && places == v->place_cnt[SESSION_WHOSE_DYNTRACE])
		fputs(", of dyntrace", out);
	else if (v->place_cnt[SESSION_WHOSE_DYNTRACE])
		fprintf(out, ", %u of them of dyntrace", v->place_cnt[SESSION_WHOSE_DYNTRACE]);
	if (v->map_cnt) {
		fprintf(out, "; %u mapping%s of dyntrace, ", v->map_cnt, plural(v->map_cnt));
		show_owner(out, v);
	}
	if (v->fd_cnt)
		fprintf(out, "; %u descriptor%s of dyntrace", v->fd_cnt, plural(v->fd_cnt));
	if (v->unknown_cnt)
		fprintf(out, "; %u mapping%s of code without a file to compare with", v->unknown_cnt, plural(v->unknown_cnt));
	fputc('\n', out);
}

static int verify_one(struct cli *cli, pid_t pid)
{
	struct shown s = { .cli = cli };
	struct session_verdict v;
	struct err e;
	int r = session_verify(pid, show_diff, &s, &v, &e);
	if (r) {
		cli_error("%s", e.msg);
		cli_remote_hint(r, e.msg);
		return CLI_USAGE;
	}
	uint32_t places = 0;
	for (unsigned i = 0; i < ARRAY_CNT(v.place_cnt); i++)
		places += v.place_cnt[i];
	if (!cli->args.opts.quiet) {
		if (s.cnt > SHOWN && !cli->args.verbose)
			fprintf(cli->out, "  ... and %u more (-v shows them)\n", s.cnt - SHOWN);
		show_verdict(cli->out, pid, &v, places);
	}
	return places || v.map_cnt || v.fd_cnt ? CLI_ERROR : CLI_OK;
}

static int repair_one(struct cli *cli, pid_t pid)
{
	struct session_repaired r;
	struct err e;
	if (session_repair(pid, &r, &e)) {
		cli_error("%s", e.msg);
		return CLI_ERROR;
	}
	if (cli->args.opts.quiet)
		return CLI_OK;
	if (r.place_cnt || r.sema_cnt || r.map_cnt || r.fd_cnt)
		fprintf(cli->out, "process %d: %u place%s restored, %u mapping%s removed\n", pid, r.place_cnt, plural(r.place_cnt),
			r.map_cnt, plural(r.map_cnt));
	else
		fprintf(cli->out, "process %d: nothing was left\n", pid);
	return CLI_OK;
}

static int each(struct cli *cli, const char *verb, int (*one)(struct cli *, pid_t))
{
	int worst = CLI_OK;
	if (!cli->args.pid_cnt) {
		cli_error("%s needs the number of a process", verb);
		return CLI_USAGE;
	}
	for (uint32_t i = 0; i < cli->args.pid_cnt; i++) {
		int rc = one(cli, cli->args.pids[i]);
		worst = rc > worst ? rc : worst;
	}
	return worst;
}

int cli_verb_verify(struct cli *cli)
{
	if (cli->args.src_cnt && cli->args.command_cnt)
		return cli_verb_compare(cli);
	return each(cli, "verify", verify_one);
}

int cli_verb_repair(struct cli *cli)
{
	return each(cli, "repair", repair_one);
}
