/* SPDX-License-Identifier: MIT */
#include "tracer/tracer_int.h"

#include <inttypes.h>
#include <string.h>

void tracer_print_text(FILE *fp, const uint8_t *s, uint32_t bytes)
{
	putc('"', fp);
	for (uint32_t i = 0; i < bytes; i++) {
		uint8_t c = s[i];
		if (c == '"' || c == '\\')
			fprintf(fp, "\\%c", c);
		else if (c == '\n')
			fputs("\\n", fp);
		else if (c == '\t')
			fputs("\\t", fp);
		else if (c < ' ' || c == 0x7f)
			fprintf(fp, "\\u%04x", c);
		else
			putc(c, fp);
	}
	putc('"', fp);
}

static void print_float(FILE *fp, int64_t bits, enum export_type type)
{
	float f;
	double d;
	memcpy(&f, &bits, sizeof(f));
	memcpy(&d, &bits, sizeof(d));
	fprintf(fp, "%.*g", type == EXPORT_F32 ? 9 : 17, type == EXPORT_F32 ? (double)f : d);
}

void tracer_print_value(const struct tracer_point *tp, const struct tracer_event *e, uint32_t i, FILE *fp)
{
	enum export_type type = tp->at[e->at].fields[i].type;
	const struct plan_val *v = &e->clause->acts[i].vals[0];
	uint32_t bytes;
	if (type == EXPORT_STR) {
		const uint8_t *s = consume_event_bytes(tp->host->consume, e->ev, v, &bytes);
		tracer_print_text(fp, s, (uint32_t)strnlen((const char *)s, bytes));
		return;
	}
	int64_t n = consume_event_int(e->ev, v);
	if (type == EXPORT_F32 || type == EXPORT_F64)
		print_float(fp, n, type);
	else if (type == EXPORT_HEX)
		fprintf(fp, "0x%" PRIx64, (uint64_t)n);
	else if (type >= EXPORT_U8 && type <= EXPORT_U64)
		fprintf(fp, "%" PRIu64, (uint64_t)n);
	else
		fprintf(fp, "%" PRId64, n);
}
