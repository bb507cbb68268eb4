/* SPDX-License-Identifier: MIT */
/*
 * export: traces on disk (ADR 16) and the forms in which others read them.
 *
 *   DIR/metadata        CTF 1.8: what the events look like
 *   DIR/cpuN            the events of a CPU: packets, as large as their header says
 *   DIR/cpuNt           those of a thread that has the CPU for itself; each packet says which one
 *   DIR/cpuN_SEQ        the same, a packet a file, where only the last ones are kept
 *   DIR/dyntrace/       what CTF has no place for:
 *     lock              locked by who records
 *     ready             is there once events can come
 *     modules           what was mapped where in which process, with build-ids
 *     symbols/ID        functions of a module
 *     frames            functions, files and lines of the addresses in stacks
 *
 * A trace is whole at any moment: events are written in batches, and a packet's
 * header, which is mapped, counts them after they are there.
 */
#ifndef EXPORT_EXPORT_H
#define EXPORT_EXPORT_H

#include "obj/obj.h"

#include <stdio.h>

enum export_type {
	EXPORT_I8, EXPORT_I16, EXPORT_I32, EXPORT_I64, EXPORT_U8, EXPORT_U16, EXPORT_U32, EXPORT_U64,
	EXPORT_HEX,   /* 64 bits, an address or the like */
	EXPORT_F32, EXPORT_F64,
	EXPORT_STR,
	EXPORT_STACK, /* addresses, innermost first; at most one a class, its last field */
	EXPORT_TYPE_CNT
};
struct export_field {
	const char *name; /* a C identifier */
	enum export_type type;
};
struct export_class {
	const char *prov, *mod, *func, *name; /* the provider without a process's number; all but name "": an event of that
	                                       * name (without colons) */
	const struct export_field *fields;
	uint32_t field_cnt;
};
struct export_value {
	union {
		int64_t i;   /* integers */
		double d;
	};
	const uint8_t *data; /* of strings (a NUL ends them early) and stacks (uint64_t each) */
	uint32_t bytes;
};
struct export_event {
	uint64_t ns;     /* CLOCK_MONOTONIC */
	uint32_t class_id;
	uint32_t cpu, pid, tid;
	const char *comm; /* 15 characters of it; may change meanwhile */
	const struct export_value *vals; /* as many as the class has fields */
};

/* ---- writing ---- */

struct export_writer;
struct export_writer_opts {
	const char *dir;          /* is made; must not hold anything yet */
	int64_t real_offset_ns;   /* CLOCK_REALTIME less CLOCK_MONOTONIC */
	uint64_t ring_bytes;      /* keep only the last events, as many as fit; 0: all */
	const char *command;      /* what is recorded, for people */
	uint32_t budget;          /* percent, by which hot probes are sampled; 0: all events are recorded */
};
/* Whether a trace can be made there, before anything is begun: -EEXIST. */
int export_writer_may(const char *dir, struct err *reterr);
int export_writer_create(const struct export_writer_opts *, struct export_writer **ret, struct err *reterr);
int export_writer_class(struct export_writer *, const struct export_class *, uint32_t *ret_id, struct err *reterr);
/* On an error what was written stays readable; the event is lost, with those that waited for the disk. */
int export_writer_event(struct export_writer *, const struct export_event *, struct err *reterr);
/* Of a class whose fields all have fixed lengths: the low bytes of field i are at @offs[i] of what
 * export_writer_event_from() gets; EXPORT_AT_TIME: they are the event's time. */
#define EXPORT_AT_TIME UINT32_MAX
int export_writer_from(struct export_writer *, uint32_t class_id, const uint32_t *offs, struct err *reterr);
/* As export_writer_event(), without vals: they are in @data, or 0 where that is too short. */
int export_writer_event_from(struct export_writer *, const struct export_event *, const uint8_t *data, uint32_t bytes,
			     struct err *reterr);
/* Likewise, all of the thread that @of says (pid, tid, comm); @ids: the class of each. */
struct consume_rec;
int export_writer_recs(struct export_writer *, const struct export_event *of, const struct consume_rec *, const uint32_t *ids,
		       uint32_t cnt, struct err *reterr);
