/* SPDX-License-Identifier: MIT */
/* Private to d: lexing and parsing. */
#ifndef D_PARSE_INT_H
#define D_PARSE_INT_H

#include "d/d_int.h"

struct d_parser {
	struct d_compiler *c;
	uint32_t src;
	const char *text;
	size_t len, pos;
	uint32_t line;
	size_t line_start;
	struct d_tok tok;     /* the current one */
	bool in_pred;         /* a slash may end the predicate */
	uint32_t opens[2];    /* ( and [ that are open */
	bool in_typedef;
	uint32_t close_line;  /* of what closed the last list of arguments */
	uint32_t braces;      /* open at the token */
	uint32_t nest;
	jmp_buf *recover;
	struct d_node **desc_tail; /* where the next probe description of the clause belongs */
};

/* The same, with what would be right, shown at the caret. */
_Noreturn void d_fail_hint(struct d_parser *, struct d_place, const char *tag, const char *hint, const char *fmt, ...)
	PRINTF_LIKE(5, 6);
_Noreturn void d_fail(struct d_parser *, struct d_place, const char *tag, const char *fmt, ...) PRINTF_LIKE(4, 5);
struct d_place d_here(const struct d_parser *, size_t pos);
void d_next(struct d_parser *);                 /* to the next token */
bool d_lex_top(struct d_parser *);              /* a description's text into tok, or false: it is a declaration */
void d_skip_space(struct d_parser *);           /* comments and # lines too */
void d_skip_to_stmt(struct d_parser *);
void d_skip_to_top(struct d_parser *);          /* out of all braces */
void d_lex_macro(struct d_parser *, struct d_tok *);
/* Text of the macro at pos ('$' there) for a description; moves pos. */
const char *d_macro_text(struct d_parser *);
void d_macros_done(struct d_compiler *);        /* complains of arguments that nothing used */
void d_lex_number(struct d_parser *, struct d_tok *);
void d_lex_string(struct d_parser *, struct d_tok *);
const char *d_unescape(struct d_parser *, const char *, size_t len); /* backslashes to what they mean */
bool d_in_header(const struct d_compiler *, struct d_place); /* a file that the preprocessor included */
void d_file_begin(struct d_parser *, const char *name); /* what follows pos is of this file */
void d_directive(struct d_parser *);            /* a # line; moves pos behind it */
_Noreturn void d_unexpected(struct d_parser *, const char *expected); /* NULL: say no more than where */
uint32_t d_seen(const struct d_parser *);          /* the line that DTrace's parser would be at */
bool d_accept(struct d_parser *, enum d_tok_kind);
void d_expect(struct d_parser *, enum d_tok_kind, const char *where);
void d_enter(struct d_parser *);
void d_leave(struct d_parser *);

/* Words that D does not know, as types of the traced program. */
bool d_ext_at_type(struct d_parser *);
struct d_type *d_ext_type_word(struct d_parser *, bool has_storage);
bool d_ext_at_decl(struct d_parser *, size_t end);
size_t d_ext_word_end(const char *text, size_t start, size_t end); /* of a.out`x, ns::y */

void d_parse_source(struct d_compiler *, uint32_t src);
struct d_node *d_node_new(struct d_parser *, enum d_node_kind, struct d_place);
struct d_node *d_node_done(struct d_parser *, struct d_node *); /* its children are there: bounds its height */
const char *d_parse_name(struct d_parser *, const char *what);
struct d_node *d_parse_expr(struct d_parser *);        /* with commas */
struct d_node *d_parse_asgn(struct d_parser *);        /* one argument */
struct d_node *d_parse_args(struct d_parser *, enum d_tok_kind close);
bool d_at_type(struct d_parser *);                     /* the current token begins a type */
struct d_type *d_parse_type_name(struct d_parser *);   /* of a cast or sizeof */
void d_parse_decl(struct d_parser *);                  /* at the top; to its semicolon */
/* parse_words.c: unsigned, long, int, ...; or another type. */
struct d_words {
	bool is_signed, is_unsigned, is_short, any;
	uint32_t longs;
	enum d_tok_kind base; /* T_CHAR, T_INT_T, ...; 0: none */
	struct d_type *type;  /* what is no word of these: void, string, a tag's, a typedef */
};
enum d_words_kind { D_WORDS_NONE, D_WORDS_INT, D_WORDS_FLOAT, D_WORDS_TYPE };
enum d_words_kind d_words_kind(const struct d_words *);
bool d_words_add(struct d_parser *, struct d_words *); /* the current token, if it is one */
void d_words_check(struct d_parser *, const struct d_words *, struct d_place);
struct d_type *d_words_type(struct d_parser *, const struct d_words *, struct d_place);
/* A parameter with or without a name; false: it is "...". */
bool d_parse_param(struct d_parser *, struct d_key *ret);
/* parse_params.c: a list up to its closing token; @form: the prototype whose names it has to use, or NULL. */
#define D_PARAMS_MAX 255
enum { D_PARAMS_VARARGS = 1, D_PARAMS_VOID = 2, D_PARAMS_ANON = 4 };
struct d_params {
	struct d_key *keys; /* none if it is (void) */
	uint32_t cnt;
};
void d_parse_params(struct d_parser *, struct d_params *ret, enum d_tok_kind close, const char *kind, unsigned flags,
		    const struct d_params *form);
/* parse_xlate.c */
void d_parse_translator(struct d_parser *);
void d_parse_provider(struct d_parser *);
struct d_node *d_parse_xlate(struct d_parser *);       /* the operator */
int64_t d_parse_const(struct d_parser *, const char *tag, const char *what);
void d_parse_pdesc(struct d_parser *, struct d_node *);
void d_add_top(struct d_parser *, struct d_node *);

#endif
