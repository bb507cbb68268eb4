/* SPDX-License-Identifier: MIT */
/* PID|NAME, and list-processes. */
#include "base/near.h"
#include "base/pids.h"
#include "cli/keeper/keeper_int.h"
#include "client/client.h"
#include "host/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COMM_BYTES 16 /* with the NUL: what the kernel keeps of a name */
#define LINE_LEAST 20 /* characters of a command that are always shown */

struct pids {
	pid_t *v;
	uint32_t cnt;
};

static bool add(struct pids *p, pid_t pid)
{
	pid_t *more = realloc(p->v, (p->cnt + 1ul) * sizeof(*more));
	if (!more)
		return false;
	p->v = more;
	more[p->cnt++] = pid;
	return true;
}

static int compare(const void *a, const void *b)
{
	return *(const pid_t *)a < *(const pid_t *)b ? -1 : *(const pid_t *)a > *(const pid_t *)b;
}

void procs_command(pid_t pid, char *buf, size_t cap)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, buf, cap - 1);
	if (fd >= 0)
		close(fd);
	n = n > 0 ? n : 0;
	while (n && !buf[n - 1])
		n--;
	for (ssize_t i = 0; i < n; i++)
		if (!buf[i])
			buf[i] = ' ';
	buf[n] = 0;
	procs_uncut(buf, cap);
}

void procs_uncut(char *text, size_t cap)
{
	size_t n = strlen(text);
	if (n == cap - 1)
		text[host_utf8_whole(text, n)] = 0;
}

void procs_plain(char *line)
{
	size_t left = strlen(line);
	char *to = line;
	for (const uint8_t *s = (const uint8_t *)line; left;) {
		uint32_t n = host_utf8_len(s, left), step = n ? n : 1;
		bool shown = n && !host_utf8_is_control(s);
		if (shown)
			memmove(to, s, n);
		else
			*to = n ? ' ' : '?';
		to += shown ? n : 1;
		s += step;
		left -= step;
	}
	*to = 0;
}

