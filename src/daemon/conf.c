/* SPDX-License-Identifier: MIT */
#include "daemon/daemon_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void conf_init(struct conf *c)
{
	*c = (struct conf){ .group = "dyntrace", .kernel = -1, .memory_max = 1ull << 30, .probe_max = 1u << 18,
			    .client_max = 64, .client_max_each = 16 };
}

bool conf_kernel(const struct conf *c) { return c->kernel < 0 ? !c->own_only : c->kernel; }

static bool number(const char *s, uint64_t max, uint64_t *ret)
{
	char *end;
	errno = 0;
	unsigned long long v = strtoull(s, &end, 10);
	if (errno || end == s || *s == '-')
		return false;
	const char *units = "kmg", *u = *end ? strchr(units, tolower((unsigned char)*end)) : NULL;
	for (const char *p = units; u && p <= u; p++)
		v = v > UINT64_MAX >> 10 ? UINT64_MAX : v << 10;
	end += u != NULL;
	if (*end || v > max || !v)
		return false;
	*ret = v;
	return true;
}

static bool yes_or_no(const char *s, bool *ret)
{
	*ret = !strcmp(s, "yes");
	return *ret || !strcmp(s, "no");
}

static bool set(struct conf *c, const char *key, const char *val)
{
	uint64_t v = 0;
	bool b = false, ok = true;
	if (!strcmp(key, "group")) {
		ok = *val && strlen(val) < sizeof(c->group);
		if (ok)
			strcpy(c->group, val);
	} else if (!strcmp(key, "processes")) {
		ok = !strcmp(val, "own") || !strcmp(val, "any");
		c->own_only = !strcmp(val, "own");
	} else if (!strcmp(key, "destructive")) {
		ok = yes_or_no(val, &c->destructive);
	} else if (!strcmp(key, "kernel")) {
		ok = yes_or_no(val, &b);
		c->kernel = b;
	} else if (!strcmp(key, "memory")) {
		ok = number(val, 1ull << 40, &c->memory_max);
	} else if (!strcmp(key, "probes")) {
		ok = number(val, 1u << 28, &c->probe_max);
	} else if (!strcmp(key, "clients")) {
		ok = number(val, 4096, &v);
		c->client_max = (uint32_t)v;
	} else {
		ok = number(val, 4096, &v);
		c->client_max_each = (uint32_t)v;
	}
	return ok;
}

static char *trim(char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	size_t len = strlen(s);
	while (len && isspace((unsigned char)s[len - 1]))
		s[--len] = 0;
	return s;
}

int conf_line(struct conf *c, char *line, struct err *reterr)
{
	static const char *const keys[] = { "group", "processes", "destructive", "kernel", "memory", "probes", "clients",
					    "clients-of-a-user" };
	struct conf tried = *c;
	char *hash = strchr(line, '#');
	if (hash)
		*hash = 0;
	char *key = trim(line), *eq = strchr(key, '=');
	if (!*key)
		return 0;
	if (!eq)
		return err_setf(reterr, -EINVAL, "\"%s\": it should read KEY = VALUE", key);
	*eq = 0;
	char *val = trim(eq + 1);
	key = trim(key);
	for (size_t i = 0; i < ARRAY_CNT(keys); i++) {
		if (strcmp(key, keys[i]))
			continue;
		if (!set(&tried, key, val))
			return err_setf(reterr, -EINVAL, "\"%s\" is no value for %s", val, key);
		*c = tried;
		return 0;
	}
	return err_setf(reterr, -EINVAL, "there is no \"%s\"", key);
}

int conf_read(struct conf *c, const char *path, bool must, struct err *reterr)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;
	int rc = 0, nr = 0;
	if (!f && errno == ENOENT && !must)
		return 0;
	if (!f)
		return err_setf(reterr, -errno, "%s: %s", path, strerror(errno));
	while (!rc && getline(&line, &cap, f) >= 0) {
		nr++;
		rc = conf_line(c, line, reterr);
	}
	if (rc)
		err_prefixf(reterr, "%s, line %d", path, nr);
	free(line);
	fclose(f);
	return rc;
}
