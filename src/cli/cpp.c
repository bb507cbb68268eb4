/* SPDX-License-Identifier: MIT */
/* -C: scripts go through the C preprocessor. */
#include "cli/cli_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

char *cli_read_all(FILE *fp)
{
	size_t cap = 4096, len = 0, n;
	char *text = malloc(cap);
	while (text && (n = fread(text + len, 1, cap - len - 1, fp)) > 0) {
		len += n;
		if (len + 1 < cap)
			continue;
		char *t = realloc(text, cap *= 2);
		if (!t)
			free(text);
		text = t;
	}
	if (text)
		text[len] = 0;
	return text;
}

/* A file that holds @text, at its start. A first line with the interpreter's
 * name stays empty, so that lines keep their numbers. */
static FILE *file_of(const char *text)
{
	FILE *fp = tmpfile();
	if (!fp)
		return NULL;
	if (!strncmp(text, "#!", 2))
		text += strcspn(text, "\n");
	fputs(text, fp);
	if (fflush(fp) == EOF || fseek(fp, 0, SEEK_SET)) {
		fclose(fp);
		return NULL;
	}
	return fp;
}

static _Noreturn void exec_cpp(const struct cli_options *o, FILE *in, FILE *out)
{
	static const char *const fixed[] = { "-D__linux", "-D__unix", "-D__SVR4", "-D__SUNW_D=1",
					     "-D__SUNW_D_VERSION=0x02000000", "-D__amd64", "-U__GNUC__", "-std=c99" };
	const char *argv[CLI_CPP_ARGS + ARRAY_CNT(fixed) + 3], *path = o->cpp_path ? o->cpp_path : "cpp";
	uint32_t n = 0;
	argv[n++] = path;
	for (size_t i = 0; i < ARRAY_CNT(fixed); i++)
		argv[n++] = fixed[i];
	for (uint32_t i = 0; i < o->cpp_argc; i++)
		argv[n++] = o->cpp_argv[i];
	argv[n++] = "/dev/stdin"; /* as messages name it */
	argv[n] = NULL;
	dup2(fileno(in), 0);
	dup2(fileno(out), 1);
	execvp(path, (char *const *)argv);
	_exit(errno == ENOENT ? 127 : 126);
}

static int run_cpp(const struct cli_options *o, FILE *in, FILE *out, struct err *reterr)
{
	int status;
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		return err_setf(reterr, -errno, "Failed to fork preprocessor: %s", strerror(errno));
	if (!pid)
		exec_cpp(o, in, out);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_setf(reterr, -errno, "Failed to exec preprocessor: %s", strerror(errno));
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_setf(reterr, -ENOENT, "Preprocessor not found");
	return err_setf(reterr, -EINVAL, "Preprocessor failed to process input program");
}

char *cli_cpp_run(const struct cli_options *o, const char *text, struct err *reterr)
{
	FILE *in = file_of(text), *out = tmpfile();
	char *ret = NULL;
	int rc = in && out ? run_cpp(o, in, out, reterr) : err_setf(reterr, -EIO, "no temporary file: %s", strerror(errno));
	if (!rc) {
		rewind(out);
		ret = cli_read_all(out);
		if (!ret)
			err_setf(reterr, -ENOMEM, "out of memory");
	}
	if (in)
		fclose(in);
	if (out)
		fclose(out);
	return ret;
}
