/* SPDX-License-Identifier: MIT */
#include "cli/wanted.h"

#include "base/base.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

/* Those that stand alone. */
static char *first_colon(char *text)
{
	char *at = strchr(text, ':');
	while (at && at[1] == ':')
		at = strchr(at + strspn(at, ":"), ':');
	return at;
}

static char *last_colon(char *text)
{
	char *at = strrchr(text, ':');
	return at && (at == text || at[-1] != ':') ? at : NULL;
}

/* Where the provider ends; NULL: none is named. */
static char *pid_end(char *text)
{
	if (strncmp(text, "pid", 3))
		return NULL;
	char *end = text + 3 + (strncmp(text + 3, "$target", 7) ? strspn(text + 3, "0123456789") : 7);
	return *end == ':' ? end : NULL;
}

static bool is_name(const char *s) { return !*s || isdigit((unsigned char)*s) || !strcmp(s, "entry") || !strcmp(s, "return"); }

/* With a provider there are four parts, and the last one is the name, whatever it is. */
static void cut_name(char *text, bool always, struct wanted *ret)
{
	char *at = last_colon(text);
	if (!at || (!always && !is_name(at + 1)))
		return;
	*at = 0;
	ret->name = at + 1;
}

static bool is_module_only(char *text, bool may_end)
{
	size_t n = strcspn(text, ":");
	if ((!text[n] && !may_end) || text[n + strspn(text + n, ":")])
		return false;
	text[n] = 0;
	return true;
}

void wanted_functions(char *text, struct wanted *ret)
{
	char *pid = pid_end(text), *colon;
	*ret = (struct wanted){ "", "", "", "" };
	text = pid ? pid + 1 : text;
	if (is_module_only(text, pid != NULL)) {
		ret->mod = text;
		return;
	}
	colon = pid ? strchr(text, ':') : NULL;
	cut_name(colon ? colon + 1 : text, pid != NULL, ret);
	colon = pid ? colon : first_colon(text);
	ret->func = colon ? colon + 1 : text;
	if (colon) {
		*colon = 0;
		ret->mod = text;
	}
}

void wanted_usdt(char *text, struct wanted *ret)
{
	const char **const to[] = { &ret->name, &ret->func, &ret->mod, &ret->prov };
	char *parts[4] = { text };
	uint32_t n = 0;
	*ret = (struct wanted){ "", "", "", "" };
	for (char *at = text; at; n++) {
		parts[n] = at;
		at = n < 3 ? strchr(at, ':') : NULL;
		if (at)
			*at++ = 0;
	}
	for (uint32_t i = 0; i < n; i++)
		*to[i] = parts[n - 1 - i];
}
