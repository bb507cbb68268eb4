/* SPDX-License-Identifier: MIT */
/* What people write for a probe, in their ways of writing it. */
#include "cli/record/record_int.h"

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

/* Cuts at single colons; parts behind the fourth stay in it. */
static uint32_t cut(char *desc, char *parts[4])
{
	uint32_t n = 0;
	for (char *at = desc; at; n++) {
		parts[n] = at;
		at = n < 3 ? strchr(at, ':') : NULL;
		if (at)
			*at++ = 0;
	}
	return n;
}

/* Names of C++ hold colons: what may precede such a function is nothing, what may follow is a probe's name. */
static void split_cpp(char *desc, struct record_probe *r)
{
	char *last = strrchr(desc, ':');
	r->func = desc;
	if (last && last > desc && last[-1] != ':' && is_name(last + 1)) {
		*last = 0;
		r->name = last + 1;
	}
}

static bool is_kernel(const char *s)
{
	static const char *const kernel[] = { "syscall", "fbt", "rawfbt", "sdt", "rawtp", "proc", "sched", "io", "ip", "tcp", "udp",
					      "lockstat", "cpc", "profile", "vminfo", "sysinfo" };
	for (size_t i = 0; i < ARRAY_CNT(kernel); i++)
		if (!strcmp(s, kernel[i]))
			return true;
	return !strncmp(s, "profile-", 8);
}

static bool is_provider(const char *s)
{
	size_t n = strlen(s);
	return is_kernel(s) || !strcmp(s, "dtrace") || (n && (strchr(s, '$') || !strcmp(s, "pid") || isdigit((unsigned char)s[n - 1])));
}

bool cli_record_is_kernel(const struct record_probe *r) { return is_kernel(r->prov); }

/* PROVIDER:MODULE:FUNC:NAME from the right, as D has it; where the last one is no name of a probe, the name
 * was left out. */
static void split_desc(char *desc, struct record_probe *r)
{
	char *parts[4], *copy = strdup(desc);
	bool cpp = copy && strstr(copy, "::");
	uint32_t n = cut(desc, parts);
	r->prov = any_pid;
	r->mod = r->name = empty;
	r->func = parts[0];
	if (cpp && !(n == 4 && is_provider(parts[0]) && !strchr(parts[3], ':'))) {
		strcpy(desc, copy);
		split_cpp(desc, r);
	} else if (n > 1) {
		bool named = n == 4 || is_name(parts[n - 1]);
		char **func = &parts[named ? n - 2 : n - 1];
		r->func = *func;
		r->name = named ? parts[n - 1] : empty;
		r->mod = func > parts ? func[-1] : empty;
		if (func > parts + 1 && *func[-2])
			r->prov = func[-2];
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

/* The description: with the parameters of a C++ function, which have blanks in them. */
static char *first_word(char *at, char **save)
{
	at += strspn(at, " \t");
	size_t len = strcspn(at, " \t"), paren = strcspn(at, "(=");
	if (at[paren] == '(' && strrchr(at, ')')) {
		len = (size_t)(strrchr(at, ')') + 1 - at);
		len += strncmp(at + len, " const", 6) ? 0 : 6;
		len += strcspn(at + len, " \t");
	}
	*save = at + len + (at[len] != 0);
	at[len] = 0;
	return len ? at : NULL;
}

int cli_record_probe_parse(const char *arg, struct record_probe *r)
{
	*r = (struct record_probe){ .text = strdup(arg) };
	char *at = r->text, *save = NULL;
	char *desc = at ? first_word(at, &save) : NULL;
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
