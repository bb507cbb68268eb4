/* SPDX-License-Identifier: MIT */
/*
 * enable-event and trace, as LTTng's proposal for dynamic instrumentation has them.  Events go to the current session of
 * LTTng where there is one (tracer lttng; it is told to record them), else to a trace of our own (tracer ctf).
 */
#include "cli/events_int.h"
#include "cli/keeper/keeper_int.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { OPT_PID = 256, OPT_PROBE, OPT_FUNCTION, OPT_CHANNEL };

/* ---- enable-event ---- */

static void usage_event(FILE *fp)
{
	fprintf(fp, "Usage: %s enable-event NAME -u --pid PID (--probe | --function) PLACE [-c CHANNEL]\n\n"
		"\tRecords events NAME of a process that runs: in the current session of LTTng, or else in a CTF trace of its own,\n"
		"\tuntil `rm PID:NAME` or `detach PID`.\n\n"
		"\t--probe     when PLACE is reached\n"
		"\t--function  when the function at PLACE is entered and left\n"
		"\t-c, --channel  of LTTng's session, where that has one of its own\n"
		"\tPLACE: ADDRESS, SYMBOL or SYMBOL+OFFSET; numbers are octal (017), decimal or hexadecimal (0x1f)\n", cli_name);
}

static bool name_ok(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");
	return n && n <= EVENT_NAME_MAX && !name[n];
}

static const struct option longopts[] = {
	{ "pid", required_argument, NULL, OPT_PID }, { "probe", required_argument, NULL, OPT_PROBE },
	{ "function", required_argument, NULL, OPT_FUNCTION }, { "userspace", no_argument, NULL, 'u' },
	{ "output", required_argument, NULL, 'o' },
	{ "channel", required_argument, NULL, OPT_CHANNEL }, { "help", no_argument, NULL, 'h' }, { 0 },
};

/* A request of the keeper's; what it has to say besides goes to standard error. */
static int ask(pid_t pid, int n, const char *const words[], bool quiet)
{
	char *out = NULL, *said = NULL;
	struct err err;
	int rc = keep_ask(pid, n, words, &out, &said, &err);
	if (rc < 0 && !quiet)
		cli_error("%s", err.msg);
	if (said && !quiet)
		fputs(said, stderr);
	free(out);
	free(said);
	return rc;
}

/* Its events are those of its user's sessions, or root's: not of a member's who has dyntraced trace it. */
static bool is_anothers(pid_t pid)
{
	char path[32];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return geteuid() && !stat(path, &st) && st.st_uid != geteuid();
}

/* First the place, which may not be there: a rule of LTTng's would stay. */
static int enable(pid_t pid, const char *channel, const struct event *e)
{
	char session[256];
	struct err err;
	event_session(session, sizeof(session));
	if (*session && is_anothers(pid)) {
		cli_hint("process %d is another user's, whose LTTng has its events: these go to a trace of yours", (int)pid);
		*session = 0;
	}
	const char *words[8] = { "add" }, *const undo[] = { "rm", e->name };
	int n = 1;
	if (e->function)
		words[n++] = "-e";
	words[n++] = "-n";
	words[n++] = e->name;
	words[n++] = e->place;
	words[n++] = *session ? "lttng" : "ctf";
	if (*session)
		words[n++] = "named";
	int rc = keeper_start(pid, NULL, &err);
	if (rc < 0)
		cli_error("%s", err.msg);
	cli_remote_hint(rc, err.msg);
	if (rc || ask(pid, n, words, false))
		return CLI_ERROR;
	if (*session && event_record(session, channel, e)) {
		ask(pid, 2, undo, true);
		return CLI_ERROR;
	}
	if (*session)
		printf("event %s enabled in LTTng session %s\n", e->name, session);
	else
		printf("event %s enabled; %s list-tracepoints %d names its trace\n", e->name, cli_name, (int)pid);
	return CLI_OK;
}

int event_main(int argc, char **argv)
{
	struct event e = { 0 };
	const char *channel = NULL;
	bool user = false;
	pid_t pid = 0;
	for (int opt; (opt = getopt_long(argc, argv, "huc:p:", longopts, NULL)) != -1;) {
		if (opt == 'u') {
			user = true;
		} else if (opt == OPT_PID || opt == 'p') {
			pid = procs_one(optarg, strlen(optarg));
			if (!pid)
				return CLI_ERROR;
		} else if (opt == 'c' || opt == OPT_CHANNEL) {
			channel = optarg;
		} else if (opt == OPT_PROBE || opt == OPT_FUNCTION) {
			e.place = optarg;
			e.function = opt == OPT_FUNCTION;
		} else {
			usage_event(opt == 'h' ? stdout : stderr);
			return opt == 'h' ? CLI_OK : CLI_USAGE;
		}
	}
	e.name = optind + 1 == argc ? argv[optind] : NULL;
	if (!e.name || !user || !pid || !e.place) {
		cli_error("enable-event needs %s", !e.name ? "the name of one event" : !user ? "-u" : !pid ? "--pid PID" :
			  "--probe PLACE or --function PLACE");
		usage_event(stderr);
		return CLI_USAGE;
	}
	if (!name_ok(e.name)) {
		cli_error("'%s' is no name of an event: letters, digits, _, - and . only, at most %d of them", e.name, EVENT_NAME_MAX);
		return CLI_USAGE;
	}
	return enable(pid, channel, &e);
}

/* ---- trace ---- */

#define EVENTS_MAX 256

