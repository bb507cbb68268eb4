/* SPDX-License-Identifier: MIT */
/*
 * consume: from rings and aggregation tables to what people see: drain, merge
 * by time, perform the plan's actions, print as dtrace(1) does.
 *
 * All calls come from one thread of the tool. Data goes to consume_opts.out;
 * losses, errors in clauses and failed actions go to stderr as
 * "PROGNAME: sentence", because scripts of dtrace(1) expect them there.
 */
#ifndef CONSUME_CONSUME_H
#define CONSUME_CONSUME_H

#include "ir/plan.h"
#include "obj/obj.h"

struct consume;

/* A record of a target, as who keeps them gets it: nothing in it outlives the call. */
struct consume_event {
	uint64_t ns;         /* CLOCK_MONOTONIC */
	uint32_t clause;
	uint32_t site;       /* index; equal ones have equal names */
	uint32_t proc, pid, tid, cpu;
	const char *execname;
	uint32_t fault;      /* enum wire_fault: the clause ended in it, there are no values */
	uint64_t fault_value;
	const uint8_t *payload;
	uint32_t bytes;      /* of it */
};
struct consume_probe {
	const char *prov, *mod, *func, *name;
};
/* The probe that it came from. */
void consume_event_probe(const struct consume *, const struct consume_event *, struct consume_probe *ret);
/* Values of it, as the plan describes them. */
int64_t consume_event_int(const struct consume_event *, const struct plan_val *);
/* Bytes of a string, byte array or stack; never NULL. */
const uint8_t *consume_event_bytes(const struct consume *, const struct consume_event *, const struct plan_val *,
				   uint32_t *ret_cnt);

/* A record as it lies in its ring: who traces is not to be believed, and may change it meanwhile, so each byte of the
 * payload is to be read once at most, and only copied. */
struct consume_rec {
	uint64_t ns;
	const uint8_t *payload;
	uint32_t bytes;      /* of it */
	uint32_t site, clause, cpu;
};
#define CONSUME_RECS_MAX 128u
/* Whose they are. */
struct consume_who {
	bool known;
	uint32_t proc, pid, tid;
	const char *execname;
};

const char *consume_fault_text(uint32_t fault); /* "invalid address" */

/* Who writes to the shared memory for a consumer.  That of a session in this process has pages of its own in it, and
 * one that got it from somebody else may only read.  What is NULL is stored at once. */
struct consume_writer {
	void (*tail)(void *arg, uint32_t slot, uint64_t pos);         /* records of area @slot below @pos were read */
	void (*agg_gen)(void *arg, uint32_t agg, uint32_t gen);       /* older entries of the aggregation hold nothing: done */
	void (*aggs_read)(void *arg);                                 /* consume_aggs_read() */
	void (*drains)(void *arg);                                    /* adds 1 to wire_shm.drains: done */
	void (*spec_bytes)(void *arg, uint32_t id, uint64_t bytes);   /* so many are kept of what it is used for now */
	void (*spec_free)(void *arg, uint32_t id, uint32_t gen);      /* its next use has number @gen */
};

/* Where an address is.  The strings outlive the call. */
struct consume_sym {
	const char *mod, *name; /* mangled; NULL: in no module; no symbol */
	uint64_t mod_start, start; /* start: of the symbol; without one, of the module: where its file's address 0 would be */
};

struct consume_opts {
	FILE *out;          /* owned by the caller */
	FILE *errs;         /* messages; NULL: stderr. Owned by the caller. */
	const char *progname; /* for messages */
	bool quiet, flowindent, rawbytes;
	bool dropdetail;    /* which thread and clause lost something */
	bool droptags;      /* "[DTRACEDROP_...] " before messages about losses */
	bool no_ids;        /* leave out what differs between runs: CPU and probe ID */
	bool foldstacks;    /* stacks in one line, as flame graphs want them */
	bool as_mapped;     /* addresses without a symbol as they are in the process, which dtrace shows, not as in the module's file */
	bool demangle;      /* C++ and Rust names in stacks and symbols */
	uint64_t aggrate_ns; /* aggregations are read so often; 0: whenever one is shown */
	uint32_t printsize; /* bytes of an object that print() shows */
	uint32_t stackindent; /* spaces before a frame; dtrace has 14 */
	/* aggregation output */
	bool aggsortkey, aggsortrev;
	bool agghist, aggpack, aggzoom;
	bool utf8;          /* the output is UTF-8 */
	bool utf8_bars;     /* and histograms have bars of block elements */
	uint32_t aggsortpos, aggsortkeypos;
	/* Symbols of process @proc (wire_proc index); NULL if it is gone. */
	struct obj_proc *(*obj)(void *arg, uint32_t proc);
	/* In place of obj(), also for the kernel (addresses from 1 << 63 on): false where nothing is known. */
	bool (*symbolize)(void *arg, uint32_t proc, uint64_t addr, struct consume_sym *ret);
	/* The number by which obj() knows process @pid, for what the kernel recorded; 0: it is gone. NULL: nothing did. */
	uint32_t (*proc_of)(void *arg, uint32_t pid);
	/* A fault in a clause, after it was reported: fire ERROR clauses in the tool with
	 * (arg1 epid, arg2 action, arg3 pc, arg4 fault, arg5 value). NULL: only report. */
	void (*on_error)(void *arg, const struct wire_rec *, const struct wire_rec_error *);
	/* setopt("quiet") and the like at run time; calls consume_set_opts(). */
	int (*set_option)(void *arg, const char *name, const char *value /* NULL: none */, struct err *reterr);
	/* Gets the records of targets, in the order of time, in place of what the plan says. 0, CONSUME_PERFORM: what
	 * the plan says is to be done, or an error that ends consume_drain(). NULL: the plan counts. */
#define CONSUME_PERFORM 1
	int (*on_event)(void *arg, const struct consume_event *, struct err *reterr);
	/* Gets in its place those of clauses that recs_clauses[] has true for, where several of a thread follow each other:
	 * CONSUME_RECS_MAX at most. NULL: nobody does. */
	int (*on_recs)(void *arg, const struct consume_who *, const struct consume_rec *, uint32_t cnt, struct err *reterr);
	const bool *recs_clauses; /* kept by the caller */
	uint32_t recs_clause_cnt;
	struct consume_writer writer;
	void *arg;
	/* -x bufpolicy, and the bytes it is about (of all threads; counted as DTrace does): the last
	 * records are shown at the end, or the first until they are too many. */
	enum consume_bufpolicy { CONSUME_ALL, CONSUME_RING, CONSUME_FILL, CONSUME_SWITCH } bufpolicy;
	uint64_t bufsize;
	/* Runs a command of system() until it ends: 0 or -errno. NULL: as system(3) does. */
	int (*run_command)(void *arg, const char *cmd);
	bool destructive; /* system() and freopen() may run */
};

