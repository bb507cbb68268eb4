/* SPDX-License-Identifier: MIT */
/* What people write for a probe, in their ways of writing it. */
#include "cli/record_int.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool is_hex(const char *s)
{
	s += s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? 2 : 0;
	return *s && strspn(s, "0123456789abcdefABCDEF") == strlen(s);
}

static bool is_name(const char *s) { return !*s || !strcmp(s, "entry") || !strcmp(s, "return") || is_hex(s); }

static char empty[] = "", any_pid[] = "pid$target";

/* PROVIDER:MODULE:FUNC:NAME from the right, as D has it; where the last one is no name of a probe, the
 * name was left out.  "::" of C++ makes parts that cannot be meant: then all of it is a function. */
static void split_desc(char *desc, struct record_probe *r)
{
	char *parts[4], *copy = strdup(desc);
	uint32_t n = 0;
	for (char *at = desc; n < 4; n++) {
		parts[n] = at;
		at = strchr(at, ':');
		if (!at)
			break;
		*at++ = 0;
	}
	n = n < 4 ? n + 1 : 4;
	r->prov = any_pid;
	r->mod = empty;
	r->name = n > 1 ? parts[n - 1] : empty;
	r->func = n > 1 ? parts[n - 2] : parts[0];
	if (n > 2)
		r->mod = parts[n - 3];
	if (n > 3 && *parts[0])
		r->prov = parts[0];
	if (n > 1 && n < 4 && copy && !is_name(r->name)) {
		bool cpp = strstr(copy, "::") != NULL;
		if (cpp)
			strcpy(desc, copy);
		r->prov = !cpp && n > 2 ? r->mod : any_pid;
		r->mod = cpp ? empty : r->func;
		r->func = cpp ? desc : r->name;
		r->name = empty;
	}
	free(copy);
}

/* FUNC%return, FUNC+OFFSET */
static void perf_forms(struct record_probe *r)
{
	char *at = strchr(r->func, '%');
	if (at && !strcmp(at, "%return")) {
		*at = 0;
		r->name = at + 1;
		return;
	}
	at = strrchr(r->func, '+');
	if (at && at != r->func && is_hex(at + 1) && !strstr(r->func, "operator")) {
		*at = 0;
		r->name = at + 1;
	}
}

int cli_record_probe_parse(const char *arg, struct record_probe *r)
{
	*r = (struct record_probe){ .text = strdup(arg) };
	char *at = r->text, *save = NULL;
	char *desc = at ? strtok_r(at, " \t", &save) : NULL;
	if (!desc) {
		cli_error("a PROBE is empty");
		return CLI_ERROR;
	}
	for (char *w; (w = strtok_r(NULL, " \t", &save));) {
		size_t len = strspn(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
		bool ok = (len && w[len] == '=' && !isdigit((unsigned char)*w)) || (len && !w[len]) || !strcmp(w, "$retval");
		if (!ok || r->field_cnt == ARRAY_CNT(r->fields)) {
			cli_error("%s: '%s' is not NAME=EXPRESSION, the name of a parameter, or $retval", arg, w);
			return CLI_ERROR;
		}
		r->fields[r->field_cnt++] = w;
	}
	split_desc(desc, r);
	perf_forms(r);
	r->both = !*r->name;
	return CLI_OK;
}
