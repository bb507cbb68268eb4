/* SPDX-License-Identifier: MIT */
/*
 * d: the D compiler.  Source text to IR and plan; sees probes only through
 * callbacks, and no process at all.
 *
 *   lex -> parse -> AST -> names and types (typed AST) -> lower -> IR image + plan
 */
#ifndef D_D_H
#define D_D_H

#include "base/tdesc.h"
#include "ir/plan.h"

/* Where a piece of source came from. */
struct d_source {
	const char *name;  /* "script.d"; NULL for -n and friends */
	const char *text;
	/* What the text is: a whole program, one probe description with an
	 * optional predicate and body (-P -m -f -n -i), or declarations for all
	 * others (-L), which come behind them and are compiled first; their clauses
	 * are checked and left out. */
	enum d_source_kind {
		D_SRC_PROGRAM, D_SRC_PROVIDER, D_SRC_MODULE, D_SRC_FUNCTION, D_SRC_NAME, D_SRC_ID, D_SRC_LIBRARY
	} kind;
	char **macro_args; /* $1 .. for it; NULL-terminated or NULL; [0] is $0 */
};

struct d_macros { /* $target, $pid, ... */
	int64_t target, pid, ppid, uid, gid, euid, egid, sid, pgid, projid, taskid;
};

/* A diagnostic: stable tag, place, sentence. */
struct d_diag {
	const char *tag; /* "D_PROTO_LEN" */
	const char *source; /* d_source.name; NULL: it has none; of a library: those of the script that wants it */
	const char *lib;    /* a library's name; NULL: it is none */
	const char *text;   /* all of the source; NULL: of no source */
	enum d_source_kind kind;
	const char *file;   /* "lib.d": in a library, or as a # line said; then line is of it. Or NULL */
	const char *region; /* "predicate", "action list", or NULL */
	uint32_t src;       /* index of the source */
	uint32_t line, col; /* from 1, the column in bytes; 0: none */
	uint32_t dt_line;   /* the line that dtrace(1) would name: where its parser stood */
	char *msg;
	char *hint;         /* what would do instead, shown at the caret; or NULL */
	char *excerpt;      /* the source line, or a window of it, or NULL */
	uint32_t excerpt_col; /* of the place in the excerpt, from 1 */
};

/* Options (-x, #pragma D option), set in the order in which they are met. 0, or
 * -EINVAL/-ENOENT with a message that becomes a diagnostic. */
typedef int d_option_fn(void *arg, const char *name, const char *value /* NULL: none */, struct err *reterr);

/*
 * What is known of the traced program's types; any may be NULL. Descriptions
 * have to live as long as the compiler. @scope: a module; NULL: any.
 */
struct d_types {
	/* By tag, or for TDESC_TYPEDEF any type of one word. NULL: there is none. */
	const struct tdesc *(*find)(void *arg, const char *scope, enum tdesc_kind, const char *name);
	/* Loads members and enumerators; must be there if find is. */
	void (*load)(void *arg, const struct tdesc *);
	/* A variable. 0, or a negative errno with a sentence. */
	int (*var)(void *arg, const char *scope, const char *name, struct tdesc_var *ret, struct err *reterr);
	/* An enumerator. */
	bool (*enumerator)(void *arg, const char *scope, const char *name, struct tdesc_const *ret);
	/* Prototypes (loaded) of the functions that a probe description means: at most @cap. */
	uint32_t (*protos)(void *arg, const struct plan_probe_desc *, const struct tdesc **ret, uint32_t cap,
			   uint32_t *ret_unknown);
	/* Whether the kernel runs the clauses of such probes. */
	bool (*in_kernel)(void *arg, const struct plan_probe_desc *);
	/* A probe description was read: what follows may ask about its process. */
	void (*described)(void *arg, const struct plan_probe_desc *);
	void *arg;
};

/* Stability attributes: "Evolving/Evolving/Common". */
struct d_stability {
	uint8_t name, data, dep; /* of the name, of what it means, of what it depends on; more is better */
};
/* Parts that are left out are the best; false: no such words. */
bool d_stability_parse(const char *, struct d_stability *ret);
const char *d_stability_name(uint8_t);
const char *d_stability_class(uint8_t);

