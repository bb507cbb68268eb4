/* SPDX-License-Identifier: MIT */
/*
 * Private to d: the compiler's state, tokens, types and tree.
 *
 * All that one compilation makes lives in one arena that d_destroy() or the
 * next d_compile() frees.  Running out of memory unwinds to d_compile() by a
 * longjmp, so no other function sees it.
 *
 *   lex.c token.c macro.c pragma.c    text to tokens
 *   parse*.c         (parse_int.h)    tokens to tree; types are made here (decl_int.h)
 *   type.c sym.c func.c               what names mean
 *   check*.c printf_check.c (check_int.h)  names and types into the tree
 *   layout.c         (layout_int.h)   variables, records, keys: offsets; makes the plan
 *   lower*.c         (lower_int.h)    tree to IR
 */
#ifndef D_D_INT_H
#define D_D_INT_H

#include "d/d.h"

#include <setjmp.h>
#include <string.h>

#define D_NEST_MAX 150   /* parentheses, statements, declarators inside each other */
#define D_DEPTH_MAX 5500 /* height of an expression's tree */
#define D_DIAG_MAX 20    /* further mistakes are not reported */
#define D_DIAG_LINE_MAX 5 /* of syntax, in one line: most follow from the first */
#define D_PREC_CNT 10    /* arg0 .. arg9 */

/* ---- memory and names ---- */

struct d_block {
	struct d_block *next;
	size_t used, cap;
	char data[];
};

struct d_map_ent {
	const char *key; /* interned */
	void *val;
	struct d_map_ent *next;
};
struct d_map {
	struct d_map_ent **buckets;
	uint32_t bucket_cnt, cnt;
};

void *d_alloc(struct d_compiler *, size_t bytes); /* zeroed, 16-aligned */
char *d_strndup(struct d_compiler *, const char *s, size_t len);
char *d_fmt(struct d_compiler *, const char *fmt, ...) PRINTF_LIKE(2, 3);
const char *d_intern(struct d_compiler *, const char *s, size_t len); /* equal text, equal pointer */
void *d_map_get(const struct d_map *, const char *key);
void d_map_put(struct d_compiler *, struct d_map *, const char *key, void *val);
_Noreturn void d_oom(struct d_compiler *);
void d_arena_free(struct d_compiler *);

/* ---- tokens ---- */

/* D_TOK(name, text): punctuation and operators. */
#define D_PUNCTS(D_TOK) \
	D_TOK(LPAREN, "(") D_TOK(RPAREN, ")") D_TOK(LBRACK, "[") D_TOK(RBRACK, "]") \
	D_TOK(LBRACE, "{") D_TOK(RBRACE, "}") D_TOK(SEMI, ";") D_TOK(COMMA, ",") D_TOK(COLON, ":") \
	D_TOK(QUESTION, "?") D_TOK(DOT, ".") D_TOK(ARROW, "->") D_TOK(ELLIPSIS, "...") \
	D_TOK(ASGN, "=") D_TOK(MUL_EQ, "*=") D_TOK(DIV_EQ, "/=") D_TOK(MOD_EQ, "%=") D_TOK(ADD_EQ, "+=") \
	D_TOK(SUB_EQ, "-=") D_TOK(LSH_EQ, "<<=") D_TOK(RSH_EQ, ">>=") D_TOK(AND_EQ, "&=") D_TOK(XOR_EQ, "^=") \
	D_TOK(OR_EQ, "|=") \
	D_TOK(LOR, "||") D_TOK(LXOR, "^^") D_TOK(LAND, "&&") D_TOK(OR, "|") D_TOK(XOR, "^") D_TOK(AND, "&") \
	D_TOK(EQ, "==") D_TOK(NE, "!=") D_TOK(LT, "<") D_TOK(LE, "<=") D_TOK(GT, ">") D_TOK(GE, ">=") \
	D_TOK(LSH, "<<") D_TOK(RSH, ">>") D_TOK(ADD, "+") D_TOK(SUB, "-") D_TOK(MUL, "*") D_TOK(DIV, "/") \
	D_TOK(MOD, "%") D_TOK(LNOT, "!") D_TOK(BNOT, "~") D_TOK(INC, "++") D_TOK(DEC, "--") D_TOK(AT, "@")

