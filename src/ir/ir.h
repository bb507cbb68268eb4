/* SPDX-License-Identifier: MIT */
/*
 * ir: the register language that D is lowered to.
 *
 * A program is the predicate and body of one clause.  It has any number of
 * 64-bit virtual registers, scratch memory at constant offsets, and no
 * pointers.  Branches go forward only, so every program ends.  The verifier
 * is the gate: what it passes, the interpreter (ir_interp), the x86-64
 * generator (jit) and later the eBPF generator run with the same results.
 */
#ifndef IR_IR_H
#define IR_IR_H

#include "wire/wire.h"

#include <stdio.h>

/*
 * IR_OP(name, form, text).  ORDER: the position is the opcode in an image.
 * form, which the printer, the verifier and the decoder are driven by:
 *   N  nothing          D  dst            DA  dst, a         DAB dst, a, b
 *   DI dst, imm         DAX dst, a, aux   DIX dst, imm, aux  AIX a, imm, aux
 *   J  imm = target     AJ a, target      I imm              IA imm, a
 *   C  call             G aggregation (a = value, b = weight or WIRE_NONE (1), imm = id, aux = tuple slot
 *                         or IR_NO_TUPLE)
 * Fields that a form does not use are ignored; the builder's users pass WIRE_NONE or 0.
 */
#define IR_OPS(IR_OP) \
	IR_OP(NOP, N, "nop") \
	IR_OP(CONST, DI, "const") \
	IR_OP(MOV, DA, "mov") \
	IR_OP(ADD, DAB, "add") IR_OP(SUB, DAB, "sub") IR_OP(MUL, DAB, "mul") \
	IR_OP(SDIV, DAB, "sdiv") IR_OP(UDIV, DAB, "udiv") /* fault DIVZERO; MIN / -1 = MIN */ \
	IR_OP(SREM, DAB, "srem") IR_OP(UREM, DAB, "urem") /* fault DIVZERO; MIN % -1 = 0 */ \
	IR_OP(AND, DAB, "and") IR_OP(OR, DAB, "or") IR_OP(XOR, DAB, "xor") \
	IR_OP(SHL, DAB, "shl") IR_OP(SHR, DAB, "shr") IR_OP(SAR, DAB, "sar") /* count mod 64 */ \
	IR_OP(NEG, DA, "neg") IR_OP(NOT, DA, "not") \
	IR_OP(EXT, DAX, "ext") /* aux: bits (8, 16, 32) | IR_SIGNED */ \
	IR_OP(SEQ, DAB, "seq") IR_OP(SNE, DAB, "sne") /* 1 or 0 */ \
	IR_OP(SLT, DAB, "slt") IR_OP(SLE, DAB, "sle") \
	IR_OP(SULT, DAB, "sult") IR_OP(SULE, DAB, "sule") \
	IR_OP(JMP, J, "jmp") IR_OP(BRZ, AJ, "brz") IR_OP(BRNZ, AJ, "brnz") \
	IR_OP(ARG, DI, "arg")   /* argN, N < 6 at an entry; see enum wire_env for other kinds of site */ \
	IR_OP(UREG, DI, "ureg") /* enum wire_reg */ \
	IR_OP(ENV, DI, "env")   /* enum wire_env */ \
	IR_OP(LDS, DIX, "lds") IR_OP(STS, AIX, "sts") /* scratch[imm], aux: bytes | IR_SIGNED */ \
	IR_OP(LDG, DIX, "ldg") IR_OP(STG, AIX, "stg") /* globals[imm] */ \
	IR_OP(LDT, DIX, "ldt") IR_OP(STT, AIX, "stt") /* self->[imm] */ \
	IR_OP(REC, I, "rec")    /* open a record, at most imm bytes of payload, whose fixed part (aux bytes) \
	                         * is zeroed (both multiples of 8); no room: count a drop, end the program */ \
	IR_OP(STR, AIX, "str")  /* payload[imm] of the open record */ \
	IR_OP(COMMIT, N, "commit") \
	IR_OP(AGG, G, "agg") \
	IR_OP(CALL, C, "call")  /* dst (WIRE_NONE if none), imm = helper, a = first arg, b = count */ \
	IR_OP(ACTION, I, "action") /* marks the start of action imm (for error reports) */ \
	IR_OP(FAULT, IA, "fault") /* imm = enum wire_fault, a = value; ends the program */ \
	IR_OP(RET, N, "ret")

enum ir_op {
#define IR_OP(name, form, text) IR_OP_##name,
	IR_OPS(IR_OP)
#undef IR_OP
	IR_OP_CNT
};
#define IR_SIGNED 0x100u
#define IR_NO_TUPLE 0xffffu /* slots that AGG uses lie below it */

