/* SPDX-License-Identifier: MIT */
/*
 * d: the D compiler.  Source text to IR and plan; sees probes only through
 * callbacks, and no process at all.
 *
 *   lex -> parse -> AST -> names and types (typed AST) -> lower -> IR image + plan
 */
#ifndef D_D_H
#define D_D_H

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

/* Stability of a name, of what it means, and the class of systems for which that holds; ORDER attr.c. */
enum d_stability {
	D_STAB_INTERNAL, D_STAB_PRIVATE, D_STAB_OBSOLETE, D_STAB_EXTERNAL, D_STAB_UNSTABLE, D_STAB_EVOLVING,
	D_STAB_STABLE, D_STAB_STANDARD
};
enum d_class { D_CLASS_UNKNOWN, D_CLASS_CPU, D_CLASS_PLATFORM, D_CLASS_GROUP, D_CLASS_ISA, D_CLASS_COMMON };
struct d_attr {
	uint8_t name, data, class;
};
#define D_ATTR_BEST { D_STAB_STANDARD, D_STAB_STANDARD, D_CLASS_COMMON }
/* "Stable/Evolving/Common", case aside; what is left out is the best. */
bool d_attr_parse(const char *, struct d_attr *ret);
struct d_attr d_attr_min(struct d_attr, struct d_attr);
const char *d_stability_name(uint8_t);
const char *d_class_name(uint8_t);

struct d_macros { /* $target, $pid, ... */
	int64_t target, pid, ppid, uid, gid, euid, egid, sid, pgid, projid, taskid;
};

/* A diagnostic: stable tag, place, sentence. */
struct d_diag {
	const char *tag; /* "D_PROTO_LEN" */
	const char *source; /* d_source.name; NULL: it has none */
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
	bool is_warning;
};

/* Options (-x, #pragma D option), set in the order in which they are met. 0, or
 * -EINVAL/-ENOENT with a message that becomes a diagnostic. */
typedef int d_option_fn(void *arg, const char *name, const char *value /* NULL: none */, struct err *reterr);

struct d_opts {
	struct d_macros macros;
	uint32_t strsize;      /* from -x strsize; 0: 256. #pragma D option overrides it */
	bool zdefs;            /* -Z */
	bool defaultargs;      /* -x defaultargs: missing $N are 0 or "" */
	bool argref;           /* arguments need not be used */
	bool pspec;            /* what may be a description is one */
	bool empty_ok;
	bool parse_only;       /* stop after the parser: for d_dump_ast(); *ret stays untouched */
	d_option_fn *set_option;
	void *set_option_arg;
	bool (*depends)(const char *class, const char *name); /* whether it is there; NULL: all are */
	uint32_t ustackframes, stackframes, jstackframes; /* defaults for ustack() */
	uint32_t scratchsize;  /* bytes that a clause may alloca(); 0: 4096. Like strsize. */
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
void d_program_deinit(struct d_program *); /* NULL is fine */

/* Probes that the program declares in provider { }; a non-zero result of @fn ends the walk and is returned. */
struct d_probe_arg {
	const char *type; /* as in C */
	const char *tag;  /* "struct foo" that it is a pointer to, or NULL */
	bool is_signed, is_float;
};
typedef int d_probe_decl_fn(void *arg, const char *prov, const char *probe, const struct d_probe_arg *, uint32_t cnt);
int d_providers_each(struct d_compiler *, d_probe_decl_fn *, void *arg);

/* -d ast, -d types: each stage of what was compiled last, as text. */
int d_dump_ast(struct d_compiler *, FILE *);
int d_dump_types(struct d_compiler *, FILE *);

#endif