struct d_opts {
	struct d_macros macros;
	uint32_t strsize;      /* from -x strsize; 0: 256. #pragma D option overrides it */
	bool is_32;            /* -32: long and pointers have 4 bytes; for the tool's own probes only */
	bool zdefs;            /* -Z */
	bool has_amin;         /* -x amin: what is less stable is an error */
	struct d_stability amin;
	bool defaultargs;      /* -x defaultargs: missing $N are 0 or "" */
	bool argref;           /* arguments need not be used */
	bool pspec;            /* what may be a description is one */
	bool empty_ok;
	bool weighs;           /* hits may stand for several: -x budget */
	bool aggpercpu;        /* aggregations are kept for each CPU, too */
	bool parse_only;       /* stop after the parser: for d_dump_ast(); *ret stays untouched */
	d_option_fn *set_option;
	void *set_option_arg;
	bool (*depends)(const char *class, const char *name); /* whether it is there; NULL: all are */
	struct d_types types;
	uint32_t ustackframes, stackframes, jstackframes; /* defaults for ustack() */
	uint32_t maxframes;    /* of any stack; 0: as many as there can be */
	uint32_t dynvarsize;   /* bytes for self-> variables and arrays, as DTrace counts them; 0: enough */
	uint32_t tregs;        /* of DTrace's machine: one key less than there may be; 0: no limit */
	uint32_t scratchsize;  /* bytes that a clause may alloca(); 0: 4096. Like strsize. */
	uint32_t this_least;   /* this-> variables take at least so many bytes, so that a few more change nothing */
};

struct d_program {
	struct ir_image image;
	struct plan plan;
};

/* Compiles all sources as one program. 0, or -EINVAL after filling the
 * diagnostics; -ENOMEM. Outputs stay untouched on failure. Warnings may be
 * there after success. What the compiler keeps (diagnostics, dumps) lives to
 * the next d_compile or d_destroy and needs none of the sources. */
struct d_compiler;
struct d_compiler *d_create(const struct d_opts *);
void d_destroy(struct d_compiler *);
int d_compile(struct d_compiler *, const struct d_source *srcs, uint32_t src_cnt, struct d_program *ret);
uint32_t d_diag_cnt(const struct d_compiler *);
const struct d_diag *d_diag_at(const struct d_compiler *, uint32_t i);
/* "NAME: failed to compile script X: line N: sentence" or "NAME: invalid probe
 * specifier TEXT: in REGION: sentence" as dtrace(1) has it, then the line and
 * the caret. @tags (-x errtags): "[D_TAG] " before what dtrace puts it before. */
void d_diag_print(FILE *, const char *progname, const struct d_diag *, bool tags);
/* What names a text in messages: its first line, or the beginning of that, to be followed by "..."; -1: all of it. */
const char *d_label(const char *text, int *ret_len);
/* The line and the caret of statement @action (from 1; 0: the predicate) of clause @clause, as records of faults name
 * them; nothing where there is none. */
void d_where_print(FILE *, const struct d_compiler *, uint32_t clause, uint64_t action);
void d_program_deinit(struct d_program *); /* NULL is fine */
/* The least stability of the probe descriptions and of the statements of a
 * source that was compiled. */
void d_stability(const struct d_compiler *, uint32_t src, struct d_stability *ret_desc, struct d_stability *ret_stmt);

/* Probes that the program declares in provider { }; a non-zero result of @fn ends the walk and is returned. */
struct d_probe_arg {
	const char *type; /* as in C */
	const char *tag;  /* "struct foo" that it is a pointer to, or NULL */
	bool is_signed, is_float;
};
typedef int d_probe_decl_fn(void *arg, const char *prov, const char *probe, const struct d_probe_arg *, uint32_t cnt);
int d_providers_each(struct d_compiler *, d_probe_decl_fn *, void *arg);
/* The same, with the arguments as scripts see them. */
struct d_probe_out {
	const char *type;
	uint32_t native; /* the probe's argument that it shows, from 0 */
};
typedef int d_probe_out_fn(void *arg, const char *prov, const char *probe, const struct d_probe_out *, uint32_t cnt);
int d_providers_outs_each(struct d_compiler *, d_probe_out_fn *, void *arg);

/* The same of one probe, and of its arguments. */
void d_stability_probe(const struct plan_probe_desc *, struct d_stability *ret_desc, struct d_stability *ret_args);

/* -d ast, -d types: each stage of what was compiled last, as text. */
int d_dump_ast(struct d_compiler *, FILE *);
int d_dump_types(struct d_compiler *, FILE *);
/* -S: the variables that clause @clause uses, whose program has @insns instructions, as dtrace -S shows them. */
void d_dump_vars(struct d_compiler *, FILE *, uint32_t clause, uint32_t insns);

#endif
