/* SPDX-License-Identifier: MIT */
/* Tracers that others wrote (include/dyntrace/tracer.h). */
#include "tracer/tracer_int.h"

#include <dlfcn.h>
#include <dyntrace/tracer.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct plugin {
	struct tracer tracer;
	const struct dyntrace_tracer *theirs;
	struct plugin *next;
};
static struct plugin *loaded;

struct state {
	char **argv; /* owned */
	int argc;
	bool begun;
	void *theirs;
	char *text;  /* of values, each with its NUL */
	size_t bytes;
	FILE *fp;
	struct dyntrace_value *values; /* owned */
};

static const struct dyntrace_tracer *of(const struct tracer_point *tp)
{
	return ((const struct plugin *)((const char *)tp->tracer - offsetof(struct plugin, tracer)))->theirs;
}

static int parse(struct tracer_point *tp, int argc, char *const *argv, struct err *reterr)
{
	struct state *s = tp->state;
	s->argv = calloc((size_t)argc + 1, sizeof(*s->argv));
	for (; s->argv && s->argc < argc; s->argc++)
		if (!(s->argv[s->argc] = strdup(argv[s->argc])))
			break;
	return s->argv && s->argc == argc ? 0 : err_setf(reterr, -ENOMEM, "out of memory");
}

static void text(struct tracer_point *tp, enum tracer_at at, FILE *out)
{
	fprintf(out, "{ %s }", *tp->at[at].stmts ? tp->at[at].stmts : "trace(0);");
}

static int begin(struct tracer_point *tp, struct err *reterr)
{
	struct state *s = tp->state;
	const struct dyntrace_tracepoint at = { tp->name, tp->place, (uint32_t)tp->host->pid, tp->both };
	char why[ERR_MSG_MAX] = "";
	uint32_t most = 0;
	for (uint32_t a = 0; a < TRACER_AT_CNT; a++)
		most = tp->at[a].field_cnt > most ? tp->at[a].field_cnt : most;
	s->values = calloc(most + 1ul, sizeof(*s->values));
	s->fp = s->values ? open_memstream(&s->text, &s->bytes) : NULL;
	if (!s->fp)
		return err_setf(reterr, -ENOMEM, "out of memory");
	if (of(tp)->begin && of(tp)->begin(&at, s->argc, s->argv, &s->theirs, why, sizeof(why)))
		return err_setf(reterr, -EINVAL, "%s", *why ? why : "the tracer refused");
	s->begun = true;
	return 0;
}

/* Texts first: the stream moves its memory as it grows. */
static uint32_t fill_values(struct tracer_point *tp, const struct tracer_event *e)
{
	struct state *s = tp->state;
	const struct tracer_part *p = &tp->at[e->at];
	rewind(s->fp);
	for (uint32_t i = 0; i < p->field_cnt; i++) {
		tracer_print_value(tp, e, i, s->fp);
		putc(0, s->fp);
	}
	if (fflush(s->fp))
		return 0;
	const char *at = s->text;
	for (uint32_t i = 0; i < p->field_cnt; i++, at += strlen(at) + 1)
		s->values[i] = (struct dyntrace_value){ .name = p->fields[i].name, .text = at, .number = p->fields[i].type == EXPORT_STR ? 0 :
							consume_event_int(e->ev, &e->clause->acts[i].vals[0]) };
	return p->field_cnt;
}

static int on_event(struct tracer_point *tp, const struct tracer_event *e, struct err *reterr)
{
	struct state *s = tp->state;
	const struct consume_event *ev = e->ev;
	struct consume_probe where;
	(void)reterr;
	consume_event_probe(tp->host->consume, ev, &where);
	struct dyntrace_hit h = { .at = (int)e->at, .ns = ev->ns + (uint64_t)tp->host->real_offset_ns, .pid = ev->pid, .tid = ev->tid,
				  .cpu = ev->cpu, .address = e->addr, .process = ev->execname, .module = where.mod, .function = where.func,
				  .fault = ev->fault ? consume_fault_text(ev->fault) : NULL, .values = s->values };
	h.value_cnt = ev->fault ? 0 : fill_values(tp, e);
	of(tp)->hit(s->theirs, &h);
	return 0;
}

static void show(struct tracer_point *tp, FILE *out, bool json)
{
	struct state *s = tp->state;
	if (of(tp)->show && s->begun)
		of(tp)->show(s->theirs, out, json);
}

static void end(struct tracer_point *tp)
{
	struct state *s = tp->state;
	if (of(tp)->end && s->begun)
		of(tp)->end(s->theirs);
	for (int i = 0; s->argv && i < s->argc; i++)
		free(s->argv[i]);
	free(s->argv);
	if (s->fp)
		fclose(s->fp);
	free(s->text);
	free(s->values);
}

/* ---- finding them ---- */

/* Code that runs with the rights of whoever uses it: nobody but root may have written it. */
static bool is_roots(int fd, mode_t type, bool sticky)
{
	struct stat st;
	return !fstat(fd, &st) && !st.st_uid && (st.st_mode & S_IFMT) == type && (!(st.st_mode & 022) || (sticky && st.st_mode & S_ISVTX));
}