enum ir_helper {
#define HELPER(name, result, args, faults) IR_HELPER_##name,
#include "wire/helpers.def"
#undef HELPER
	IR_HELPER_CNT
};

/* ARG at the other kinds of site: RETURN: 0 is the offset, 1 the value (rax),
 * the rest 0.  OFFSET: the registers as at an entry.  TOOL: rt_ctx.tool_args. */

struct ir_insn {
	uint16_t op;   /* enum ir_op */
	uint16_t aux;
	uint32_t dst;  /* vreg */
	uint32_t a, b; /* vregs, or as the form says */
	int64_t imm;
};

struct ir_prog {
	struct ir_insn *insns;
	uint32_t insn_cnt;
	uint64_t *args;  /* of calls: vreg numbers, slot offsets, constants, as the helper's signature says */
	uint32_t arg_cnt;
	uint32_t vreg_cnt;
	uint32_t scratch_bytes; /* slots it uses, from offset 0 (this-> variables first, shared by the clauses of a firing) */
	uint32_t rec_bytes;     /* largest payload; 0: writes no record */
	uint32_t clause;        /* its number in the image */
};

/* Variables and aggregations of a script, as far as executors need them. */
struct ir_image {
	struct ir_prog *progs; /* one per clause, in the order of the clauses */
	uint32_t prog_cnt;
	struct wire_agg *aggs;
	uint32_t agg_cnt;
	uint32_t dynvar_cnt;   /* ids 0 .. dynvar_cnt-1 */
	uint32_t global_bytes; /* fixed-offset globals */
	uint32_t self_bytes;   /* fixed-offset self-> variables */
	uint32_t this_bytes;   /* first bytes of scratch: zeroed at every firing, shared by its clauses */
	uint32_t strsize;
	/* Constant strings, as they will stand at the start of the interned
	 * strings: struct wire_str after struct wire_str.  Offset 0 is "". */
	uint8_t *strs;
	uint32_t str_bytes;
};

/* Limits of what the verifier lets pass. */
#define IR_INSNS_MAX (1u << 16)   /* of a program */
#define IR_VREGS_MAX (1u << 16)
#define IR_ARGS_MAX (1u << 18)
#define IR_SCRATCH_MAX (1u << 18)
#define IR_REC_MAX (1u << 20)
#define IR_FRAMES_MAX 4096u       /* of one ustack() */
#define IR_TUPLES_MAX 1024u       /* slots of tuples in a program */
#define IR_PROGS_MAX (1u << 14)
#define IR_AGGS_MAX (1u << 12)
#define IR_LEVELS_MAX 65535u      /* of lquantize and llquantize */
#define IR_DYNVARS_MAX (1u << 16)
#define IR_GLOBAL_MAX (1u << 24)
#define IR_SELF_MAX (1u << 20)
#define IR_VAR_MAX (1u << 16)     /* of an element of an associative array */
#define IR_STRSIZE_MAX (1u << 16)
#define IR_STRS_MAX (1u << 24)
#define IR_IMAGE_BYTES_MAX (1u << 26) /* of an encoded image */

/*
 * Slots in scratch: the rules that make a D argument safe.
 *
 * - Slots begin at a multiple of 8 and end inside scratch_bytes.
 * - A string destination takes wire_str_bytes(strsize).
 * - A tuple takes its head (struct wire_tuple, 8 bytes), the fixed part that
 *   tuple_begin declares, and the tails of what is appended on the path that
 *   appends most: ir_tail_bytes() for each string and each tuple_mem (which
 *   faults TUPOFLOW on more than strsize bytes), 8 for each frame asked for
 *   of a stack.  ir_tuple_bytes() adds that up.
 * - On every path tuple_begin comes before the tuple is appended to or used as
 *   a key, always with the same size.
 * - A slot that is a tuple anywhere in the program overlaps no other slot, no
 *   this-> variables, and STS writes only its fixed part.  So nothing but
 *   the helpers ever writes its head.  LDS reads anywhere.
 */
static inline uint32_t ir_tail_bytes(uint32_t strsize)
{
	return (uint32_t)align_up((uint64_t)strsize + 1, 8);
}
/* Bytes of a tuple's slot: @fixed bytes (8 for each field), @strs strings or
 * byte arrays, @frames frames of stacks in all. */
static inline uint32_t ir_tuple_bytes(uint32_t fixed, uint32_t strs, uint32_t frames, uint32_t strsize)
{
	return (uint32_t)sizeof(struct wire_tuple) + fixed + strs * ir_tail_bytes(strsize) + 8 * frames;
}