#define D_KEYWORDS(D_TOK) \
	D_TOK(AUTO, "auto") D_TOK(BREAK, "break") D_TOK(CASE, "case") D_TOK(CHAR, "char") D_TOK(CONST, "const") \
	D_TOK(CONTINUE, "continue") D_TOK(COUNTER, "counter") D_TOK(DEFAULT, "default") D_TOK(DO, "do") \
	D_TOK(DOUBLE, "double") D_TOK(ELSE, "else") D_TOK(ENUM, "enum") D_TOK(EXTERN, "extern") \
	D_TOK(FLOAT, "float") D_TOK(FOR, "for") D_TOK(GOTO, "goto") D_TOK(IF, "if") D_TOK(IMPORT, "import") \
	D_TOK(INLINE, "inline") D_TOK(INT_T, "int") D_TOK(LONG, "long") D_TOK(OFFSETOF, "offsetof") \
	D_TOK(PROBE, "probe") D_TOK(PROVIDER, "provider") D_TOK(REGISTER, "register") \
	D_TOK(RESTRICT, "restrict") D_TOK(RETURN, "return") D_TOK(SELF, "self") D_TOK(SHORT, "short") \
	D_TOK(SIGNED, "signed") D_TOK(SIZEOF, "sizeof") D_TOK(STATIC, "static") D_TOK(STRING, "string") \
	D_TOK(STRINGOF, "stringof") D_TOK(STRUCT, "struct") D_TOK(SWITCH, "switch") D_TOK(THIS, "this") \
	D_TOK(TRANSLATOR, "translator") D_TOK(TYPEDEF, "typedef") D_TOK(UNION, "union") \
	D_TOK(UNSIGNED, "unsigned") D_TOK(VOID, "void") D_TOK(VOLATILE, "volatile") D_TOK(WHILE, "while") \
	D_TOK(XLATE, "xlate") D_TOK(BOOL, "_Bool")

enum d_tok_kind {
	T_EOF, T_INT, T_STR, T_IDENT, T_PDESC,
	T_EPRED, /* the slash that ends a predicate */
	T_PREINC, T_PREDEC, T_POSTINC, T_POSTDEC, T_NEG, T_PLUS, T_DEREF, T_ADDR, /* operators of nodes only */
#define D_TOK(name, text) T_##name,
	D_PUNCTS(D_TOK)
	D_KEYWORDS(D_TOK)
#undef D_TOK
	T_CNT
};
#define T_PUNCT_FIRST T_LPAREN
#define T_KEY_FIRST T_AUTO

struct d_place {
	uint32_t src, line, col, off; /* off: in the text, for the excerpt */
	uint32_t seen; /* the line of the token after it, which DTrace's messages name; 0: the same */
#define D_NO_LINE UINT32_MAX /* they name none */
};

struct d_tok {
	enum d_tok_kind kind;
	struct d_place at;
	uint64_t val;       /* T_INT */
	bool is_unsigned, is_decimal;
	uint8_t longs;
	bool is_int;        /* it has its sign in it: an int */
	bool is_new;        /* T_IDENT: not used before as if it were a variable */
	const char *str;    /* T_STR, T_IDENT, T_PDESC: interned or in the arena, with a NUL */
	uint32_t len;
};

const char *d_tok_text(enum d_tok_kind);
enum d_tok_kind d_keyword(const char *s, size_t len); /* T_IDENT: none */

/* ---- types ---- */

enum d_type_kind {
	D_T_ERR, /* of what was reported already */
	D_T_VOID, D_T_INT, D_T_ENUM, D_T_FLOAT, D_T_STRING, D_T_PTR, D_T_ARRAY, D_T_STRUCT, D_T_UNION, D_T_FUNC,
	D_T_TYPEDEF,
	D_T_STACK,   /* of ustack() */
	D_T_USYM,    /* of usym() and its family */
	D_T_AGG,     /* an aggregation as an argument */
	D_T_XLATED,  /* of xlate <base>: members are computed where they are used */
};

struct d_member {
	const char *name; /* NULL: anonymous struct or union */
	struct d_type *type;
	uint32_t off;
	uint32_t bit_off, bits; /* bits: 0 if it is no bit-field */
	struct d_member *next;
};

