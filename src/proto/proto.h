/* SPDX-License-Identifier: MIT */
/*
 * proto: what a client and a worker of dyntraced say to each other.  Bytes to structures and back; no input or
 * output.  Nothing that is decoded is trusted: lengths are checked against what is there and against the bounds
 * below before anything is allocated.
 *
 *   client                         worker
 *   HELLO ------------------------>            version
 *         <----------------------- WELCOME     or REFUSED, at any time: the end
 *   LOOK ------------------------->            a file of a process (proc(5)), also later
 *         <----------------------- FILE        a descriptor for reading, or why not
 *   RUNNING ---------------------->            which processes run this file? also later
 *         <----------------------- RUN         those that the client may trace
 *   START ------------------------>            image, descriptions, processes, sizes
 *         <----------------------- MATCHED     how many probes each description found
 *   ARM   ------------------------>
 *         <----------------------- ARMED       two descriptors, the first page of the memory, processes
 *   TAIL, FOLDED, GEN, AGGS_READ,
 *   DRAINS, SPEC ----------------->            what the client has read and would write
 *   ERROR ------------------------>            a clause failed: fire ERROR
 *         <----------------------- FIRED
 *   LOOKUP ----------------------->            which symbol is there?
 *         <----------------------- SYMBOL
 *   PROC_OF ---------------------->            which process is that?
 *         <----------------------- PROC
 *         <----------------------- RUNG, SAY, MATCHED, EVENT as things happen
 *   POINTS ----------------------->            of a session that grows: tracepoints that are there from now on
 *         <----------------------- POINTED
 *   STOP  ------------------------>            disarm, fire END
 *         <----------------------- STOPPED     then the client reads what is left, and goes
 */
#ifndef PROTO_PROTO_H
#define PROTO_PROTO_H

#include "base/base.h"

#include <sys/types.h>

#define PROTO_MAGIC 0x64656361727464ULL /* "dtraced" */
#define PROTO_VERSION 5u
#define PROTO_SOCKET "/run/dyntrace/dyntraced.sock"
/* To who may not ask; of the group's name, twice. */
#define PROTO_NO_MEMBER "not permitted: you are not in group %s (root: usermod -aG %s USER, who then logs in again); processes of your own need no dyntraced"

/* ORDER proto_kinds[] */
enum proto_type {
	PROTO_NONE,
	PROTO_HELLO, PROTO_START, PROTO_ARM, PROTO_TAIL, PROTO_FOLDED, PROTO_GEN, PROTO_SPEC, PROTO_ERROR, PROTO_LOOKUP,
	PROTO_PROC_OF, PROTO_STOP,
	PROTO_WELCOME, PROTO_REFUSED, PROTO_MATCHED, PROTO_ARMED, PROTO_SAY, PROTO_RUNG, PROTO_EVENT, PROTO_FIRED,
	PROTO_SYMBOL, PROTO_PROC, PROTO_STOPPED,
	PROTO_AGGS_READ, /* of a client */
	PROTO_LOOK,      /* likewise */
	PROTO_FILE,
	PROTO_POINTS,    /* of a client */
	PROTO_POINTED,
	PROTO_RUNNING,   /* of a client */
	PROTO_RUN,
	PROTO_DRAINS,    /* of a client */
	PROTO_TYPE_CNT
};

/* In front of each message; little-endian as all of it. */
struct proto_head {
	uint32_t bytes; /* of what follows */
	uint16_t type;
	uint16_t zero;
};
#define PROTO_HEAD_BYTES 8u
#define PROTO_START_MAX (96u << 20)
#define PROTO_SMALL_MAX (1u << 16)
#define PROTO_MATCHED_MAX (1u << 20)
/* Decodes a head of PROTO_HEAD_BYTES; -EPROTO: no such type, not from this side, or longer than its like may be. */
int proto_head_decode(const uint8_t *p, bool from_client, struct proto_head *ret, struct err *reterr);
const char *proto_name(enum proto_type);

/* ---- bytes ---- */

/* A message under construction, head first.  Running out of memory is remembered in bad. */
struct proto_out {
	uint8_t *p; /* owned */
	size_t cnt, cap;
	bool bad;
};
void proto_begin(struct proto_out *, enum proto_type); /* may be used again and again */
void proto_u32(struct proto_out *, uint32_t);
void proto_u64(struct proto_out *, uint64_t);
void proto_bytes(struct proto_out *, const void *, size_t cnt); /* their number, then they */
void proto_str(struct proto_out *, const char *);
bool proto_end(struct proto_out *); /* whether it is whole and not too long */
void proto_out_deinit(struct proto_out *);

