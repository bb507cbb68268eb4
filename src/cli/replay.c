/* SPDX-License-Identifier: MIT */
/* The verb dump: looks later at what record recorded. */
#include "cli/record/record_int.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <time.h>

#define FOLLOW_NS 50000000 /* between two looks */

enum { OPT_JSON = 256, OPT_FOLDED, OPT_CHROME, OPT_FOLLOW };
static const struct option longopts[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "folded", no_argument, NULL, OPT_FOLDED },
	{ "chrome", no_argument, NULL, OPT_CHROME },
	{ "follow", no_argument, NULL, OPT_FOLLOW },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

struct replay {
	const char *dir;
	enum export_form form;
	bool follow;
	struct export_trace *trace;
	struct export_printer *printer;
};

static void usage(FILE *fp)
{
	fprintf(fp, "Usage: %s dump [--json | --folded | --chrome] [--follow] DIR\n\n"
		"\t--json    a JSON object a line\n"
		"\t--folded  folded stacks, for flamegraph.pl and speedscope\n"
		"\t--chrome  trace-event JSON, for Perfetto, chrome://tracing and speedscope\n"
		"\t--follow  go on with what is recorded now, until that ends\n", cli_name);
}

static int parse(struct replay *r, int argc, char **argv)
{
	int opt;
	*r = (struct replay){ .form = EXPORT_TEXT };
	argv[0] = (char *)cli_name;
	while ((opt = getopt_long(argc, argv, "h", longopts, NULL)) != -1) {
		switch (opt) {
		case OPT_JSON: r->form = EXPORT_JSON; break;
		case OPT_FOLDED: r->form = EXPORT_FOLDED; break;
		case OPT_CHROME: r->form = EXPORT_CHROME; break;
		case OPT_FOLLOW: r->follow = true; break;
		case 'h': usage(stdout); return -1;
		default: usage(stderr); return CLI_USAGE;
		}
	}
	if (optind + 1 != argc) {
		usage(stderr);
		return CLI_USAGE;
	}
	r->dir = argv[optind];
	return CLI_OK;
}

/* All that is there; 0, or -errno. */
static int print_events(struct replay *r, struct err *reterr)
{
	struct export_event ev;
	int rc;
	while ((rc = export_trace_next(r->trace, &ev, reterr)) > 0 && !cli_loop_interrupted()) {
		rc = export_printer_event(r->printer, &ev);
		if (rc)
			return err_setf(reterr, rc, "out of memory");
		if (ferror(stdout))
			return err_setf(reterr, -EPIPE, "cannot write: %s", strerror(errno));
	}
	return rc < 0 ? rc : 0;
}

static int print_all(struct replay *r, struct err *reterr)
{
	bool live;
	int rc;
	do {
		live = r->follow && export_trace_is_live(r->trace) && !cli_loop_interrupted();
		rc = export_trace_refresh(r->trace, reterr);
		rc = rc ? rc : print_events(r, reterr);
		if (live && !rc && !fflush(stdout))
			nanosleep(&(struct timespec){ .tv_nsec = FOLLOW_NS }, NULL);
	} while (!rc && live);
	return rc;
}

static void tell_losses(const struct replay *r)
{
	uint64_t lost = export_trace_lost(r->trace), damaged = export_trace_damaged(r->trace);
	if (lost)
		cli_error("%s: %llu events were lost while it was recorded", r->dir, (unsigned long long)lost);
	if (damaged)
		cli_error("%s: %llu bytes at the end of its files are no events; what was before them is shown", r->dir,
			  (unsigned long long)damaged);
}

/* A budget (ADR 40) leaves out events that nobody has lost. */
static void tell_sampling(const struct replay *r)
{
	const struct export_sampling *s = export_trace_sampling(r->trace);
	for (uint32_t i = 0; i < s->cnt; i++)
		cli_error("%s: of %s there is 1 event of %u at most, as -x budget=%u%% asked when it was recorded", r->dir, s->v[i].place,
			  s->v[i].weight, s->budget);
	if (s->budget && !s->is_known)
		cli_error("%s: recorded with -x budget=%u%%: of hot probes there may be 1 event of many; which they are is noted when a "
			  "recording ends", r->dir, s->budget);
}

int cli_replay_main(int argc, char **argv)
{
	struct replay r;
	struct err e;
	int rc = parse(&r, argc, argv);
	if (rc)
		return rc < 0 ? CLI_OK : rc;
	if (export_trace_open(r.dir, &r.trace, &e)) {
		cli_error("%s", e.msg);
		return CLI_ERROR;
	}
	if (r.follow)
		cli_loop_signals();
	r.printer = export_printer_create(r.form, r.trace, stdout);
	rc = r.printer ? print_all(&r, &e) : err_setf(&e, -ENOMEM, "out of memory");
	int finished = r.printer ? export_printer_finish(r.printer) : 0;
	if (finished && !rc)
		rc = err_setf(&e, finished, "out of memory");
	bool bad = fflush(stdout) && errno != EPIPE;
	if (rc && rc != -EPIPE)
		cli_error("%s", e.msg);
	else if (bad)
		cli_error("cannot write: %s", strerror(errno));
	tell_losses(&r);
	tell_sampling(&r);
	export_trace_close(r.trace);
	return rc || bad ? CLI_ERROR : CLI_OK;
}