struct d_type {
	enum d_type_kind kind;
	const char *name; /* of basic types, typedefs, tags (NULL: none) */
	uint32_t size, align; /* bytes; size 0: unknown */
	bool is_signed;
	bool is_bool;
	bool is_incomplete;
	bool is_weak; /* of ours: a program may declare the structure anew, a header the typedef */
	uint8_t rank; /* of integers: 1 char, 2 short, 3 int, 4 long, 5 long long */
	uint8_t height; /* of derived types, against nesting without end */
	struct d_type *base; /* pointed to, element, aliased, result */
	uint64_t cnt; /* of elements */
	struct d_member *members;
	const char *lacks; /* the name that d_member_find() last looked for in vain */
	const struct d_xlator *xl; /* D_T_XLATED */
	struct d_enumerator *enums;
	struct d_ext *ext; /* of the traced program: where it comes from */
	bool ext_tried;    /* incomplete, and nothing is known of it */
	struct d_type *ptr; /* the pointer to it, once there is one */
};

struct d_enumerator {
	const char *name;
	int64_t val;
	struct d_enumerator *next;
};

struct d_basics {
	struct d_type *err, *void_, *char_, *schar, *uchar, *short_, *ushort, *int_, *uint, *long_, *ulong, *llong,
		*ullong, *wlong, *wulong, /* what "long" is: 4 bytes with -32, while long_ and ulong always have 8 */
		*float_, *double_, *ldouble, *bool_, *string, *stack, *usym, *ksym, *agg;
};

void d_types_init(struct d_compiler *);
struct d_type *d_type_new(struct d_compiler *, enum d_type_kind, const char *name, uint32_t size);
struct d_type *d_type_ptr(struct d_compiler *, struct d_type *);
struct d_type *d_type_array(struct d_compiler *, struct d_type *, uint64_t cnt);
struct d_type *d_type_typedef(struct d_compiler *, const char *name, struct d_type *);
struct d_type *d_resolve(struct d_type *); /* through typedefs */
uint32_t d_var_bytes(struct d_type *); /* of a variable of that type; with -32 pointers take more than their size */
const char *d_type_str(struct d_compiler *, const struct d_type *);
bool d_type_same(struct d_type *, struct d_type *);
bool d_is_int(struct d_type *);     /* enums too */
bool d_is_signed(const struct d_type *); /* of integers and enums, resolved */
bool d_is_ptr(struct d_type *);     /* pointers and arrays */
bool d_is_scalar(struct d_type *);
bool d_is_string(struct d_type *);
bool d_is_charptr(struct d_type *); /* char *, char [] */
bool d_is_strlike(struct d_type *); /* string or one that can become a string */
bool d_is_sou(struct d_type *);
struct d_type *d_pointee(struct d_type *);
struct d_type *d_promote(struct d_compiler *, struct d_type *);
struct d_type *d_usual(struct d_compiler *, struct d_type *, struct d_type *); /* usual arithmetic conversions */
struct d_type *d_rank(struct d_compiler *, struct d_type *, struct d_type *); /* of the result, as DTrace ranks types */
bool d_is_whole(struct d_type *);   /* handled by its address: struct, union, array, floating point */
int64_t d_convert(struct d_type *from, struct d_type *to, int64_t v); /* an operand of arithmetic */
int64_t d_canon(struct d_type *, int64_t v); /* as a register holds a value of the type */
void d_layout_sou(struct d_type *);
const struct d_member *d_member_find(struct d_type *, const char *name, uint32_t *ret_off);

/* ---- types of the traced program (ext.c) ---- */

struct d_type *d_ext_type(struct d_compiler *, const struct tdesc *); /* NULL: void */
void d_ext_load(struct d_type *);        /* members, enumerators */
bool d_ext_same(const struct d_type *, const struct d_type *);
bool d_complete(struct d_compiler *, struct d_type *); /* looks for what was only declared */
struct d_type *d_ext_tag(struct d_compiler *, enum d_type_kind, const char *name); /* scope`tag */
struct d_type *d_ext_named(struct d_compiler *, const char *name); /* a type of one word; NULL */

/* ---- names ---- */

enum d_scope { D_GLOBAL, D_SELF, D_THIS, D_SCOPE_CNT };

enum d_var_kind { D_VAR_SCALAR, D_VAR_ASSOC, D_VAR_BUILTIN, D_VAR_INLINE, D_VAR_ENUMERATOR, D_VAR_PARAM };

