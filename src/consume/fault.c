/* SPDX-License-Identifier: MIT */
/* Errors in clauses, in the words of dtrace(1) on Linux: scripts look for them. */
#include "consume/consume_int.h"

#include <stdarg.h>
#include <string.h>

void consume_complain(struct consume *c, const char *fmt, ...)
{
	va_list ap;
	fflush(c->opts.out);
	fprintf(consume_errs(c), "%s: ", c->opts.progname ? c->opts.progname : "dyntrace");
	va_start(ap, fmt);
	vfprintf(consume_errs(c), fmt, ap);
	va_end(ap);
	putc('\n', consume_errs(c));
}

/* ORDER enum wire_fault */
static const char *const fault_text[WIRE_FAULT_CNT] = {
	"unknown fault", "invalid address", "invalid alignment", "illegal operation", "divide-by-zero",
	"out of scratch space", "invalid kernel access", "invalid user access", "tuple stack overflow",
	"bad stack", "invalid size", "index out of bounds", "library-level fault",
	"no return value at a tail call",
};

const char *consume_fault_text(uint32_t fault) { return fault_text[fault < WIRE_FAULT_CNT ? fault : 0]; }

static void fault_value(const struct wire_rec_error *e, char *buf, size_t cap)
{
	buf[0] = 0;
	switch (e->fault) {
	case WIRE_FAULT_BADADDR:
	case WIRE_FAULT_BADALIGN:
	case WIRE_FAULT_BADSTACK:
	case WIRE_FAULT_BADSIZE:
		snprintf(buf, cap, " (0x%llx)", (unsigned long long)e->value);
		break;
	case WIRE_FAULT_BADINDEX:
		snprintf(buf, cap, " (%lld)", (long long)e->value);
		break;
	}
}

/* Scripts that read the messages of dtrace know these words; nobody else knows what they mean. */
static bool as_dtrace(const struct consume *c)
{
	return c->opts.progname && !strcmp(c->opts.progname, "dtrace");
}

static void probe_text(struct consume *c, const struct wire_rec *rec, char *buf, size_t cap)
{
	const struct wire_site *s = consume_site_at(c, rec->site);
	snprintf(buf, cap, "error in %s%u for probe ID %u (%s:%s:%s:%s)", as_dtrace(c) ? "dt_clause_" : "clause ",
		 rec->clause + !as_dtrace(c), s->probe_id,
		 consume_site_str(c, s->prov, NULL), consume_site_str(c, s->mod, NULL),
		 consume_site_str(c, s->func, NULL), consume_site_str(c, s->name, NULL));
}

/* An ERROR clause that fails itself: that fires nothing. */
static bool in_error_probe(const struct consume *c, const struct wire_rec *rec)
{
	const struct wire_site *s = consume_site_at(c, rec->site);
	return !strcmp(consume_site_str(c, s->prov, NULL), "dtrace") &&
	       !strcmp(consume_site_str(c, s->name, NULL), "ERROR");
}

/* What to do about it, where that is known. */
static const char *advice(struct consume *c, const struct wire_rec *rec, const struct wire_rec_error *e)
{
	bool kernel_addr = e->fault == WIRE_FAULT_BADADDR && e->value >> 63;
	enum wire_site_kind kind = (enum wire_site_kind)consume_site_at(c, rec->site)->kind;
	if (as_dtrace(c) || !kernel_addr || kind == WIRE_SITE_KERNEL || (kind == WIRE_SITE_TOOL && c->opts.proc_of))
		return "";
	return ": the kernel's memory is read by probes of the kernel, such as profile-1hz";
}

void consume_fault_report(struct consume *c, const struct wire_rec *rec)
{
	struct wire_rec_error e;
	char where[1200], value[40];
	if (rec->bytes < sizeof(*rec) + sizeof(e))
		return;
	if (in_error_probe(c, rec)) {
		c->double_faults++;
		return;
	}
	memcpy(&e, rec->payload, sizeof(e));
	probe_text(c, rec, where, sizeof(where));
	fault_value(&e, value, sizeof(value));
	char pc[32] = "";
	if (as_dtrace(c))
		snprintf(pc, sizeof(pc), " at BPF pc %u", e.pc);
	consume_complain(c, "%s: %s%s%s%s", where, fault_text[e.fault < WIRE_FAULT_CNT ? e.fault : 0], value, pc, advice(c, rec, &e));
	if (c->opts.on_error) {
		c->opts.on_error(c->opts.arg, rec, &e);
		c->snap_valid = false;
	}
}

void consume_fault_library(struct consume *c, const struct wire_rec *rec, const char *what)
{
	char where[1200];
	probe_text(c, rec, where, sizeof(where));
	consume_complain(c, "%s: %s", where, what);
}