/* Readers see all events until now, even if this process is killed. */
int export_writer_flush(struct export_writer *, struct err *reterr);
/* What is to be recorded is in place: DIR/dyntrace/ready appears. */
int export_writer_ready(struct export_writer *, struct err *reterr);
/* How many events were lost so far. */
void export_writer_lost(struct export_writer *, uint64_t total);
/* With a budget, at the end: places of which there are not all events; @cnt 0: all are there. */
struct export_sampled {
	const char *place;
	uint32_t weight;          /* one event of so many, at most */
};
int export_writer_sampled(struct export_writer *, const struct export_sampled *, uint32_t cnt, struct err *reterr);
uint64_t export_writer_events(const struct export_writer *);
uint64_t export_writer_bytes(const struct export_writer *); /* on disk */
/* Notes the modules of process @pid that are new since last time, with their symbols. */
int export_writer_modules(struct export_writer *, uint32_t pid, struct obj_proc *, struct err *reterr);
/* Notes files and lines of all addresses that were in stacks. */
int export_writer_frames(struct export_writer *, struct err *reterr);
/* Ends the trace and frees. NULL is fine. */
void export_writer_close(struct export_writer *);
/* Likewise, of one without an event: nothing of it stays. */
void export_writer_discard(struct export_writer *);

/* ---- reading ---- */

struct export_trace;
/* A trace that record made; others are refused. */
int export_trace_open(const char *dir, struct export_trace **ret, struct err *reterr);
void export_trace_close(struct export_trace *); /* NULL is fine */
const struct export_class *export_trace_class(const struct export_trace *, uint32_t id); /* NULL: none */
int64_t export_trace_real_offset_ns(const struct export_trace *);
/* The next event of all CPUs by time. 1, 0: none (yet), or -errno. What *ret points to lasts until the next call. */
int export_trace_next(struct export_trace *, struct export_event *ret, struct err *reterr);
/* Looks for what came since: classes, packets. */
int export_trace_refresh(struct export_trace *, struct err *reterr);
/* Somebody records into it now. */
bool export_trace_is_live(const struct export_trace *);
uint64_t export_trace_lost(const struct export_trace *);
/* Which events were left out for a budget. */
struct export_sampling {
	uint32_t budget;          /* percent; 0: there was none */
	bool is_known;            /* which; else who recorded was killed, or goes on */
	struct export_sampled *v;
	uint32_t cnt;
};
const struct export_sampling *export_trace_sampling(const struct export_trace *);
/* What the damaged end of a file cost: bytes that no packet's header accounts for. */
uint64_t export_trace_damaged(const struct export_trace *);

struct export_frame {
	uint64_t addr;
	const char *module;   /* path; NULL: not in any */
	const char *func;     /* demangled; NULL: unknown */
	const char *others;   /* other names for the same function, as symbols, with tabs between them; NULL: none */
	uint64_t off;         /* in it, or in the module */
	const char *file;     /* NULL: unknown */
	uint32_t line;
	bool inlined;         /* into the next one */
};
#define EXPORT_FRAMES_MAX 32 /* of one address, inlined ones included */
/* Of an address at that time; innermost first. @is_ret: it is where a call returns to. Returns how many (at least 1). */
uint32_t export_trace_frames(struct export_trace *, uint32_t pid, uint64_t ns, uint64_t addr, bool is_ret,
			     struct export_frame ret[EXPORT_FRAMES_MAX]);

/* ---- forms ---- */

/* In quotes. Control characters, and bytes that are no UTF-8, are escaped: as bytes, \ooo, or with @json as the code points of
 * the same numbers. */
void export_print_text(FILE *, const char *text, size_t bytes, bool json);

struct export_printer;
enum export_form { EXPORT_TEXT, EXPORT_JSON, EXPORT_FOLDED, EXPORT_CHROME };
/* NULL: no memory. */
struct export_printer *export_printer_create(enum export_form, struct export_trace *, FILE *out);
int export_printer_event(struct export_printer *, const struct export_event *);
/* Whatever is shown only at the end; frees. */
int export_printer_finish(struct export_printer *);

#endif
