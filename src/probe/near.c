/* SPDX-License-Identifier: MIT */
#include "probe/probe_int.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define LEN_MAX 64

static uint32_t min3(uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t m = a < b ? a : b;
	return m < c ? m : c;
}

/* Levenshtein's distance, case aside. */
static uint32_t distance(const char *a, const char *b)
{
	uint32_t row[LEN_MAX + 1], la = (uint32_t)strnlen(a, LEN_MAX), lb = (uint32_t)strnlen(b, LEN_MAX);
	for (uint32_t j = 0; j <= lb; j++)
		row[j] = j;
	for (uint32_t i = 1; i <= la; i++) {
		uint32_t diag = row[0];
		row[0] = i;
		for (uint32_t j = 1; j <= lb; j++) {
			uint32_t cost = tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]);
			uint32_t next = min3(row[j] + 1, row[j - 1] + 1, diag + cost);
			diag = row[j];
			row[j] = next;
		}
	}
	return row[lb];
}

void near_offer(struct near *n, const char *name)
{
	uint32_t la = (uint32_t)strlen(n->want), lb = (uint32_t)strlen(name);
	if ((la > lb ? la - lb : lb - la) > 3 || lb >= sizeof(n->best[0].name))
		return;
	uint32_t d = distance(n->want, name);
	if (d > 1 + la / 4)
		return;
	for (uint32_t i = 0; i < n->cnt; i++)
		if (!strcmp(n->best[i].name, name))
			return;
	uint32_t at = n->cnt < ARRAY_CNT(n->best) ? n->cnt++ : ARRAY_CNT(n->best) - 1;
	if (at == ARRAY_CNT(n->best) - 1 && n->cnt == ARRAY_CNT(n->best) && n->best[at].name[0] && n->best[at].distance <= d)
		return;
	for (; at && n->best[at - 1].distance > d; at--)
		n->best[at] = n->best[at - 1];
	snprintf(n->best[at].name, sizeof(n->best[at].name), "%s", name);
	n->best[at].distance = d;
}

void near_print(const struct near *n, char *buf, size_t cap)
{
	size_t len = 0;
	buf[0] = 0;
	for (uint32_t i = 0; i < n->cnt && len < cap; i++)
		len += (size_t)snprintf(buf + len, cap - len, "%s%s", i ? ", " : "; near names: ", n->best[i].name);
}
