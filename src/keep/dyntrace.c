/* SPDX-License-Identifier: MIT */
/* libdyntrace.so: the public interface, which only asks keepers; the program `dyntrace` begins them. */
#include "keep/keep.h"

#include <dyntrace/dyntrace.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 200

extern char **environ;

static int fail(struct dyntrace_error *err, int code, const char *text)
{
	if (err) {
		err->code = code;
		snprintf(err->message, sizeof(err->message), "%.*s", (int)strcspn(text, "\n"), text);
	}
	return code;
}

/* Beside this library, in the program folder of where it is installed, or wherever the shell would find it. */
static void find_program(char *buf, size_t cap)
{
	static const char *const places[] = { "dyntrace", "../bin/dyntrace", "../../bin/dyntrace", "../../dyntrace" };
	Dl_info info;
	struct stat st;
	const char *slash = dladdr((void *)dyntrace_attach, &info) ? strrchr(info.dli_fname, '/') : NULL;
	for (size_t i = 0; slash && i < ARRAY_CNT(places); i++) {
		snprintf(buf, cap, "%.*s/%s", (int)(slash - info.dli_fname), info.dli_fname, places[i]);
		if (!stat(buf, &st) && S_ISREG(st.st_mode) && !access(buf, X_OK))
			return;
	}
	snprintf(buf, cap, "dyntrace");
}

/* The end of what is said until the other end is closed: who says more than fits a pipe would wait for a reader, and
 * the reason comes last. */
static void read_said(int fd, char *buf, size_t cap)
{
	size_t n = 0, half = cap / 2;
	ssize_t got;
	while ((got = read(fd, buf + n, cap - 1 - n)) > 0 || (got < 0 && errno == EINTR)) {
		n += got > 0 ? (size_t)got : 0;
		if (n + 1 < cap)
			continue;
		memmove(buf, buf + half, n - half);
		n -= half;
	}
	buf[n] = 0;
}

/* The last sentence with the program's name in front. */
static const char *last_said(const char *said)
{
	static const char name[] = "dyntrace: ";
	const char *last = said;
	for (const char *at = said; (at = strstr(at, name)); at = last)
		last = at + sizeof(name) - 1;
	return last;
}

static int run_attach(pid_t pid, struct dyntrace_error *err)
{
	char path[4300], number[16], said[1024] = "", verb[] = "attach";
	char *argv[] = { path, verb, number, NULL };
	int p[2], status = -1;
	pid_t child;
	posix_spawn_file_actions_t acts;
	find_program(path, sizeof(path));
	snprintf(number, sizeof(number), "%d", (int)pid);
	if (pipe2(p, O_CLOEXEC))
		return fail(err, -errno, strerror(errno));
	posix_spawn_file_actions_init(&acts);
	posix_spawn_file_actions_adddup2(&acts, p[1], STDERR_FILENO);
	int r = posix_spawnp(&child, path, &acts, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&acts);
	close(p[1]);
	if (!r)
		read_said(p[0], said, sizeof(said));
	close(p[0]);
	if (r)
		return fail(err, -r, "the program dyntrace was not found: it has to be installed beside libdyntrace, or be in PATH");
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	const char *text = last_said(said);
	return fail(err, -EPERM, *text ? text : "the process cannot be attached");
}

int dyntrace_attach(pid_t pid, struct dyntrace_error *err)
{
	int fd = keep_connect(pid, NULL);
	if (fd < 0)
		return run_attach(pid, err);
	close(fd);
	return 0;
}

/* @ret_out may be NULL. */
static int ask(pid_t pid, int argc, const char *const *argv, char **ret_out, struct dyntrace_error *err)
{
	char *out = NULL, *said = NULL;
	struct err e;
	int r = keep_ask(pid, argc, argv, &out, &said, &e);
	if (r < 0)
		return fail(err, r, e.msg);
	/* What was said before the reason is about other tracepoints. */
	const char *last = last_said(said);
	if (r)
		r = fail(err, -EINVAL, *last ? last : "the keeper refused");
	free(said);
	if (!r && ret_out)
		*ret_out = out;
	else
		free(out);
	return r;
}

int dyntrace_detach(pid_t pid, struct dyntrace_error *err)
{
	static const char *const words[] = { "detach" };
	return ask(pid, 1, words, NULL, err);
}

int dyntrace_add(pid_t pid, const char *place, unsigned flags, const char *name, const char *const tracer[], char **ret_name,
		 struct dyntrace_error *err)
{
	const char *words[WORDS_MAX] = { "add" };
	char *out = NULL;
	int n = 1;
	if (!place || !*place || *place == '-' || !tracer || !tracer[0] || (flags & ~DYNTRACE_ENTRY_EXIT))
		return fail(err, -EINVAL, "dyntrace_add() wants a place, a tracer, and flags that exist");
	if (flags & DYNTRACE_ENTRY_EXIT)
		words[n++] = "-e";
	if (name) {
		words[n++] = "-n";
		words[n++] = name;
	}
	words[n++] = place;
	for (int i = 0; tracer[i]; i++) {
		if (n == WORDS_MAX)
			return fail(err, -E2BIG, "too many arguments for a tracer");
		words[n++] = tracer[i];
	}
	int r = dyntrace_attach(pid, err);
	r = r ? r : ask(pid, n, words, &out, err);
	if (r)
		return r;
	out[strcspn(out, "\n")] = 0;
	if (ret_name)
		*ret_name = out;
	else
		free(out);
	return 0;
}

int dyntrace_remove(pid_t pid, const char *name, char **ret_text, struct dyntrace_error *err)
{
	const char *const words[] = { "rm", name };
	if (!name)
		return fail(err, -EINVAL, "dyntrace_remove() wants the name of a tracepoint");
	return ask(pid, 2, words, ret_text, err);
}

int dyntrace_list(pid_t pid, char **ret_json, struct dyntrace_error *err)
{
	static const char *const words[] = { "list-tracepoints", "--json" };
	return ask(pid, 2, words, ret_json, err);
}