/* ---- building ---- */

/* Appends to a program under construction; owns it until _finish.  Running
 * out of memory is remembered and reported by _finish. */
struct ir_builder;
struct ir_builder *ir_builder_create(uint32_t clause);
void ir_builder_destroy(struct ir_builder *);
uint32_t ir_vreg(struct ir_builder *);                 /* a new virtual register */
/* Appends; returns the instruction's index (for ir_patch_target). */
uint32_t ir_emit(struct ir_builder *, enum ir_op, uint32_t dst, uint32_t a, uint32_t b, int64_t imm, uint16_t aux);
uint32_t ir_emit_call(struct ir_builder *, enum ir_helper, uint32_t dst, const uint64_t *args, uint32_t arg_cnt);
uint32_t ir_here(const struct ir_builder *);           /* index of the next instruction */
void ir_patch_target(struct ir_builder *, uint32_t insn, uint32_t target); /* of a branch */
/* Scratch of @bytes, 8-aligned; returns its offset.  Never reused in one program. */
uint32_t ir_scratch(struct ir_builder *, uint32_t bytes);
void ir_set_rec_bytes(struct ir_builder *, uint32_t bytes);
/* Moves the program to *ret (free with ir_prog_deinit).  0 or -ENOMEM. */
int ir_builder_finish(struct ir_builder *, struct ir_prog *ret);
void ir_prog_deinit(struct ir_prog *);
void ir_image_deinit(struct ir_image *); /* frees all that its pointers own */

/* Interns @s in the image's constant strings ("" comes first by itself);
 * returns its offset, or WIRE_NONE: no memory, or more than IR_STRS_MAX. */
uint32_t ir_image_intern(struct ir_image *, const char *s, size_t len);
/* The same without a look at what is there, which takes time: the caller keeps account of it. */
uint32_t ir_image_append(struct ir_image *, const char *s, size_t len);

/* Fills what the image determines of the input of wire_layout(); leaves the
 * rest.  str_cap becomes the image's own strings. */
struct wire_layout_in;
void ir_image_layout(const struct ir_image *, struct wire_layout_in *);

/* Words that a value of the aggregation has (what val_cnt must be); 0: the
 * function cannot have these parameters. */
uint32_t ir_agg_words(const struct wire_agg *);

/* ---- looking, checking, improving ---- */

const char *ir_op_name(enum ir_op);
struct ir_helper_desc {
	const char *name;
	char result;      /* 'i', 's', 'v' */
	const char *args; /* see helpers.def */
	bool faults;
};
const struct ir_helper_desc *ir_helper(enum ir_helper); /* NULL: no such */

/* One instruction a line, targets as indexes: stable text for golden tests and -d ir. */
void ir_prog_print(FILE *, const struct ir_prog *);
void ir_image_print(FILE *, const struct ir_image *);

/* The gate.  Checks every field against its bounds; that branches go forward
 * to an instruction; that registers are set on every path before they are
 * read; that scratch, globals, self and record offsets lie inside and at a
 * multiple of the access's size; the rules of slots above; that a record is
 * opened once before it is written and is committed before RET (FAULT voids
 * it); that calls fit their signature; that the last instruction ends the
 * program.  -EINVAL and a message naming the instruction; -ENOMEM.  (A
 * program that the verifier would need more than 64 MiB for is refused too.) */
int ir_prog_verify(const struct ir_prog *, const struct ir_image *, struct err *reterr);
int ir_image_verify(const struct ir_image *, struct err *reterr);

/* Constant folding, copy propagation, common subexpressions, dead code: in place, same results. */
void ir_prog_optimize(struct ir_prog *);

/* One program that does what @progs (@cnt of them, which call no helper that faults or ends them) do one after the other,
 * improved; each begins with ACTION and its clause's number.  Free with ir_prog_deinit().  -ENOENT: they have nothing in
 * common that need not be computed twice; -E2BIG, -ENOMEM. */
int ir_progs_join(const struct ir_prog *const *progs, uint32_t cnt, struct ir_prog *ret);

/* Whether @now begins with all that @old has: programs, aggregations, strings. */
bool ir_image_continues(const struct ir_image *old, const struct ir_image *now);

/* Wire form of an image: little-endian, versioned, self-contained. */
int ir_image_encode(const struct ir_image *, uint8_t **ret, size_t *ret_bytes, struct err *reterr);
/* Decodes and verifies; nothing in @bytes is trusted. */
int ir_image_decode(const uint8_t *bytes, size_t cnt, struct ir_image *ret, struct err *reterr);

#endif