struct d_node;
struct d_func;
struct d_xlator;
struct d_xmember;
struct d_key { /* of an associative array or aggregation */
	struct d_type *type;
	const char *name; /* of parameters; NULL: none */
	struct d_place at;
	bool mixed;     /* aggregations: a use that is no interned string */
	bool sref;      /* after the layout: an interned string, in the field */
	uint32_t depth; /* stacks */
	struct d_node *first; /* the first use, for what its kind is */
};

struct d_var {
	const char *name;
	enum d_var_kind kind;
	enum d_scope scope;
	struct d_type *type; /* of the value */
	struct d_key *keys;
	uint32_t key_cnt;
	bool keys_known;
	uint32_t off;     /* scalars */
	bool is_counted;  /* self-> scalars: kept like an element of an array, because dynvarsize is so small */
	uint32_t id;      /* arrays: number of the dynamic variable; built-ins: enum d_builtin */
	int64_t val;      /* enumerators */
	struct d_node *init; /* inlines */
	uint8_t used;     /* vartab.c: how the clause that is shown uses it */
	struct d_var **params; /* inlines with keys: one for each */
	struct d_var *next_param; /* parameters that can be seen, the nearest first */
	bool has_stability;
	struct d_stability stability; /* #pragma D attributes */
	uint32_t reg;     /* parameters: the argument, where the body is being lowered */
	bool holds_alloca, holds_other; /* check_alloca.c: what was assigned */
	struct d_var *next; /* in order of creation */
	struct d_place at;
};

enum d_builtin {
	D_B_ARG0, D_B_ARG9 = D_B_ARG0 + 9,
	D_B_ARGS, D_B_UREGS, D_B_ENV, /* ENV + enum ir_env */
	D_B_EPID = D_B_ENV + WIRE_ENV_CNT, D_B_UCALLER, D_B_ERRNO, D_B_VTIMESTAMP, D_B_CURTHREAD, D_B_USTACKDEPTH,
	D_B_KSTACKDEPTH, D_B_KCALLER, D_B_ZERO, /* ipl: there is no such thing */
	D_B_UNSUP
};

struct d_agg {
	const char *name; /* "" for @ */
	uint32_t id;
	const struct d_func *fn; /* NULL: only used so far */
	struct wire_agg desc;
	struct d_key *keys;
	uint32_t key_cnt;
	bool keys_known;
	bool is_signed;
	int64_t params[4]; /* of lquantize, llquantize */
	uint32_t fixed_bytes, tail_bytes;
	uint32_t pid_off, cpu_off; /* see struct plan_agg */
	struct d_place at;
	struct d_agg *next;
};

/* Functions. */
enum d_func_kind { D_F_SUBR, D_F_ACTION, D_F_AGG, D_F_INLINE, D_F_UNSUP };
enum d_action {
	D_A_NONE, D_A_TRACE, D_A_TRACEMEM, D_A_PRINTF, D_A_PRINTA, D_A_USTACK, D_A_USYM, D_A_UADDR, D_A_UMOD, D_A_UFUNC,
	D_A_EXIT, D_A_CLEAR, D_A_TRUNC, D_A_NORMALIZE, D_A_DENORMALIZE, D_A_SYSTEM, D_A_FREOPEN, D_A_SETOPT, D_A_SPECULATE, D_A_COMMIT, D_A_DISCARD, D_A_RAISE, D_A_STOP, D_A_CHILL,
	D_A_FTRUNCATE, D_A_STACK, D_A_SYM, D_A_MOD, D_A_KERNEL, D_A_PRINT,
};
/* Subroutines that are made of instructions. */
enum d_inline { D_I_GETMAJOR, D_I_GETMINOR, D_I_KERNEL };
struct d_func {
	const char *name;
	enum d_func_kind kind;
	uint32_t what;     /* subroutines: enum ir_helper; actions: enum d_action; aggregating: enum wire_agg_fn;
	                    * D_F_INLINE: enum d_inline */
	const char *result; /* name of its type */
	const char *args;  /* a letter each: i integer, k integer constant, p address, q pointer, s string, @ aggregation, a
	                    * any, 4 and 6 pointer to such a network address, m and w to a lock of the kernel; capitals may be left
	                    * out; . more of anything */
	const char *why;   /* D_F_UNSUP, and what fails where it runs */
	const char *proto; /* types of the arguments, as DTrace's messages name them */
};
const struct d_func *d_func_find(struct d_compiler *, const char *name);
const struct d_func *d_func_at(uint32_t i); /* all of them; NULL behind the last */
void d_funcs_init(struct d_compiler *);
void d_syms_init(struct d_compiler *);
void d_net_types_init(struct d_compiler *);
struct d_type *d_net_weak_struct(struct d_compiler *, const char *tag); /* that a program may declare itself */
struct d_var *d_var_find(struct d_compiler *, enum d_scope, const char *name);
struct d_var *d_var_new(struct d_compiler *, enum d_scope, const char *name, enum d_var_kind, struct d_type *,
			struct d_place);
