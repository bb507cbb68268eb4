/* SPDX-License-Identifier: MIT */
/* D's printf formats: C's, and %@ %? %a %A %C %k %S %T %Y. */
#include "consume/consume_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *parse_num(const char *p, int *ret)
{
	int n = 0;
	for (; isdigit((unsigned char)*p); p++)
		if (n < FMT_WRITTEN_MAX)
			n = n * 10 + *p - '0';
	*ret = n < FMT_WRITTEN_MAX ? n : FMT_WRITTEN_MAX;
	return p;
}

/* One flag, width, precision or size character; NULL: it is the conversion. */
static const char *parse_mark(const char *p, struct fmt_conv *cv, bool *dot)
{
	size_t n = strlen(cv->size);
	switch (*p) {
	case '0':
		if (*dot || cv->width)
			break;
		cv->flags = (cv->flags | FMT_ZERO) & ~(uint32_t)FMT_LEFT;
		return p + 1;
	case '#': cv->flags |= FMT_ALT; return p + 1;
	case '+': cv->flags |= FMT_PLUS; return p + 1;
	case '-': cv->flags = (cv->flags | FMT_LEFT) & ~(uint32_t)FMT_ZERO; return p + 1;
	case '\'': cv->flags |= FMT_GROUP; return p + 1;
	case ' ': cv->flags |= FMT_SPACE; return p + 1;
	case '@': cv->flags |= FMT_AGG; return p + 1;
	case '?': cv->width = 16; return p + 1;
	case '*': cv->flags |= *dot ? FMT_DYNPREC : FMT_DYNWIDTH; return p + 1;
	case '.': *dot = true; return p + 1;
	case 'h': case 'l': case 'L': case 'w':
		if (n + 1 < sizeof(cv->size))
			cv->size[n] = *p;
		return p + 1;
	}
	return isdigit((unsigned char)*p) ? parse_num(p, *dot ? &cv->prec : &cv->width) : NULL;
}

static int parse_conv(const char **pp, struct fmt_conv *cv, struct err *reterr)
{
	const char *p = *pp + 1, *next;
	bool dot = false;
	while ((next = parse_mark(p, cv, &dot)))
		p = next;
	if (!*p || !strchr("aAcCdeEfgGikopsSTuxXY%", *p))
		return err_setf(reterr, -EINVAL, "printf conversion %%%.1s is unknown", p);
	cv->conv = *p;
	*pp = p + 1;
	return 0;
}

int consume_fmt_parse(const char *text, struct fmt *ret, struct err *reterr)
{
	uint32_t cap = 1;
	for (const char *p = text; *p; p++)
		cap += *p == '%';
	struct fmt f = { .copy = strdup(text), .convs = calloc(cap, sizeof(*f.convs)) };
	int rc = f.copy && f.convs ? 0 : err_setf(reterr, -ENOMEM, "out of memory");
	for (const char *p = f.copy; !rc && *p;) {
		struct fmt_conv *cv = &f.convs[f.cnt++];
		cv->text = p;
		cv->text_len = (uint32_t)strcspn(p, "%");
		p += cv->text_len;
		if (*p)
			rc = parse_conv(&p, cv, reterr);
	}
	if (rc)
		consume_fmt_deinit(&f);
	else
		*ret = f;
	return rc;
}

void consume_fmt_deinit(struct fmt *f)
{
	if (!f)
		return;
	free(f->copy);
	free(f->convs);
	*f = (struct fmt){ 0 };
}