/* A message's content.  What is not there reads as 0 and is remembered in bad. */
struct proto_in {
	const uint8_t *p;
	size_t left;
	bool bad;
};
uint32_t proto_get_u32(struct proto_in *);
uint64_t proto_get_u64(struct proto_in *);
const uint8_t *proto_get_bytes(struct proto_in *, size_t *ret_cnt); /* of the message's own memory */
char *proto_get_str(struct proto_in *, size_t max);                 /* malloc'ed; NULL: bad.  No NUL is in it. */
bool proto_get_end(const struct proto_in *);                        /* all was read and there */

/* ---- START ---- */

#define PROTO_TARGETS_MAX 256u
#define PROTO_CLAUSES_MAX (1u << 14)
#define PROTO_DESCS_MAX (1u << 15)
#define PROTO_PART_MAX 4096u

/* ORDER sizes[] in start.c */
enum proto_size {
	PROTO_RING_BYTES, PROTO_AGG_BYTES, PROTO_DYN_BYTES, PROTO_THREADS, PROTO_ALLOCA_BYTES, PROTO_SPEC_CNT, PROTO_SPEC_BYTES,
	PROTO_CPU,       /* UINT32_MAX: any */
	PROTO_MAX_FRAMES,
	PROTO_AGG_ELEM_BYTES, PROTO_DYN_ELEM_BYTES, /* what the plan says */
	PROTO_SIZE_CNT
};
enum proto_flag {
	PROTO_FOLLOW = 1, PROTO_FLIGHT = 2, PROTO_DESTRUCTIVE = 4, PROTO_ADDRESSES = 8,
	PROTO_BY_PTRACE = 16, PROTO_BY_AGENT = 32, /* not otherwise */
	PROTO_GROWS = 64,                          /* POINTS will come */
	PROTO_UPROBES = 128,                       /* probes of processes through the kernel */
	PROTO_FLAGS = 255
};
struct proto_desc {
	char *part[4];   /* provider, module, function, name; owned */
	uint32_t clause, id;
};
struct proto_target {
	uint32_t pid;
	uint32_t is_new; /* a child of the client, stopped before its first instruction */
};
struct proto_start {
	uint64_t sizes[PROTO_SIZE_CNT];
	uint32_t flags;  /* enum proto_flag */
	char *progname;  /* what execname is in BEGIN; owned */
	struct proto_target *targets; /* owned */
	uint32_t target_cnt;
	struct proto_desc *descs;     /* in the order of the clauses; owned */
	uint32_t desc_cnt;
	uint32_t clause_cnt;
	/* Processes that run this file, and children that they fork, are traced too, when they come; 0: none are.  They have the
	 * probes of process @exe_root. */
	uint64_t exe_dev, exe_ino;
	uint32_t exe_root;
	const uint8_t *image;         /* encoded (ir_image_encode); of the caller, or of the message */
	size_t image_bytes;
};
bool proto_start_encode(struct proto_out *, const struct proto_start *);
/* -EPROTO or -ENOMEM; ret->image is in @in's memory. */
int proto_start_decode(struct proto_in *, struct proto_start *ret, struct err *reterr);
void proto_start_deinit(struct proto_start *);

/* ---- small ones ---- */

struct proto_tail {
	uint32_t slot;
	uint64_t pos;
};
#define PROTO_TAILS 64u
bool proto_tails_encode(struct proto_out *, const struct proto_tail *, uint32_t cnt);
int proto_tails_decode(struct proto_in *, struct proto_tail ret[PROTO_TAILS], uint32_t *ret_cnt, struct err *reterr);

enum proto_spec_what { PROTO_SPEC_BYTES_KEPT, PROTO_SPEC_FREE, PROTO_SPEC_WHATS };

/* Those whose content is a few numbers: how many there are of 64 bits.  proto_words_decode() fills @ret. */
#define PROTO_WORDS 5u
uint32_t proto_word_cnt(enum proto_type); /* UINT32_MAX: it is not one of them */
bool proto_words_encode(struct proto_out *, enum proto_type, const uint64_t *);
int proto_words_decode(struct proto_in *, enum proto_type, uint64_t ret[PROTO_WORDS], struct err *reterr);