/* Bytes of the first @columns characters of what procs_plain() left. */
static int bytes_of(const char *line, int columns)
{
	int at = 0;
	while (line[at] && columns-- > 0)
		at += (int)host_utf8_len((const uint8_t *)line + at, strlen(line + at));
	return at;
}

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* By its name as the kernel has it, its program's file, or the first word of its command. */
static bool is_named(pid_t pid, const char *name)
{
	struct obj_proc_info info;
	char path[64], exe[4096], line[4096];
	if (obj_proc_info(pid, &info, NULL) || info.state == 'Z')
		return false;
	procs_command(pid, line, sizeof(line));
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	ssize_t n = readlink(path, exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = 0;
	line[strcspn(line, " ")] = 0;
	return *line && (!strcmp(info.comm, name) || !strcmp(base_of(exe), name) || !strcmp(base_of(line), name) || !strcmp(exe, name));
}

/* All processes for which @want holds, by number. */
static void collect(struct pids *ret, bool (*want)(pid_t, const char *), const char *arg)
{
	pid_t *v = NULL;
	uint32_t cnt = 0;
	base_pids("/proc", &v, &cnt);
	for (uint32_t i = 0; i < cnt; i++)
		if (v[i] != getpid() && want(v[i], arg) && !add(ret, v[i]))
			break;
	free(v);
	if (ret->cnt)
		qsort(ret->v, ret->cnt, sizeof(*ret->v), compare);
}

#define WIDTH_UNKNOWN 80 /* of a terminal that does not say it */

/* Of a terminal's line; 0: there is none, so nothing is cut. */
static int line_width(FILE *fp)
{
	struct winsize w;
	if (!isatty(fileno(fp)))
		return 0;
	return !ioctl(fileno(fp), TIOCGWINSZ, &w) && w.ws_col ? w.ws_col : WIDTH_UNKNOWN;
}

static void show_line(FILE *fp, pid_t pid, const char *mark, char *line, const char *why)
{
	char tail[128] = "", head[32];
	int width = line_width(fp);
	procs_plain(line);
	if (*why)
		snprintf(tail, sizeof(tail), "  [cannot be traced: %s]", why);
	int room = width - snprintf(head, sizeof(head), "%7d %s", (int)pid, *why ? "- " : mark) - (int)strlen(tail);
	room = room > LINE_LEAST ? room : LINE_LEAST;
	char whole[4096 + sizeof(head) + sizeof(tail)];
	snprintf(whole, sizeof(whole), "%s%.*s%s", head, width ? bytes_of(line, room) : (int)strlen(line), line, tail);
	fprintf(fp, "%.*s\n", width ? bytes_of(whole, width) : (int)strlen(whole), whole); /* the reason, too, where that is long */
}

/* ---- names that are near ---- */

struct near {
	const char *wanted;
	uint32_t best;
	char name[COMM_BYTES + 240];
};
#define NEAR_BEGINS 1 /* "redis" of redis-server: nearer than two mistakes */

static void try_name(struct near *n, const char *name)
{
	uint32_t d = !strncmp(name, n->wanted, strlen(n->wanted)) ? NEAR_BEGINS : near_distance(name, n->wanted, n->best);
	if (!*name || d >= n->best)
		return;
	n->best = d;
	snprintf(n->name, sizeof(n->name), "%s", name);
}

/* By the names that is_named() takes; threads of the kernel have no program. */
static void try_process(struct near *n, pid_t pid)
{
	struct obj_proc_info info;
	char line[4096];
	procs_command(pid, line, sizeof(line));
	line[strcspn(line, " ")] = 0;
	if (!*line || pid == getpid() || obj_proc_info(pid, &info, NULL) || info.state == 'Z')
		return;
	try_name(n, info.comm);
	try_name(n, base_of(line));
}

static void say_none(const char *name)
{
	struct near n = { .wanted = name, .best = near_max(name) + 1 };
	pid_t *v = NULL;
	uint32_t cnt = 0;
	n.best = n.best > NEAR_BEGINS ? n.best : NEAR_BEGINS + 1;
	base_pids("/proc", &v, &cnt);
	for (uint32_t i = 0; i < cnt; i++)
		try_process(&n, v[i]);
	free(v);
	procs_plain(n.name);
	if (*n.name)
		cli_error("there is no process %s: did you mean %s?", name, n.name);
	else
		cli_error("there is no process %s", name);
}

static pid_t by_name(const char *name)
{
	struct pids p = { 0 };
	char line[512];
	collect(&p, is_named, name);
	pid_t pid = p.cnt == 1 ? p.v[0] : 0;
	if (!p.cnt)
		say_none(name);
	else if (p.cnt > 1)
		cli_error("%u processes are called %s; say which one by its number:", p.cnt, name);
	for (uint32_t i = 0; i < p.cnt && p.cnt > 1; i++) {
		procs_command(p.v[i], line, sizeof(line));
		show_line(stderr, p.v[i], " ", line, "");
	}
	free(p.v);
	return pid;
}

pid_t procs_one(const char *text, size_t len)
{
	char name[4096], *end;
	struct obj_proc_info info;
	struct err e;
	if (!len || len >= sizeof(name)) {
		cli_error("a process is missing: its number or its name");
		return 0;
	}
	memcpy(name, text, len);
	name[len] = 0;
	if (strspn(name, "0123456789") != len)
		return by_name(name);
	long pid = strtol(name, &end, 10);
	if (pid <= 0 || pid > INT32_MAX) {
		cli_error("invalid pid: %s", name);
		return 0;
	}
	if (!obj_proc_info((pid_t)pid, &info, &e))
		return (pid_t)pid;
	cli_error("%s", e.msg);
	return 0;
}

pid_t procs_split(const char *arg, const char **ret_rest)
{
	const char *colon = strchr(arg, ':');
	if (!colon || !colon[1]) {
		int len = (int)strcspn(arg, ":");
		bool may_be_place = !colon && arg[strspn(arg, "0123456789")];
		cli_error("which place or tracepoint of process %.*s? write it as %.*s:NAME%s%s", len, arg, len, arg,
			  may_be_place ? "; if that is the place, its process is missing: PID|NAME:" : "", may_be_place ? arg : "");
		return 0;
	}
	*ret_rest = colon + 1;
	return procs_one(arg, (size_t)(colon - arg));
}

/* ---- list-processes ---- */

static bool has_offer(pid_t pid, const char *unused)
{
	(void)unused;
	return client_has_offer(pid);
}

/* Whether dyntraced traces any process for us. */
static bool may_any(void)
{
	struct client *c = NULL;
	bool may = geteuid() && !client_open(NULL, &c, NULL) && client_rights(c) & PROTO_RIGHT_ANY;
	client_close(c);
	return may;
}

/* @arg: not NULL: those of others, too. */
static bool may_trace(pid_t pid, const char *arg)
{
	struct obj_proc_info info;
	char line[8];
	procs_command(pid, line, sizeof(line));
	return *line && !obj_proc_info(pid, &info, NULL) && info.state != 'Z' && (arg || !geteuid() || info.uid == geteuid());
}

static bool has(const struct pids *p, pid_t pid)
{
	for (uint32_t i = 0; i < p->cnt; i++)
		if (p->v[i] == pid)
			return true;
	return false;
}

static const char *mark_of(const struct pids *attached, pid_t pid)
{
	return has(attached, pid) ? "* " : client_has_offer(pid) ? "+ " : "  ";
}

/* Why it could not be traced, "" where nothing is known.  Who offered itself needs no ptrace, and what dyntraced may is not ours to say. */
static void look_why(const struct pids *attached, pid_t pid, char *why, size_t cap)
{
	struct obj_proc_info info;
	*why = 0;
	if (has(attached, pid) || client_has_offer(pid) || obj_proc_info(pid, &info, NULL) || (geteuid() && info.uid != geteuid()))
		return;
	if (!whose_refused(pid, why, cap))
		*why = 0;
}

static void show(const struct pids *list, const struct pids *attached, bool marks, bool json)
{
	char line[4096];
	if (json)
		fputs("[", stdout);
	for (uint32_t i = 0; i < list->cnt; i++) {
		struct obj_proc_info info = { .comm = "" };
		obj_proc_info(list->v[i], &info, NULL);
		procs_command(list->v[i], line, sizeof(line));
		char why[96] = "";
		if (marks)
			look_why(attached, list->v[i], why, sizeof(why));
		if (!json) {
			show_line(stdout, list->v[i], marks ? mark_of(attached, list->v[i]) : "", line, why);
			continue;
		}
		printf("%s{\"pid\":%d,\"name\":", i ? "," : "", (int)list->v[i]);
		procs_uncut(info.comm, COMM_BYTES);
		export_print_text(stdout, info.comm, strlen(info.comm), true);
		fputs(",\"command\":", stdout);
		export_print_text(stdout, line, strlen(line), true);
		printf(",\"attached\":%s,\"offered\":%s", has(attached, list->v[i]) ? "true" : "false",
		       client_has_offer(list->v[i]) ? "true" : "false");
		if (*why) {
			fputs(",\"refused\":", stdout);
			export_print_text(stdout, why, strlen(why), true);
		}
		putchar('}');
	}
	if (json)
		fputs("]\n", stdout);
}

static void usage(FILE *fp)
{
	fprintf(fp, "Usage: %s list-processes [-a] [-o] [--json]\n\n"
		"\tProcesses that are attached (dyntrace attach, add).\n\n"
		"\t-a      all that are yours (root: all), attached ones with a *, those that offered themselves with a +,\n"
		"\t        those that cannot be traced with a - and the reason\n"
		"\t-o      those that offered themselves to dyntraced (LD_PRELOAD=libdyntrace-agent.so)\n"
		"\t--json  for scripts\n", cli_name);
}

int procs_main(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "json", no_argument, NULL, 'j' }, { "all", no_argument, NULL, 'a' }, { "offered", no_argument, NULL, 'o' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	struct pids attached = { 0 }, all = { 0 };
	bool json = false, every = false, offered = false;
	struct err e;
	for (int opt; (opt = getopt_long(argc, argv, "hao", longopts, NULL)) != -1;) {
		if (opt != 'a' && opt != 'j' && opt != 'o') {
			usage(opt == 'h' ? stdout : stderr);
			return opt == 'h' ? CLI_OK : CLI_USAGE;
		}
		json |= opt == 'j';
		every |= opt == 'a';
		offered |= opt == 'o';
	}
	if (optind < argc) {
		usage(stderr);
		return CLI_USAGE;
	}
	if (keep_pids(&attached.v, &attached.cnt, &e)) {
		cli_error("%s", e.msg);
		return CLI_ERROR;
	}
	if (!attached.cnt && !every && !offered && !json && isatty(STDERR_FILENO))
		cli_hint("no process is attached; -a shows all that can be traced");
	if (attached.cnt)
		qsort(attached.v, attached.cnt, sizeof(*attached.v), compare);
	if (every || offered) /* of both, all */
		collect(&all, every ? may_trace : has_offer, every && may_any() ? "" : NULL);
	for (uint32_t i = 0; every && i < attached.cnt; i++)
		if (!has(&all, attached.v[i]))
			add(&all, attached.v[i]);
	if (every && all.cnt)
		qsort(all.v, all.cnt, sizeof(*all.v), compare);
	show(every || offered ? &all : &attached, &attached, every, json);
	free(all.v);
	free(attached.v);
	return fflush(stdout) ? CLI_ERROR : CLI_OK;
}
