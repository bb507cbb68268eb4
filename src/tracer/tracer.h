/* SPDX-License-Identifier: MIT */
/*
 * tracer: what `dyntrace add` can do at a tracepoint.  A tracer is one struct tracer; to make another, write one
 * and name it in table.c.
 *
 * It runs in the keeper (ADR 18).  What runs in the traced program is only the D text that it gives; the records of that come
 * back as events, in the order of time.  All functions are called by one thread, none while the program stands; they may
 * take their time, but the keeper does nothing else meanwhile.
 *
 *   parse --> text (for each kind of place) --> begin --> on_event ... show ... --> end
 */
#ifndef TRACER_TRACER_H
#define TRACER_TRACER_H

#include "consume/consume.h"
#include "export/export.h"

enum tracer_at { TRACER_ENTRY, TRACER_RETURN, TRACER_POINT, TRACER_AT_CNT };

/* An argument or return value that is recorded: the value of the clause's action of the same number. */
#define TRACER_TAIL_CALL "tail_call" /* at returns: the first; where it is not 0, the others have no value */
struct tracer_field {
	char *name;
	enum export_type type;
};
/* One kind of place of a tracepoint: an entry, with -e the return, or a place in between. */
struct tracer_part {
	bool used;
	uint32_t clause;             /* that runs there; WIRE_NONE: none */
	uint32_t place_cnt;          /* in the code, that are armed */
	/* D statements that record what the place has, "" where nothing is known of it, and what they record */
	char *stmts;
	struct tracer_field *fields;
	uint32_t field_cnt;
};

/* What the keeper has to offer; the same for all tracepoints. */
struct tracer_host {
	pid_t pid;                   /* the traced process */
	int pidfd;
	struct consume *consume;
	const struct plan *plan;     /* of all clauses; grows, but what is in it stays as it is */
	const struct ir_image *image;
	struct obj_proc *obj;
	int64_t real_offset_ns;      /* CLOCK_REALTIME less CLOCK_MONOTONIC */
	/* Where the consumer prints what the plan says (CONSUME_PERFORM), from now on. */
	void (*direct)(struct tracer_host *, FILE *out);
	/* Reads data of a library that is in the process. 0 or -errno. */
	int (*read_symbol)(struct tracer_host *, const char *library, const char *symbol, void *buf, size_t bytes);
};

struct tracer_point {
	const struct tracer *tracer;
	struct tracer_host *host;
	const char *name;            /* of the tracepoint */
	const char *place;           /* as was asked for */
	bool both;                   /* -e */
	uint32_t id;                 /* D's `id` at an entry or a place; at the return it is one more */
	struct tracer_part at[TRACER_AT_CNT];
	void *state;                 /* state_bytes, zeroed before parse */
};

struct tracer_event {
	const struct consume_event *ev;
	enum tracer_at at;
	const struct plan_clause *clause;
	uint64_t addr; /* of the place; at a return, of the function */
};

struct tracer {
	const char *name;
	const char *args;            /* as usage shows them: "[FILE]" */
	const char *help;            /* one sentence */
	size_t state_bytes;
	/* A library beside ours, for the traced process, and its function that is called at each hit: on the thread that hit,
	 * with the site (struct wire_site) in rax and all registers but rax and flags to be preserved; site->sema is the address
	 * of a string, 'e' where the tracepoint has entry and exit, else 'p', then its name. Its data has a uint32_t
	 * dyntrace_library_ready, set when it may be called. NULL: none is wanted. */
	const char *library, *hook;
	/* The library is to be told of the tracepoint before it is hit (session_tell()); the first letter is a capital then.
	 * NULL: none is. */
	bool (*tells)(const struct tracer_point *);
	/* The text is about its very probe (args[] with types); else it is compiled once for all tracepoints that give
	 * the same. */
	bool of_probe;
	/* The words behind the tracer's name. -EINVAL with a message: they are none. @argv lasts only for the call. */
	int (*parse)(struct tracer_point *, int argc, char *const *argv, struct err *reterr);
	/* Writes what runs at such a place: "[/predicate/] { statements }"; nothing: nothing does. NULL: likewise. */
	void (*text)(struct tracer_point *, enum tracer_at, FILE *out);
	/* Before the first hit. NULL: nothing to do. */
	int (*begin)(struct tracer_point *, struct err *reterr);
	/* A record. 0; CONSUME_PERFORM: let the consumer do what the clause says; or an error. NULL: they are ignored. */
	int (*on_event)(struct tracer_point *, const struct tracer_event *, struct err *reterr);
	/* All records that there are for now have been given. NULL: nothing to do. */
	void (*drained)(struct tracer_point *);
	/* What was gathered so far: lines, each with "\n", or with @json members of an object, each with "," before it. */
	void (*show)(struct tracer_point *, FILE *out, bool json);
	/* The tracepoint is gone, or parse or begin failed; frees what state has, not state itself. */
	void (*end)(struct tracer_point *);
};

const struct tracer *tracer_find(const char *name); /* NULL: there is none */
/* One that others wrote (include/dyntrace/tracer.h), from the folder of tracers; it stays. NULL, with a message. */
const struct tracer *tracer_load(const char *name, struct err *reterr);
const struct tracer *tracer_nth(uint32_t i);        /* NULL behind the last */

/* ---- for tracers ---- */

/* The value of field @i, as text: 12, 0x7f00, "word". */
void tracer_print_value(const struct tracer_point *, const struct tracer_event *, uint32_t i, FILE *);

/* Where text goes: a file, or the traced program's own standard output. */
struct tracer_out;
/* @path NULL: standard output of the process. */
int tracer_out_open(const struct tracer_host *, const char *path, struct tracer_out **ret, struct err *reterr);
void tracer_out_close(struct tracer_out *); /* NULL is fine */
/* All of it or nothing, and never waits for a reader: what finds no room is counted. */
void tracer_out_put(struct tracer_out *, const char *text, size_t bytes);
/* A stream onto it, which hands on whole lines and, at a flush, the rest; closed with it. */
FILE *tracer_out_stream(struct tracer_out *);
uint64_t tracer_out_lost(const struct tracer_out *); /* lines and parts of them */

#endif
