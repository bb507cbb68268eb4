/* SPDX-License-Identifier: MIT */
/* Stability: how much of an interface may be relied upon. */
#include "d/d_int.h"

#include <strings.h>

/* ORDER enum d_stability, enum d_class */
static const char *const stabilities[] = {
	"Internal", "Private", "Obsolete", "External", "Unstable", "Evolving", "Stable", "Standard",
};
static const char *const classes[] = { "Unknown", "CPU", "Platform", "Group", "ISA", "Common" };

const char *d_stability_name(uint8_t v)
{
	return v < ARRAY_CNT(stabilities) ? stabilities[v] : "?";
}

const char *d_class_name(uint8_t v)
{
	return v < ARRAY_CNT(classes) ? classes[v] : "?";
}

/* One component of "name/data/class" from @s, NULL after a mistake; returns what follows. Without any, *ret stays. */
static const char *component(const char *s, const char *const *names, size_t cnt, uint8_t *ret)
{
	size_t len = s ? strcspn(s, "/") : 0;
	if (!len)
		return s;
	for (size_t i = 0; i < cnt; i++)
		if (strlen(names[i]) == len && !strncasecmp(names[i], s, len)) {
			*ret = (uint8_t)i;
			return s + len + (s[len] == '/');
		}
	return NULL;
}

bool d_attr_parse(const char *s, struct d_attr *ret)
{
	struct d_attr a = D_ATTR_BEST;
	s = component(s, stabilities, ARRAY_CNT(stabilities), &a.name);
	s = component(s, stabilities, ARRAY_CNT(stabilities), &a.data);
	s = component(s, classes, ARRAY_CNT(classes), &a.class);
	if (!s || *s)
		return false;
	*ret = a;
	return true;
}

static uint8_t lesser(uint8_t a, uint8_t b) { return a < b ? a : b; }

struct d_attr d_attr_min(struct d_attr a, struct d_attr b)
{
	return (struct d_attr){ lesser(a.name, b.name), lesser(a.data, b.data), lesser(a.class, b.class) };
}
