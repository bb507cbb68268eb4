/* SPDX-License-Identifier: MIT */
/*
 * Calling bodies as trampolines do, with every general register under
 * control: for tests and the micro-benchmark.  Not for several threads at once.
 */
#ifndef TESTS_UNIT_JIT_CALL_H
#define TESTS_UNIT_JIT_CALL_H

#include "jit/jit.h"
#include "rt/rt.h"

/* How the trampoline looks. */
enum call_variant {
	CALL_PLAIN,         /* sp_adj 16 */
	CALL_FLAGS,         /* 24 */
	CALL_RED_ZONE,      /* 144 */
	CALL_RED_ZONE_FLAGS, /* 152 */
	CALL_VARIANT_CNT
};
extern const uint16_t call_sp_adj[CALL_VARIANT_CNT];

struct call {
	/* Registers by wire_reg number, up to WIRE_RDI; rsp and flags besides. */
	uint64_t in[WIRE_REG_CNT];
	uint64_t out[WIRE_REG_CNT]; /* after the trampoline */
	const void *body;
	uint64_t variant; /* enum call_variant */
	uint64_t site;    /* index */
	uint64_t no_fs;   /* run with an fs base of 0 */
	uint64_t is_spot; /* @body is what call_spot() made for this variant and site */
	/* private */
	uint64_t host_rsp, fs;
	struct call *prev;
};
/* in[WIRE_RSP] must be the end of enough stack; in[WIRE_EFLAGS] may have arithmetic flags and DF. */
void call_run(struct call *);
/* jit_spot_body() at @code, of which the second half gets the cold part, and the jump back to call_run(). As that. */
int64_t call_spot(const struct jit_env *, enum wire_site_kind, const struct ir_prog *const *progs, uint32_t prog_cnt, uint32_t site,
		  enum call_variant, uint16_t dead, uint8_t *code, size_t bytes, struct err *reterr);
/* Registers that patch_dead() may say, in the order of the encoding.  With flags on the stack rax is saved in any case. */
#define CALL_DEAD 0x0fc7u
bool call_is_dead(uint16_t dead, unsigned wire_reg);

/* Whether rt's functions are larger here than in a target. */
#if defined(__SANITIZE_ADDRESS__)
#define CALL_IS_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CALL_IS_SANITIZED true
#endif
#endif
#ifndef CALL_IS_SANITIZED
#define CALL_IS_SANITIZED false
#endif

uint64_t call_fs_base(void);
uint32_t call_tid_off(void); /* wire_proc.tid_off; 0: none */
bool call_has_fsgsbase(void);

/* An env for this process, with rt's own functions.  @geometry: also where the memory is. */
void call_env_init(struct jit_env *, const struct wire_shm *geometry);

/* For jit_env.fn_enter of bodies that have no context: ends the test. */
void *call_must_not_enter(void);

/* Memory for code, writable and executable; near @hint (within 1 GB) where that is not NULL. */
void *call_code_map(const void *hint, size_t bytes);

#endif