/* Each folder down to it, and no link: what was looked at is what is used.  In a sticky one nobody can move what is root's.
 * -1: not root's alone. */
static int open_folder(char *path)
{
	char *rest = path;
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (const char *name; fd >= 0 && (name = strtok_r(rest, "/", &rest));) {
		int next = is_roots(fd, S_IFDIR, true) ? openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
		close(fd);
		fd = next;
	}
	return fd;
}

static int open_in(char *dir, const char *name)
{
	char file[NAME_MAX + 1];
	struct stat st;
	int fd = -1, folder = open_folder(dir);
	snprintf(file, sizeof(file), "%s.so", name);
	if (folder >= 0 && is_roots(folder, S_IFDIR, false) && !fstatat(folder, file, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode))
		fd = openat(folder, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (folder >= 0)
		close(folder);
	if (fd < 0 || is_roots(fd, S_IFREG, false))
		return fd;
	close(fd);
	return -1;
}

/* Folders of tracers: beside the program, and in the libraries of where it is installed. False behind the last. */
static bool folder_nth(size_t i, char *buf, size_t cap)
{
	static const char *const places[] = { "tracers", "lib/dyntrace/tracers", "lib/x86_64-linux-gnu/dyntrace/tracers", "lib64/dyntrace/tracers" };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n <= 0 || i >= ARRAY_CNT(places))
		return false;
	self[n] = 0;
	for (size_t up = 0; up < (i ? 2 : 1); up++)
		*(strrchr(self, '/') ?: self) = 0;
	return snprintf(buf, cap, "%s/%s", self, places[i]) < (int)cap;
}

static int not_found(const char *name, struct err *reterr)
{
	char *list = NULL, dir[PATH_MAX];
	size_t bytes;
	FILE *fp = open_memstream(&list, &bytes);
	for (size_t i = 0; fp && folder_nth(i, dir, sizeof(dir)); i++)
		fprintf(fp, "%s%s", i ? ", " : "", dir);
	int r = err_setf(reterr, -ENOENT, "%s.so is not in %s", name, fp && !fclose(fp) ? list : "its folders");
	free(list);
	return r;
}

/* Opened. */
static int find(const char *name, char path[PATH_MAX], struct err *reterr)
{
	char dir[PATH_MAX];
	for (size_t i = 0; folder_nth(i, dir, sizeof(dir)); i++) {
		if (snprintf(path, PATH_MAX, "%s/%s.so", dir, name) >= PATH_MAX || access(path, F_OK))
			continue;
		int fd = open_in(dir, name);
		return fd >= 0 ? fd : err_setf(reterr, -EPERM, "%s is not loaded: it and its folders must be root's, nobody else's to write to, "
					       "and no links", path);
	}
	return not_found(name, reterr);
}

static const struct tracer *make(const char *name, const struct dyntrace_tracer *theirs)
{
	struct plugin *p = calloc(1, sizeof(*p));
	char *copy = p ? strdup(name) : NULL;
	if (!copy) {
		free(p);
		return NULL;
	}
	p->theirs = theirs;
	p->tracer = (struct tracer){ .name = copy, .args = theirs->args ? theirs->args : "", .help = theirs->help ? theirs->help : "",
				     .state_bytes = sizeof(struct state), .parse = parse, .text = text, .begin = begin, .on_event = on_event,
				     .show = show, .end = end };
	p->next = loaded;
	loaded = p;
	return &p->tracer;
}

const struct tracer *tracer_load(const char *name, struct err *reterr)
{
	char path[PATH_MAX], opened[32];
	reterr->msg[0] = 0;
	for (const struct plugin *p = loaded; p; p = p->next)
		if (!strcmp(p->tracer.name, name))
			return &p->tracer;
	if (!*name || name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")]) {
		err_setf(reterr, -ENOENT, "no name of one");
		return NULL;
	}
	int fd = find(name, path, reterr);
	snprintf(opened, sizeof(opened), "/proc/self/fd/%d", fd);
	void *lib = fd >= 0 ? dlopen(opened, RTLD_NOW | RTLD_LOCAL) : NULL;
	const struct dyntrace_tracer *theirs = lib ? dlsym(lib, "dyntrace_tracer") : NULL;
	/* It stays open: the loader knows libraries by these names. */
	if (theirs && theirs->version == DYNTRACE_TRACER_VERSION && theirs->bytes >= sizeof(*theirs) && theirs->hit)
		return make(name, theirs);
	if (lib) {
		err_setf(reterr, -EINVAL, "%s is no tracer of version %d: it must export a struct dyntrace_tracer called dyntrace_tracer "
			 "(dyntrace-tracer(3))", path, DYNTRACE_TRACER_VERSION);
		dlclose(lib);
	} else if (!reterr->msg[0]) {
		err_setf(reterr, -EINVAL, "%s cannot be loaded: %s", path, dlerror());
	}
	if (fd >= 0)
		close(fd);
	return NULL;
}
