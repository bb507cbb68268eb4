/* SPDX-License-Identifier: MIT */
/*
 * Private to the lowering.
 *
 * A virtual register holds an integer as its type extends it (d_canon), a
 * pointer, or a string's sref.  Strings that an expression makes lie in slots
 * of scratch that are used again from statement to statement; tuples too, but
 * only for tuples of the same shape, as the verifier wants it.
 */
#ifndef D_LOWER_INT_H
#define D_LOWER_INT_H

#include "d/d_int.h"

struct lw_tuple {
	uint32_t off, fixed, bytes;
	bool busy;
};

struct lw {
	struct d_compiler *c;
	struct ir_builder *b;
	struct plan_clause *pc;
	uint32_t *strs; /* slots, in the arena */
	uint32_t str_cnt, str_cap, str_used;
	struct lw_tuple *tuples;
	uint32_t tuple_cnt, tuple_cap;
	uint32_t mask;   /* register with the branch mask; WIRE_NONE */
	uint32_t skip;   /* branch past all statements; WIRE_NONE: none */
	uint32_t action; /* statements so far */
	struct d_stmts *stmts;
	uint32_t expanding; /* translators and inlines with parameters, inside each other */
};

/* Where something that can be read or assigned to lies. */
struct lw_place {
	enum { LW_GLOBAL, LW_SELF, LW_THIS, LW_MEM, LW_DYN, LW_BAD } kind;
	int64_t off;    /* from the area's start, or from addr */
	uint32_t addr;  /* LW_MEM */
	/* LW_MEM, of a copy of an array's element: it goes back there after a change. */
	const struct d_var *back;
	uint32_t back_tuple, back_addr;
	const struct d_var *var; /* LW_DYN */
	uint32_t tuple; /* LW_DYN: slot */
};

uint32_t lw_const(struct lw *, int64_t v);
uint32_t lw_op(struct lw *, enum ir_op, uint32_t a, uint32_t b);
uint32_t lw_op1(struct lw *, enum ir_op, uint32_t a);
uint32_t lw_opk(struct lw *, enum ir_op, uint32_t a, int64_t k); /* with a constant */
uint32_t lw_branch(struct lw *, enum ir_op, uint32_t a); /* its target comes later: lw_land() */
void lw_land(struct lw *, uint32_t insn);
uint32_t lw_call(struct lw *, enum ir_helper, const uint64_t *args, uint32_t cnt); /* its result, or WIRE_NONE */
uint32_t lw_convert(struct lw *, uint32_t v, struct d_type *from, struct d_type *to);
uint32_t lw_narrow(struct lw *, uint32_t v, struct d_type *); /* the result of arithmetic to its type */
uint32_t lw_str_slot(struct lw *);
uint32_t lw_tuple_slot(struct lw *, uint32_t fixed, uint32_t bytes);
void lw_end_stmt(struct lw *); /* frees the slots */
/* Ends the program where it gets there; what follows sees a register. */
uint32_t lw_fault(struct lw *, enum wire_fault, uint32_t value);
uint32_t lw_unsup(struct lw *, const struct d_node *, const char *what); /* an error, and a register */

uint32_t lw_value(struct lw *, struct d_node *);
uint32_t lw_as(struct lw *, struct d_node *, struct d_type *);
/* The same, but what arithmetic made may have more bits than the type: an operand of more arithmetic. */
uint32_t lw_operand(struct lw *, struct d_node *, struct d_type *);
uint32_t lw_str(struct lw *, struct d_node *); /* sref of what is or can become a string */
uint32_t lw_addr(struct lw *, struct d_node *); /* of pointers, arrays in memory, strings; integers as they are */
struct lw_place lw_place_of(struct lw *, struct d_node *);
uint32_t lw_load(struct lw *, const struct lw_place *, struct d_node *);
uint32_t lw_store(struct lw *, const struct lw_place *, uint32_t v, const struct d_node *target); /* the value kept */
/* lower_whole.c: what has an address, and bit-fields. */
uint32_t lw_place_addr(struct lw *, const struct lw_place *);
struct lw_place lw_in_memory(struct lw *, const struct lw_place *); /* the same, by its address */
void lw_assign_whole(struct lw *, const struct lw_place *, struct d_type *, struct d_node *from);
uint32_t lw_load_bits(struct lw *, const struct lw_place *, const struct d_member *);
uint32_t lw_store_bits(struct lw *, const struct lw_place *, const struct d_member *, uint32_t v); /* the value kept */
void lw_put_back(struct lw *, const struct lw_place *);
/* A copy of the element of @n, which lies in an associative array. */
struct lw_place lw_element(struct lw *, const struct lw_place *dyn, const struct d_node *n);
uint32_t lw_load_int(struct lw *, const struct lw_place *, uint32_t size, bool is_signed);
void lw_store_int(struct lw *, const struct lw_place *, uint32_t size, uint32_t v);
/* lower_xlate.c */
uint32_t lw_xlated_member(struct lw *, struct d_node *);
uint32_t lw_inline_index(struct lw *, struct d_node *);
void lw_assign_xlated(struct lw *, const struct lw_place *, struct d_node *from);
uint32_t lw_subr(struct lw *, struct d_node *);
uint32_t lw_builtin(struct lw *, struct d_node *);
uint32_t lw_binary(struct lw *, struct d_node *);
uint32_t lw_arith(struct lw *, struct d_node *, enum d_tok_kind op, uint32_t a, uint32_t b);
/* A tuple of @args in a slot; each key's type as given. */
/* @agg: NULL for an array's. */
uint32_t lw_key_tuple(struct lw *, struct d_node *args, const struct d_key *keys, uint32_t slot, const struct d_agg *agg);
uint32_t lw_env(struct lw *, enum wire_env);
void lw_action(struct lw *, struct d_node *);
void lw_agg_stmt(struct lw *, struct d_node *);
uint32_t lw_agg_slot(struct lw *, const struct d_agg *);

#endif