struct d_type *d_typename(struct d_compiler *, const char *name); /* NULL: none */

/* #pragma D attributes, binding */
struct d_pragma {
	const char *what, *name;
	bool has_stability;
	struct d_stability stability;
	struct d_place at;
	struct d_pragma *next;
};

/* translator dst < src param > { member = expr; ... } */
struct d_xmember {
	const char *name;
	struct d_node *expr;
	struct d_place at;
	const struct d_member *memb; /* of dst */
	uint32_t off;
	struct d_xmember *next;
};
struct d_xlator {
	struct d_type *dst, *src;
	struct d_var *param;
	struct d_xmember *members;
	struct d_type *sou_type, *ptr_type; /* of what it gives */
	struct d_xlator *next;
};

/* ---- tree ---- */

/* D_NODE(name, text in dumps) */
#define D_NODES(D_NODE) \
	D_NODE(INT, "int") D_NODE(STR, "string") D_NODE(IDENT, "ident") D_NODE(AGG, "aggregation") \
	D_NODE(INDEX, "index") D_NODE(CALL, "call") D_NODE(UNARY, "unary") D_NODE(BINARY, "binary") \
	D_NODE(ASSIGN, "assign") D_NODE(COND, "conditional") D_NODE(COMMA, "comma") D_NODE(CAST, "cast") \
	D_NODE(SIZEOF, "sizeof") D_NODE(OFFSETOF, "offsetof") D_NODE(STRINGOF, "stringof") \
	D_NODE(MEMBER, "member") D_NODE(XLATE, "xlate") \
	D_NODE(EXPR_STMT, "statement") D_NODE(IF, "if") \
	D_NODE(CLAUSE, "clause") D_NODE(PDESC, "probe") \
	D_NODE(XLATOR, "translator") D_NODE(PROVIDER, "provider") D_NODE(PROBE, "probe declaration") \
	D_NODE(DECL, "declaration") D_NODE(TYPEDEF, "typedef") D_NODE(INLINE, "inline") D_NODE(TYPEDECL, "type")
enum d_node_kind {
#define D_NODE(name, text) N_##name,
	D_NODES(D_NODE)
#undef D_NODE
	N_CNT
};

struct d_node {
	enum d_node_kind kind;
	enum d_tok_kind op;
	struct d_place at;
	uint16_t height;
	struct d_node *next; /* in a list */
	struct d_node *l, *r, *third; /* operands; condition, then, else */
	struct d_node *args;  /* keys, arguments, statements, descriptions */
	const char *str;      /* name; text of strings and descriptions */
	uint32_t len;
	enum d_scope scope;
	/* After the check. */
	struct d_type *type;
	struct d_type *op_type; /* what both operands become */
	bool is_const;          /* val is its value */
	bool is_target;         /* was args[] or a variable of the traced program */
	bool is_act;            /* a call of an action: no value */
	int64_t val;
	struct d_var *var;
	struct d_agg *agg;
	const struct d_func *func;
	const struct d_member *memb;
	uint32_t memb_off;
	uint32_t whole;         /* of an element that is a whole: where its copy lies, from d_compiler.this_vars */
	const struct d_xmember *xl_memb; /* N_MEMBER of what is translated */
	/* After the layout. */
	uint32_t act;           /* calls of actions: index in the plan's clause */
	int guard, else_guard;  /* N_IF: bits of its parts in the record's mask; -1: none */
	bool as_string;         /* a char * that is to be recorded as a string */
	/* Of clauses. */
	uint32_t clause;
	struct d_key *keys;     /* N_DECL of an associative array; N_PROBE: input parameters */
	uint32_t key_cnt;
	struct d_key *out_keys; /* N_PROBE */
	uint32_t out_key_cnt;
	bool has_out;
	struct d_xlator *xlator; /* N_XLATOR */
	struct plan_probe_desc *desc; /* N_PDESC: parts, in the arena */
};