/* WELCOME: what the client may, besides its own processes. */
enum proto_right { PROTO_RIGHT_ANY = 1, PROTO_RIGHT_KERNEL = 2 };
/* LOOK: which */
enum proto_look { PROTO_LOOK_MAPS, PROTO_LOOK_MEM, PROTO_LOOK_AUXV, PROTO_LOOK_EXE, PROTO_LOOK_MAPPED, PROTO_LOOK_WHATS };
/* RUNG: why */
enum proto_rung { PROTO_RUNG_TICKED = 1, PROTO_RUNG_DATA = 2 };
/* EVENT: enum session_event and what belongs to it are these four. */
enum proto_event { PROTO_EV_EXITED, PROTO_EV_EXECED, PROTO_EV_FORKED, PROTO_EV_STARTED };

/* RUN */
#define PROTO_RUN_MAX 8192u
bool proto_run_encode(struct proto_out *, const pid_t *, uint32_t cnt); /* at most PROTO_RUN_MAX */
/* *ret: malloc'ed. */
int proto_run_decode(struct proto_in *, pid_t **ret, uint32_t *ret_cnt, struct err *reterr);

/* MATCHED */
struct proto_matched {
	uint32_t proc;      /* whose modules came; 0: the first time */
	uint32_t *cnts;     /* probes of each description; owned */
	uint32_t cnt;
	uint32_t bad;       /* the first description that found none or is impossible; UINT32_MAX: none */
	int32_t code;       /* 0, or -errno of an impossible one */
	char *why;          /* of it; owned */
	uint32_t kernel;    /* the script has probes of the kernel */
	uint32_t starting;  /* processes whose loaders have not loaded all */
};
bool proto_matched_encode(struct proto_out *, const struct proto_matched *);
int proto_matched_decode(struct proto_in *, struct proto_matched *ret, struct err *reterr);
void proto_matched_deinit(struct proto_matched *);

#define PROTO_PAGE 4096u

/* POINTS: all tracepoints, of which those with number @changed were not so before. */
#define PROTO_POINTS_MAX (1u << 14)
struct proto_point {
	uint32_t id;      /* @changed, and 1 more for what is at returns */
	uint32_t clause;  /* UINT32_MAX: none */
	char *part[4];    /* module, function, name, provider (without the number; "": pid); owned */
};
#define PROTO_UNCHANGED 0u
struct proto_points {
	uint32_t changed;      /* PROTO_UNCHANGED: none, only the image */
	struct proto_point *v; /* owned */
	uint32_t cnt;
	const uint8_t *image;  /* that continues the one before; 0 bytes: it is that one */
	size_t image_bytes;
};
bool proto_points_encode(struct proto_out *, const struct proto_points *);
int proto_points_decode(struct proto_in *, struct proto_points *ret, struct err *reterr);
void proto_points_deinit(struct proto_points *);

/* POINTED: places that could not be armed, and the head of the memory as it is now. */
#define PROTO_REFUSALS_MAX 64u
struct proto_refusal {
	uint32_t id;
	uint64_t func, addr;
	char *why; /* owned */
};
struct proto_pointed {
	int32_t code;    /* 0, or -errno: nothing has changed but what @why says */
	char *why;       /* owned */
	const uint8_t *page; /* PROTO_PAGE bytes, of the message */
	struct proto_refusal *v; /* owned */
	uint32_t cnt;
};
bool proto_pointed_encode(struct proto_out *, const struct proto_pointed *);
int proto_pointed_decode(struct proto_in *, struct proto_pointed *ret, struct err *reterr);
void proto_pointed_deinit(struct proto_pointed *);

/* ARMED */
struct proto_armed {
	uint8_t page[PROTO_PAGE]; /* the head of the memory */
	uint64_t bytes, own_off, own_bytes; /* of it; and what of it is in the second descriptor, at the same place */
	uint32_t sites;
	uint32_t target_cnt;
	struct { uint32_t proc, pid; } targets[PROTO_TARGETS_MAX];
};
bool proto_armed_encode(struct proto_out *, const struct proto_armed *);
int proto_armed_decode(struct proto_in *, struct proto_armed *ret, struct err *reterr);

/* SYMBOL */
struct proto_symbol {
	char *mod, *name; /* NULL: none there; owned */
	uint64_t mod_start, start;
};
bool proto_symbol_encode(struct proto_out *, const struct proto_symbol *);
int proto_symbol_decode(struct proto_in *, struct proto_symbol *ret, struct err *reterr);
void proto_symbol_deinit(struct proto_symbol *);

/* REFUSED, SAY, STOPPED: a number and a sentence */
struct proto_said {
	int32_t code;
	char *text; /* owned */
};
bool proto_said_encode(struct proto_out *, enum proto_type, int32_t code, const char *text);
int proto_said_decode(struct proto_in *, struct proto_said *ret, struct err *reterr);

#endif
