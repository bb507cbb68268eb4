/* SPDX-License-Identifier: MIT */
#include "tracer/tracer_int.h"

#include <inttypes.h>
#include <string.h>

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
		export_print_text(fp, (const char *)s, strnlen((const char *)s, bytes), true);
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

void tracer_show_hits(const struct tracer_point *tp, const uint64_t hits[TRACER_AT_CNT], FILE *out, bool json)
{
	unsigned long long came = hits[TRACER_ENTRY] + hits[TRACER_POINT], returned = hits[TRACER_RETURN];
	if (json && tp->both)
		fprintf(out, ",\"hits\":%llu,\"returns\":%llu", came, returned);
	else if (json)
		fprintf(out, ",\"hits\":%llu", came);
	else if (tp->both)
		fprintf(out, "%llu entered, %llu returned\n", came, returned);
	else
		fprintf(out, "%llu hits\n", came);
}
