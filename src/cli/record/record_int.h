/* SPDX-License-Identifier: MIT */
/*
 * The verbs record and dump.
 *
 *   PROBE... --record_d--> D sources --(as any script)--> armed --consume--> cli_record_event --export--> DIR
 */
#ifndef CLI_RECORD_INT_H
#define CLI_RECORD_INT_H

#include "cli/cli_int.h"
#include "export/export.h"
#include "host/host.h"

/* What a clause that was built records, in the order of its statements. */
struct record_clause {
	struct record_field {
		char *name;       /* owned */
		enum export_type type;
		bool by_plan;     /* the type is what the compiler made of the expression */
		bool is_text;     /* a statement trace(...); false: ustack() */
	} *fields;
	uint32_t cnt, cap;
	bool is_flat;            /* all are numbers that lie in records as they do in the trace */
	bool has_result;         /* what the function returns is one of them, or would be if it could be known */
	bool of_kernel;
	bool tells_who;           /* its first statements do: RECORD_WHO of them */
};
#define RECORD_WHO 3
#define RECORD_BUFSIZE_ANY UINT64_MAX /* nobody said which */
#define RECORD_HITS 1024 /* power of two */
struct cli_record {
	/* as asked for */
	char *dir;               /* owned */
	const char **probes;     /* owned; the texts are argv's */
	uint32_t probe_cnt;
	uint64_t duration_ns;    /* 0: until it is ended */
	uint64_t ring_bytes;
	bool stacks, show_d;
	bool follow;             /* --follow: prints what comes */
	bool waits;              /* -Z: for what is loaded later */
	bool has_kernel;         /* some PROBEs are the kernel's */
	bool may_lower;          /* nobody said a bufsize */
	/* as built */
	struct record_clause *clauses;
	uint32_t clause_cnt;
	uint32_t fields_max;
	/* as it runs */
	struct export_writer *writer;
	struct host_strmap names; /* of classes that exist */
	struct record_hit {      /* a cache: classes of places that were hit */
		uint32_t site, clause, id;
		bool used;
	} hits[RECORD_HITS];
	struct export_value *vals;
	bool *takes;             /* [clause_cnt] those that recs.c gets */
	uint64_t came;           /* events that were read: in the trace, or lost */
	bool gave_up;            /* it gets no more of them */
	uint64_t start_ns, shown_ns;
	pid_t follower;          /* who prints it; 0: nobody */
	bool shown;
};

/* args.c: CLI_OK, or a status after a message */
int cli_record_parse(struct cli_args *, int argc, char **argv);
void cli_record_free(struct cli_record *); /* NULL is fine */
/* bufsize.c */
void cli_record_choose_bufsize(struct cli *);
/* The class of what that probe and clause record, which is made where it is the first. */
int cli_record_class(struct cli *, const struct consume_event *, uint32_t *ret, struct err *reterr);
int cli_record_event(void *arg, const struct consume_event *, struct err *reterr);
/* Counts @cnt events; false: they are lost. */
bool cli_record_wants(struct cli_record *, uint32_t cnt);
/* recs.c: which clauses record nothing but numbers (r->takes); NULL: no memory */
bool *cli_record_takes(const struct cli *);
/* live.c: begins when the trace has, and ends after it was closed */
int cli_record_live(struct cli_record *);
void cli_record_live_end(struct cli_record *);
/* d.c: adds the sources of all PROBEs */
int cli_record_build(struct cli *);
/* probe.c: "DESC [NAME=EXPR...]" */
struct record_probe {
	char *prov, *mod, *func, *name; /* into text */
	bool both;               /* entry and return */
	char *fields[64];        /* "NAME=EXPR" */
	uint32_t field_cnt;
	char *text;              /* owned */
};
int cli_record_probe_parse(const char *arg, struct record_probe *ret);
bool cli_record_is_kernel(const struct record_probe *);
/* glob.c */
struct record_funcs {
	struct record_func {
		char *mod, *func; /* owned */
	} *v;
	uint32_t cnt;
};
/* The functions that @r means, where it is a glob and they can be told one by one; else false. */
bool cli_record_expand(struct cli *, const struct record_probe *r, struct record_funcs *ret);
void cli_record_funcs_free(struct record_funcs *);
/* fields.c: the statements of one clause */
/* @at_jump: for a return that is a tail call, where there is no value yet. */
int cli_record_fields(struct cli *, const struct record_probe *, const char *name, bool at_jump, struct record_clause *,
		      FILE *d);

/* replay.c */
int cli_replay_main(int argc, char **argv);
/* functions.c: dyntrace list-functions FILE */
int cli_functions_main(int argc, char **argv);

#endif