/* Keeps references to @shm, @plan and @image until destroy; copies @opts.
 * -EINVAL where a printf format of the plan is impossible. */
int consume_create(struct wire_shm *shm, const struct plan *plan, const struct ir_image *image,
		   const struct consume_opts *, struct consume **ret, struct err *reterr);
/* The clock of its memory has been measured (session_clock()). */
void consume_clock(struct consume *);
void consume_destroy(struct consume *); /* NULL is fine */
/* @plan and @image begin as those that consume_create() was given, or stand where they stood; see session_grow(). */
int consume_grow(struct consume *, const struct plan *, const struct ir_image *, struct err *reterr);
void consume_set_opts(struct consume *, const struct consume_opts *);

/* Reads all rings, merges what is complete by time, performs actions. With
 * @final everything is output, else records newer than the oldest
 * unfinished moment wait for the next call. Returns records seen, or -errno. */
int64_t consume_drain(struct consume *, bool final, struct err *reterr);
/* exit() was met in the records: its status. */
bool consume_exited(const struct consume *, int *ret_status);
/* As many records as fill allows were seen: tracing should end. */
bool consume_filled(const struct consume *);
bool consume_speculates(const struct consume *); /* some clause does */
/* A speculation was committed or discarded, and what was recorded for it has not been read. */
bool consume_spec_ending(const struct consume *);
/* What a record of @clause counts for bufsize; without a bufpolicy, as DTrace on Linux counts. */
uint64_t consume_clause_cost(const struct consume *, uint32_t clause);
/* Whether bufsize is so small that the tool's own records are counted; else it is the rings that are full or not. */
bool consume_policy_counts(const struct consume_opts *);
/* Prints all aggregations that no printa() has shown, as at the end of dtrace. */
int consume_print_aggs(struct consume *, struct err *reterr);
/* Prints these aggregations of the plan on @out, as printa() does. */
int consume_show_aggs(struct consume *, FILE *out, const uint32_t *aggs, uint32_t cnt, struct err *reterr);
/* The value of the entry of aggregation @agg whose first key is the number *@key, or that has none (NULL): as many words as
 * struct wire_agg says, until the next call.  NULL: there is none. */
const int64_t *consume_agg_entry(struct consume *, uint32_t agg, const int64_t *key);
/* A value of quantize(), as a picture. */
void consume_show_quantize(FILE *out, const int64_t *val);
long long consume_hist_quantize_label(uint32_t bucket); /* the least number in it */
/* Losses that were not reported yet, as dtrace reports them; returns how many in all so far. */
uint64_t consume_report_drops(struct consume *);

/* It is time to read aggregations: what they hold now leaves as much room as there was (-x aggrate). */
void consume_aggs_read(struct consume *);

/* How many losses were reported so far. */
uint64_t consume_lost(const struct consume *);
/* Whether a target recorded or aggregated anything, as far as was read. */
bool consume_heard(const struct consume *);
/* What was too small, of what an option sets. */
enum consume_room { CONSUME_RECORDS, CONSUME_AGGS, CONSUME_DYNS, CONSUME_SPECS, CONSUME_SPEC_CNT, CONSUME_ROOMS };
/* Whether of those that were reported some would not have been with more of it. */
bool consume_lacked(const struct consume *, enum consume_room);
/* CLOCK_REALTIME less CLOCK_MONOTONIC when tracing began. */
int64_t consume_real_offset_ns(const struct consume *);

/* The thread of area @slot is gone and its ring is drained: keeps what its
 * area holds (aggregations, counts of losses), so that the area may be zeroed
 * for another thread. */
int consume_fold_thread(struct consume *, uint32_t slot, struct err *reterr);
/* Folds all areas whose threads have ended, once they are drained; @folded hears of each. */
typedef void consume_folded_fn(void *arg, uint32_t slot, uint32_t incarnation);
int consume_fold_ended(struct consume *, consume_folded_fn *folded, void *arg, struct err *reterr);
/* Whether all records of area @slot have been read. */
bool consume_thread_drained(const struct consume *, uint32_t slot);

#endif