static void usage_trace(FILE *fp)
{
	fprintf(fp, "Usage: %s trace -c COMMAND [-o DIR] [--probe PLACE]... [--function PLACE]...\n\n"
		"\tRuns a command and records events from its start, in the current session of LTTng or else in a CTF trace;\n"
		"\tthe status is the command's.\n\n"
		"\t-c  the command with its arguments\n"
		"\t-o  the folder of the trace\n"
		"\t--channel  of LTTng's session, where that has one of its own\n"
		"\t--probe, --function  as in enable-event; the event has the place's name\n", cli_name);
}

/* What CTF and LTTng can call it. */
static char *event_name(const char *place)
{
	char *name = strndup(place, EVENT_NAME_MAX - 12);
	for (char *c = name; c && *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.", *c))
			*c = '_';
	return name;
}

/* Names are told apart. */
static int make_wishes(struct event *v, uint32_t cnt, const char *tracer, char *dir, struct keeper_wish *w)
{
	static char add_e[] = "-e", add_n[] = "-n", named[] = "named";
	for (uint32_t i = 0; i < cnt; i++) {
		v[i].name = event_name(v[i].place);
		for (uint32_t k = 0, n = 2; v[i].name && k < i; k++) {
			char *other = NULL;
			if (!v[k].name || strcmp(v[k].name, v[i].name))
				continue;
			if (asprintf(&other, "%s_%u", v[i].name, n++) < 0)
				other = NULL;
			free(v[i].name);
			v[i].name = other;
			k = UINT32_MAX; /* from the start */
		}
		if (!v[i].name)
			return CLI_ERROR;
		w[i].argc = 0;
		if (v[i].function)
			w[i].argv[w[i].argc++] = add_e;
		w[i].argv[w[i].argc++] = add_n;
		w[i].argv[w[i].argc++] = v[i].name;
		w[i].argv[w[i].argc++] = v[i].place;
		w[i].argv[w[i].argc++] = (char *)tracer;
		w[i].argv[w[i].argc++] = dir ? dir : named;
	}
	return CLI_OK;
}

static char *usual_dir(void)
{
	char name[64];
	time_t now = time(NULL);
	struct tm tm;
	localtime_r(&now, &tm);
	size_t n = strftime(name, sizeof(name), "dyntrace-%Y%m%d-%H%M%S", &tm);
	snprintf(name + n, sizeof(name) - n, ".%d", (int)getpid());
	return strdup(name);
}

/* Its library is there before its own code is, and makes the events then. */
static int name_in_environment(const struct event *v, uint32_t cnt)
{
	char *text = NULL;
	size_t bytes;
	FILE *fp = open_memstream(&text, &bytes);
	for (uint32_t i = 0; i < cnt && fp; i++)
		fprintf(fp, "%c%s ", v[i].function ? 'E' : 'P', v[i].name);
	int rc = fp && !fclose(fp) && !setenv("DYNTRACE_LTTNG_EVENTS", text, 1) ? CLI_OK : CLI_ERROR;
	free(text);
	return rc;
}

static int run(const char *command, struct event *v, uint32_t cnt, const char *out, const char *channel)
{
	static const char *const libs[] = { "libdyntrace-lttng.so", NULL };
	struct keeper_wish *w = calloc(cnt + 1ul, sizeof(*w));
	char session[256], **words = cli_args_split(command), *dir = NULL;
	event_session(session, sizeof(session));
	if (!*session || out)
		dir = out ? strdup(out) : usual_dir();
	bool lttng = !dir;
	int rc = w ? make_wishes(v, cnt, lttng ? "lttng" : "ctf", dir, w) : CLI_ERROR;
	for (uint32_t i = 0; i < cnt && lttng && !rc; i++)
		rc = event_record(session, channel, &v[i]);
	if (lttng && cnt && !rc)
		rc = name_in_environment(v, cnt);
	if (!words || !words[0]) {
		cli_error(words ? "-c needs a command" : "-c %s: a quote is not closed", command);
		rc = CLI_ERROR;
	}
	if (!rc && !cnt)
		cli_hint("nothing is recorded: there is neither --probe nor --function");
	if (!rc)
		rc = keeper_run(words, w, cnt, lttng && cnt ? libs : NULL);
	if (dir && cnt && !access(dir, F_OK))
		cli_hint("the trace is in %s", dir);
	cli_args_split_free(words);
	for (uint32_t i = 0; i < cnt; i++)
		free(v[i].name);
	free(w);
	free(dir);
	return rc;
}

int trace_main(int argc, char **argv)
{
	const char *command = NULL, *out = NULL, *channel = NULL;
	struct event v[EVENTS_MAX];
	uint32_t cnt = 0;
	for (int opt; (opt = getopt_long(argc, argv, "hc:o:u", longopts, NULL)) != -1;) {
		if (opt == 'c') {
			command = optarg;
		} else if (opt == 'o') {
			out = optarg;
		} else if (opt == OPT_CHANNEL) {
			channel = optarg;
		} else if ((opt == OPT_PROBE || opt == OPT_FUNCTION) && cnt < EVENTS_MAX) {
			v[cnt++] = (struct event){ .place = optarg, .function = opt == OPT_FUNCTION };
		} else if (opt != 'u') {
			usage_trace(opt == 'h' ? stdout : stderr);
			return opt == 'h' ? CLI_OK : CLI_USAGE;
		}
	}
	if (!command || optind < argc) {
		usage_trace(stderr);
		return CLI_USAGE;
	}
	return run(command, v, cnt, out, channel);
}