static inline uint32_t d_node_cnt(const struct d_node *list)
{
	uint32_t n = 0;
	for (; list; list = list->next)
		n++;
	return n;
}

/* ---- the compiler ---- */

struct d_src {
	const struct d_source *src;
	const char *text; /* copied into the arena: excerpts outlive the caller's */
	const char *name;
	size_t len;
	uint64_t args_used[4]; /* bit per $N */
	uint32_t arg_cnt;
	uint32_t end_line;
	struct d_file {
		const char *name; /* NULL: the source itself */
		size_t off;       /* from here on */
		struct d_file *next;
	} *files; /* the last first */
};

struct d_compiler {
	struct d_opts opts;
	struct d_block *blocks;
	jmp_buf oom;
	struct d_map names; /* interned strings */
	struct d_map strs;  /* of the image: 1 + the offset of each */
	struct d_map seen;  /* identifiers that looked like variables */
	struct d_basics t;
	struct d_map exts, ext_missing, print_types; /* by description; by name; by type */
	struct d_node *clause; /* that is being checked */
	struct d_map typedefs, tags[3], vars[D_SCOPE_CNT], funcs, aggs;
	struct d_var *var_list, **var_tail;
	struct d_agg *agg_list, **agg_tail;
	uint32_t agg_cnt, clause_cnt;
	struct d_src *srcs;
	uint32_t src_cnt;
	struct d_node *tops, **top_tail;
	bool checked;
	struct d_type *task_ptr; /* of curthread, in scripts about the kernel */
	bool any_kernel; /* the kernel runs some clause: names of processes are no interned strings */
	struct d_xlator *xlators, **xlator_tail;
	struct d_pragma *pragmas; /* that name what may be defined later */
	struct d_map providers; /* by name: the first N_PROVIDER */
	struct d_map protos;    /* of functions that were declared: their types */
	struct d_var *params;
	/* Copies of elements that are wholes, behind the this-> variables: bytes used where the check is, by the clause
	 * that uses most, and by what lies outside of clauses; where they begin. */
	uint32_t whole_used, whole_max, whole_base, this_vars;
	struct d_defining {
		const char *name;
		const struct d_node *local; /* the name, where it is one of this-> that is indexed */
		struct d_defining *outer;
	} *defining; /* names that the expression gives a meaning to, with the value that is being checked */
	uint32_t clause_did; /* check_order.c: what the clause that is checked has done */
	const char *region; /* where the check is: "predicate", "action list" */
	struct d_diag diags[D_DIAG_MAX];
	uint32_t diag_cnt, err_cnt;
	/* [clause]: where its statements are, in the order of their numbers; [0] is the predicate. */
	struct d_stmts {
		struct d_place *at;
		uint32_t cnt;
	} *stmts;
	/* Of the lowering; here so that running out of memory frees it. */
	struct d_program prog;
	struct ir_builder *builder;
};

/* ---- diagnostics ---- */

void d_error(struct d_compiler *, struct d_place, const char *tag, const char *fmt, ...) PRINTF_LIKE(4, 5);
void d_error_hint(struct d_compiler *, struct d_place, const char *tag, const char *hint, const char *fmt, ...)
	PRINTF_LIKE(5, 6); /* @hint: shown at the caret; NULL: none */
/* near.c: "did you mean x?", or NULL where nothing is near. */
const char *d_foreign_var(struct d_compiler *, const char *name);
const char *d_foreign_func(struct d_compiler *, const char *name);
const char *d_near_var(struct d_compiler *, enum d_scope, const char *name);
/* Of an argument that does not fit: what is usual instead; NULL: nothing. */
const char *d_meant_arg(const struct d_compiler *, const struct d_node *arg, bool wants_str);
const char *d_near_func(struct d_compiler *, const char *name);
const char *d_near_agg(struct d_compiler *, const char *name);
const char *d_near_member(struct d_compiler *, const struct d_type *sou, const char *name);
const char *d_near_converted(struct d_compiler *, const struct d_xlator *, const char *name);
/* The place of an argument, in the line of its call, which DTrace names. */
struct d_place d_arg_at(const struct d_node *call, const struct d_node *arg);

#endif
