/* SPDX-License-Identifier: MIT */
/*
 * wire: every layout that crosses a process.  One shared memory object per
 * session holds all of it; there are only offsets and indexes in it, never
 * pointers that the other side would follow.
 *
 *   struct wire_shm        a page written by the controller, and what changes
 *   struct wire_proc[]     one per traced process (0 is the tool itself)
 *   interned strings       probe names and D string constants
 *   struct wire_site[]     one per armed place in the code
 *   globals                D global scalars and strings, at fixed offsets
 *   struct wire_spec[]     one per speculation
 *   dynamic variables      associative arrays (owned by rt, see rt/dynvar)
 *   unwind tables          see struct wire_unw_map
 *   struct wire_thread[]   thread_stride apart: ring, aggregations, self->
 *                          variables and the contexts of running probes
 *
 * All is sparse: pages that nobody touches cost nothing.  The producer of a
 * thread area is the traced thread; the controller writes only where a field
 * says so.  The controller trusts nothing it reads back: every offset and
 * length is checked against its own copy of the geometry.
 */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include "base/base.h"

#define WIRE_MAGIC 0x3165636172746e79ULL /* "yntrace1" */
#define WIRE_VERSION 14
#define WIRE_PAGE 4096u
#define WIRE_PROC_MAX 1024   /* traced processes in one session, forked children included */
#define WIRE_PROC_USUAL 64
#define WIRE_LEVEL_MAX 4   /* probes nested on one thread (signal handlers) */
#define WIRE_OWN_STACK 2048u /* what a body and rt take at most: 160 bytes and 640, and some to spare */
#define WIRE_NONE UINT32_MAX
#define WIRE_ANCESTOR_MAX 32 /* of a process, as far as progenyof() sees */

/* General registers as in the kernel's struct pt_regs, which is also the
 * numbering of D's uregs[] (arch/x86/include/asm/ptrace.h). */
enum wire_reg {
	WIRE_R15, WIRE_R14, WIRE_R13, WIRE_R12, WIRE_RBP, WIRE_RBX, WIRE_R11, WIRE_R10,
	WIRE_R9, WIRE_R8, WIRE_RAX, WIRE_RCX, WIRE_RDX, WIRE_RSI, WIRE_RDI, WIRE_ORIG_RAX,
	WIRE_RIP, WIRE_CS, WIRE_EFLAGS, WIRE_RSP, WIRE_SS, WIRE_REG_CNT,
	WIRE_XMM0 = 32 /* to 47: low halves of the vector registers, which no context keeps; in uregs[] only */
};
#define WIRE_XMM_CNT 16
/* Where functions have their first integer arguments: by the System V ABI, and in Go since 1.17 (its ABIInternal). */
#define WIRE_ARGS_C { WIRE_RDI, WIRE_RSI, WIRE_RDX, WIRE_RCX, WIRE_R8, WIRE_R9 }
#define WIRE_ARGS_GO { WIRE_RAX, WIRE_RBX, WIRE_RCX, WIRE_RDI, WIRE_RSI, WIRE_R8, WIRE_R9, WIRE_R10, WIRE_R11 }

/* A string value at run time: tag and byte offset.  0 is D's NULL string and
 * reads as "".  Resolved and bounds-checked by rt_str(); a forged one reads
 * as "" and can do no harm. */
#define WIRE_SREF_TAG_SHIFT 60
#define WIRE_SREF_SCRATCH 1ULL /* offset into the running context's scratch: struct wire_str */
#define WIRE_SREF_INTERN 2ULL  /* offset into the interned strings: struct wire_str */
#define WIRE_SREF(tag, off) (((uint64_t)(tag) << WIRE_SREF_TAG_SHIFT) | (uint32_t)(off))

/* A string as it is stored everywhere: length without the NUL, then the bytes
 * and a NUL.  8-byte aligned. */
struct wire_str {
	uint32_t len;
	char s[];
};
#define WIRE_STR_NULL UINT32_MAX /* length of a variable that is NULL; reads as "" */
/* Bytes that a string slot of at most @strsize characters takes. */
static inline uint32_t wire_str_bytes(uint32_t strsize)
{
	return (uint32_t)align_up(sizeof(struct wire_str) + strsize + 1, 8);
}

/* Areas of variables at fixed offsets. */
enum wire_area { WIRE_AREA_GLOBAL, WIRE_AREA_SELF, WIRE_AREA_THIS, WIRE_AREA_CNT };

/* What lies in variable-size data (records, keys): a fixed part of 8-byte
 * fields, then a tail.  Scalars lie in the field.  Strings, byte arrays and
 * stacks are { offset of the data from the start of the fixed part, bytes }
 * with the data in the tail, in the order of the fields, 8-byte aligned and
 * zero-padded.  So equal values are equal bytes. */
struct wire_vref {
	uint32_t off;
	uint32_t bytes;
};

/* A key or other tuple under construction in scratch. */
struct wire_tuple {
	uint32_t bytes; /* fixed part and tail so far */
	uint32_t fixed_bytes;
	uint8_t data[]; /* at +8 */
};

enum wire_site_kind {
	WIRE_SITE_TOOL,   /* BEGIN, END, ERROR, tick, profile: runs in the tool */
	WIRE_SITE_ENTRY,
	WIRE_SITE_RETURN, /* anchored at a ret or a jump out of the function */
	WIRE_SITE_OFFSET, /* any instruction */
	WIRE_SITE_USDT,   /* the same, but its arguments are where a note says */
	WIRE_SITE_HOOK,   /* ours: loader events and the like */
	WIRE_SITE_KERNEL, /* in the kernel: its arguments are what the place there gives */
	WIRE_SITE_GUARD,  /* ours: entry of a function that may forbid the process system calls */
	WIRE_SITE_TAIL,   /* of bodies only: a RETURN that leaves_by_jump */
};

/* What IR_OP_ENV reads.  String-like ones give an sref of an interned string. */
enum wire_env {
	WIRE_ENV_TIMESTAMP,     /* ns; one value for all of a firing */
	WIRE_ENV_WALLTIMESTAMP, /* ns since 1970 */
	WIRE_ENV_PID, WIRE_ENV_TID, WIRE_ENV_PPID, WIRE_ENV_UID, WIRE_ENV_GID, WIRE_ENV_CPU,
	WIRE_ENV_EXECNAME,      /* sref */
	WIRE_ENV_PROBEPROV, WIRE_ENV_PROBEMOD, WIRE_ENV_PROBEFUNC, WIRE_ENV_PROBENAME, /* sref */
	WIRE_ENV_PROBEID,       /* D's `id` */
	WIRE_ENV_CLAUSE,        /* D's `epid` less 1 */
	WIRE_ENV_RET_OFFSET,    /* at a return: offset of the anchor in the function */
	WIRE_ENV_PSARGS,        /* sref: command and arguments, as far as 80 characters go */
	WIRE_ENV_IN_KERNEL,     /* 1 where the kernel runs the program, else 0 */
	WIRE_ENV_AT_JUMP,       /* 1 at a return that is a jump to another function, else 0 */
	WIRE_ENV_WEIGHT,        /* hits that this one stands for: struct wire_rate */
	WIRE_ENV_CNT
};

/* Where a probe fires.  Written by the controller before the site is armed. */
struct wire_site {
	uint64_t addr;      /* of the instruction, in the target */
	uint64_t func_addr; /* of the function's first instruction */
	uint32_t prov, mod, func, name; /* interned strings: offsets of struct wire_str */
	uint32_t probe_id;  /* as `dtrace -l` shows it */
	uint16_t kind;      /* enum wire_site_kind */
	uint16_t sp_adj;    /* rsp of the application = rsp at body entry + sp_adj */
	uint32_t enabled;   /* data flag: 0 = the body returns at once */
	uint32_t args;      /* USDT: struct wire_uargs, among the interned strings; WIRE_NONE: none */
	uint64_t sema;      /* USDT: of the counter in the target that was raised for it; 0: none.  Of a probe that calls
	                     * a library's function: of a text in the target */
	uint32_t leaves_by_jump; /* RETURN: a tail call, so there is no return value yet */
	uint32_t go_args;   /* ENTRY, OFFSET: arguments are where Go has them (WIRE_ARGS_GO) */
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct wire_site) == 64, "indexed by a shift");

/* With an overhead budget (ADR 40, 48), of each site: its trampoline or body counts each hit, and does no more while it @only_counts.
 * A hit is counted in one of some rows of counters, uint64_t[site_cap] each, by where the thread's stack is: so threads
 * write to memory of their own, but for the few whose stacks have the same row. */
struct wire_rate {
	uint32_t pad[8];      /* of site 0, what is read is not where, within its page, a hit is counted: the load would wait for that */
	uint32_t only_counts; /* by the controller */
	uint32_t weight;      /* hits that each stands for that does not; likewise */
	uint32_t pad_end[6];
};
#define WIRE_HIT_ROWS 256u /* at most; a power of two, as is their length */
#define WIRE_ROW_SEED(idx) ((uint32_t)(idx) * 0x9e3779b1u)
_Static_assert(sizeof(struct wire_rate) == sizeof(struct wire_site), "the same index, the same shift");

/* Where an argument of a USDT probe is when it is hit (SystemTap's notes, version 3). */
enum wire_uarg_kind {
	WIRE_UARG_NONE,  /* nobody can tell: reads as 0 */
	WIRE_UARG_CONST, /* val */
	WIRE_UARG_REG,   /* reg_bytes of register reg, from bit @shift on */
	WIRE_UARG_MEM,   /* memory at base + (index << shift) + val */
	WIRE_UARG_XMM,   /* the low bytes of %xmm, number in reg */
};
#define WIRE_UARG_NO_REG 0xff
#define WIRE_UARG_FS 0xfe /* as a base: that of the thread's segment fs */
struct wire_uarg {
	uint8_t kind;      /* enum wire_uarg_kind */
	uint8_t bytes;     /* of the value: 1, 2, 4, 8 */
	uint8_t is_signed;
	uint8_t is_float;
	uint8_t reg;       /* enum wire_reg, of MEM the base */
	uint8_t index;     /* enum wire_reg */
	uint8_t shift;
	uint8_t reg_bytes; /* 1, 2, 4, 8 */
	uint64_t val;
};
#define WIRE_UARG_MAX 12 /* of a note; D sees the first 10 */
struct wire_uargs {
	uint32_t cnt;
	uint32_t pad;
	struct wire_uarg v[WIRE_UARG_MAX];
};

/* ---- user stacks: unwind tables made by the controller from .eh_frame ---- */

enum wire_unw_kind {
	WIRE_UNW_END,     /* no unwinding past here (_start, clone) */
	WIRE_UNW_RSP,     /* CFA = rsp + cfa_off */
	WIRE_UNW_RBP,     /* CFA = rbp + cfa_off */
	WIRE_UNW_RBP_DEREF, /* CFA = *(rbp + cfa_off): realigned frames */
	WIRE_UNW_PLT,     /* CFA = rsp + 8 + ((rip & 15) >= 11 ? 8 : 0) */
	WIRE_UNW_SIGFRAME,/* a ucontext lies at rsp (signal return trampoline) */
	WIRE_UNW_FP,      /* no table: walk the frame pointer chain */
	WIRE_UNW_RBX,     /* CFA = rbx + cfa_off */
	WIRE_UNW_R10,     /* CFA = r10 + cfa_off: only right at a realigning entry */
};
/* One row: valid from pc (relative to the map's start) to the next row's. The
 * return address is at CFA-8, the caller's rsp is CFA.  Rows of WIRE_UNW_RBP_DEREF
 * count rbp_off and rbx_off from rbp instead of the CFA, and rbp_off 0 means that
 * the caller's rbp is at rbp itself. */
struct wire_unw_row {
	uint32_t pc;
	int32_t cfa_off;
	int16_t rbp_off; /* caller's rbp is at CFA + rbp_off; 0: unchanged */
	int16_t rbx_off; /* likewise rbx */
	uint8_t kind;    /* enum wire_unw_kind */
	uint8_t pad[3];
};
_Static_assert(sizeof(struct wire_unw_row) == 16, "");
/* One executable mapping.  Sorted by start. */
struct wire_unw_map {
	uint64_t start, end; /* addresses in the target */
	uint64_t rows_off;   /* in the shared memory: struct wire_unw_row[row_cnt], sorted by pc */
	uint32_t row_cnt;
	uint32_t index_shift; /* 0: there is no index; else behind the rows uint32_t[((end - start) >> index_shift) + 2]:
			       * how many rows begin before each multiple of 1 << index_shift */
};

/* ---- processes and threads ---- */

#define WIRE_UNW_SEEN 256u /* a power of two */
#define WIRE_UNW_WAYS 2u
#define WIRE_UNW_SIZES 512u /* a power of two */
#define WIRE_AGG_STACKS 256u /* a power of two */
#define WIRE_UNW_KEPT 64u /* a power of two */
#define WIRE_UNW_KEPT_FRAMES 39u
#define WIRE_HASH_CNT 4096 /* power of two; thread lookup, open addressing */

/* First slot to look at for an fs base: by its low 32 bits, so that generated code has one multiplication with a constant. */
#define WIRE_HASH_MULT 0x9e3779b1u
#define WIRE_HASH_SHIFT 20 /* 32 - log2(WIRE_HASH_CNT) */
static inline uint32_t wire_hash(uint64_t fs_base)
{
	return (uint32_t)fs_base * WIRE_HASH_MULT >> WIRE_HASH_SHIFT;
}
/* For hashes of other numbers of 64 bits. */
#define WIRE_MULT 0x9e3779b97f4a7c15ULL

enum wire_proc_state {
	WIRE_PROC_FREE,
	WIRE_PROC_CLAIM, /* being filled: by the controller, or by a forked child itself */
	WIRE_PROC_LIVE,
};

/* Whole pages: a followed child maps its own in the place of its parent's. */
struct wire_proc {
	union {
		struct {
			uint32_t idx;       /* own index */
			uint32_t pid;
			uint32_t tid_off;   /* fs-relative offset of a word that differs between successive
			                     * threads on the same TLS block (the libc's kernel tid); 0: unknown,
			                     * then it reads the self pointer, which says nothing */
			uint32_t flags;     /* WIRE_PROC_* */
			int64_t errno_off;  /* fs-relative offset of errno; INT64_MIN: unknown */
			uint32_t ppid, uid, gid;
			uint32_t execname;  /* interned string */
			uint32_t psargs;    /* likewise */
			uint32_t parent;    /* index of the one that it was forked from; 0: none */
			uint64_t shm_addr;  /* where the shared memory is mapped in this process */
			uint64_t wipe_addr; /* of its struct wire_wipe; 0: there is none */
			/* Loader events (rt_hook_dl): the thread adds 1 to dl_seq, rings the doorbell and
			 * waits (bounded) until the controller has set dl_ack to it. */
			uint32_t dl_seq;
			uint32_t dl_ack;
			/* Unwind tables: the controller writes one of the two, then flips. */
			uint64_t unw_off[2]; /* struct wire_unw_map[unw_cnt[i]] */
			uint32_t unw_cnt[2];
			uint32_t unw_cur;   /* bit 0: which; it counts the times */
			uint32_t lost_threads; /* hits on threads for which no slot was free */
			uint32_t ancestors[WIRE_ANCESTOR_MAX]; /* parent, its parent, ...; 0 behind the last */
			uint32_t state;     /* enum wire_proc_state */
			uint32_t exec_tid;  /* futex: a thread that is about to exec and waits (bounded) until the
					     * controller, which then watches it, has set it to 0 */
			uint32_t fs_set;    /* enum wire_fs: from UNKNOWN by a thread that registers, from any by one that is about
					     * to begin a thread without a block */
			uint64_t start_stack; /* where its stack began, for who unwinds from outside: by another address it
					       * is another program; 0: not known */
			uint64_t coarse_tsc; /* with WIRE_PROC_NO_TSC: the time, as the controller saw it last */
			uint32_t leader;    /* id of its first thread, which is its own, as it sees it itself; 0: unknown */
			uint32_t no_main;   /* nonzero: wire_wipe.main_thread stays 0, so that each hit looks at all that could forbid it */
			uint32_t shares;    /* nonzero: it began a thread that has another's block, and no probe fires any more */
			uint64_t row_seed;  /* WIRE_ROW_SEED of idx: processes that were forked have stacks at the same place */
		};
		uint8_t page[WIRE_PAGE];
	};
	uint64_t hash_key[WIRE_HASH_CNT]; /* fs base */
	uint64_t hash_thread[WIRE_HASH_CNT]; /* its struct wire_thread from this, as the process has both; 0: empty */
};
_Static_assert(sizeof(struct wire_proc) % WIRE_PAGE == 0, "");
#define WIRE_PROC_NO_SYSCALL 1u /* under seccomp: the probe path makes no system call */
#define WIRE_PROC_FSGSBASE 2u   /* rdfsbase works */
#define WIRE_PROC_RDPID 8u      /* rdpid works */
#define WIRE_PROC_FOLLOW 4u     /* its forked children are to be traced too */
#define WIRE_PROC_NO_TSC 16u    /* rdtsc is forbidden there (strict seccomp, PR_SET_TSC), and would be SIGSEGV */

/* The beginning of a private page of each process with MADV_WIPEONFORK: all is 0 in a forked child. */
struct wire_wipe {
	uint64_t proc;        /* address of its struct wire_proc */
	uint64_t followed;    /* nonzero: rt/child.c has tried, or need not */
	uint64_t main_thread; /* address of the wire_thread of its first thread, while all is well: the session is armed, blocks say where
	                       * they are (WIRE_FS_SET), and nothing forbids a hit.  Its block is never another thread's, so
	                       * the block alone tells who it is.  0: ask the hash */
};

enum wire_fs {
	WIRE_FS_UNKNOWN,
	WIRE_FS_SET,   /* all its threads have an fs base, and the block there begins with its own address */
	WIRE_FS_NEVER, /* some have none, or may get none: that is for good */
};

/* Bit of a wire_thread.tid that no kernel gave: the thread could not ask for its own. */
#define WIRE_TID_MADE_UP 0x80000000u

enum wire_thread_state {
	WIRE_THREAD_FREE,  /* zeroed by the controller */
	WIRE_THREAD_CLAIM, /* being set up by its thread */
	WIRE_THREAD_LIVE,
	WIRE_THREAD_DEAD,  /* it was seen to have ended, by the controller or by who has its block: drained, then freed */
};

/* The ring: see ring/ring.h.  Positions count bytes for ever; the byte at
 * position p is ring[p % ring_bytes]. */
struct wire_ring {
	uint64_t head;      /* next free position, where it is above published (producer); bit 0: a level is about to move it */
	uint64_t published; /* everything below is complete (producer) */
	uint64_t open[WIRE_LEVEL_MAX]; /* position of the record that level i is writing; ~0: none;
	                                * bit 0: head is being moved for it */
	uint64_t rung;      /* tail + 1 when the doorbell was last rung because of this ring; of a flight
	                     * recorder, the quarter that head was in */
	uint64_t forgotten; /* of a flight recorder: records with data below tail (producer) */
	uint64_t tail;      /* everything below was consumed (consumer); of a flight recorder, is overwritten (producer) */
	uint64_t quick_sp;  /* rsp of the body whose quick record is open, or was last; 0: a level was taken while none was open */
	uint64_t quick_at, quick_end; /* [at, end) is that record; open while at is published and end above it */
	uint32_t timed;     /* nonzero: a quick body makes its record in its frame, and may have read its time */
	uint32_t pad1;
	uint64_t quick_limit; /* quick records end there at most, or look again */
	uint64_t pad2[2];
};

struct wire_thread {
	uint32_t state; /* enum wire_thread_state; claimed by cmpxchg FREE -> CLAIM */
	uint32_t tid;   /* kernel thread id, or one with WIRE_TID_MADE_UP */
	uint32_t check; /* the word at fs:tid_off when it registered */
	uint32_t proc;  /* index of its struct wire_proc */
	uint64_t key;   /* fs base, by which it is found; 0: it has none, or is not live */
	uint32_t incarnation; /* counts the slot's users: part of keys of self-> arrays */
	uint32_t level; /* 1 + the highest level_sp in use, as far as the producer has noted it */
	uint64_t level_sp[WIRE_LEVEL_MAX]; /* application's rsp of each of them; 0: level not in use */
	uint64_t stack_lo, stack_hi; /* [lo, hi) of its stack known to be readable */
	struct wire_ring ring __attribute__((aligned(64)));
	uint64_t level_drops; /* hits lost because WIRE_LEVEL_MAX probes ran already */
	uint64_t agg_drops;   /* no room for a new key */
	uint64_t dyn_drops;   /* no room for a dynamic variable */
	uint64_t agg_used;    /* bytes of the aggregation arena in use */
	uint32_t own_pid;     /* the process's id as it sees it itself; 0: not asked yet */
	uint32_t mem_pid;     /* of the tool: the process whose memory its own probes read; 0: its own */
#define WIRE_CHILL_WINDOW_NS 1000000000ULL
#define WIRE_CHILL_MAX_NS 500000000ULL /* of each window */
	uint64_t chill_since_ns; /* start of the window in which chill() has spent chill_ns */
	uint64_t chill_ns;
	uint64_t agg_cnt;     /* entries of aggregations */
	uint64_t agg_read;    /* the same when it was last time to read them (-x aggrate; consumer): they no longer
	                       * count for agg_max */
	/* While it may be in vfork(), where a child runs in its name (rt/vfork.c): */
	uint64_t vfork_sp;    /* rsp where that was entered */
	uint32_t vfork_pid;   /* the process's id as it sees it itself; 0: it is not */
	uint32_t vfork_left;  /* how often it may still be seen in the parent */
	/* Stacks for bodies that may take next to nothing of the application's, one in use for each that runs: in the
	 * first own_used bytes. */
	uint64_t own_used;
	uint8_t own_stack[WIRE_LEVEL_MAX][WIRE_OWN_STACK] __attribute__((aligned(64)));
	/* Rows of the unwind tables that were looked up last (rt/stack.c). */
	struct wire_unw_seen {
		uint64_t check; /* of pc, packed and the tables' unw_cur: a nested probe may leave two halves of two */
		uint64_t packed;
	} unw_seen[WIRE_UNW_SEEN][WIRE_UNW_WAYS];
	uint64_t unw_sizes[WIRE_UNW_SIZES]; /* of frames, by where they began last time: a guess, whatever it says */
	/* Where the keys with some stacks are: entries of the aggregations' arena, from the thread; a guess, whatever it says. */
	uint64_t agg_stacks[WIRE_AGG_STACKS];
	/* Walks that were the same several times (rt/stack.c), by where they began: they are so again where all that they have
	 * read is.  Of the offsets from sp nothing is believed. */
	struct wire_unw_kept {
		uint64_t seq;    /* another one for each walk that is kept here; 0: none */
		uint64_t what;   /* the tables' unw_cur and how many frames were wanted */
		uint64_t sp, bp; /* the application's registers, of which rbp counts where by_bp says so */
		uint64_t sum;    /* rt_ctx.stack_sum */
		uint64_t last_sum; /* the same of the stack that was walked last, which was so often in turn: */
		uint32_t same;
		uint32_t by_bp;
		uint64_t entry;  /* the aggregation's number << 32 | where its entry with this stack is, in words from the thread; 0: nowhere */
		uint32_t pc_cnt, bp_cnt;
		uint64_t pc[WIRE_UNW_KEPT_FRAMES], saved_bp[WIRE_UNW_KEPT_FRAMES]; /* words of the stack: */
		uint32_t pc_at[WIRE_UNW_KEPT_FRAMES], bp_at[WIRE_UNW_KEPT_FRAMES]; /* so far above sp */
		uint64_t pad[2];
	} unw_kept[WIRE_UNW_KEPT];
	uint64_t unw_kept_seq;
};
_Static_assert(sizeof(struct wire_unw_kept) == 1024, "");

/* Where the value of an aggregation without keys, but for count(), is, from the thread; it counts if its generation, less 1, is the aggregation's. */
struct wire_cell {
	uint32_t off, gen; /* 0: nowhere yet */
};

/* The geometry of a thread area, the same for all threads; offsets from the
 * struct wire_thread. */
struct wire_thread_geom {
	uint64_t stride;
	uint32_t drops_off;  /* uint64_t[clause_cnt]: records lost per clause, ring full */
	uint32_t errors_off; /* uint64_t[clause_cnt]: faults whose ERROR record did not fit either */
	uint32_t counts_off; /* uint64_t[agg_cnt]: values of count() without a key; a value of 0 is none */
	uint32_t cells_off;  /* struct wire_cell[agg_cnt], of other aggregations without keys */
	uint32_t self_off;   /* self-> scalars and strings at fixed offsets */
	uint32_t self_bytes;
	uint32_t place_cnt;  /* of the first so many aggregations, where keys that a site alone decides have their values: */
	uint64_t places_off; /* uint32_t[place_cnt][site_cap]: as in the aggregations' index (rt/agg.h); 0: nowhere yet */
	uint32_t ctx_off;    /* struct rt_ctx[WIRE_LEVEL_MAX], ctx_stride apart */
	uint32_t ctx_stride; /* includes the scratch and spill slots behind each */
	uint64_t ring_off, ring_bytes; /* ring_bytes: a power of two */
	uint64_t agg_off, agg_bytes;   /* index and arena, see rt/agg */
};

#define WIRE_TSC_SHIFT 32

/* The head: a page that says where all is, written by the controller before anybody else has the memory (it
 * keeps a private copy of it); then what changes while probes run. */
struct wire_shm {
	union {
		struct {
			uint64_t magic;
			uint32_t version;
			uint32_t strsize;
			uint64_t bytes;      /* of the whole object */
			uint32_t clause_cnt;
			uint32_t agg_cnt;
			uint32_t thread_cnt; /* slots */
			uint32_t site_cap;
			uint32_t site_cnt;   /* in use; counted in the controller's copy */
			uint64_t proc_off;   /* struct wire_proc[proc_cnt] */
			uint64_t str_off, str_cap;
			uint64_t str_bytes;  /* in use; counted in the controller's copy */
			uint64_t site_off;
			uint64_t global_off, global_bytes;
			uint64_t dyn_off, dyn_bytes;
			uint64_t unw_off, unw_bytes;   /* arena for unwind tables */
			uint64_t agg_desc_off;         /* struct wire_agg[agg_cnt] */
			uint64_t thread_off;           /* first struct wire_thread */
			struct wire_thread_geom geom;
			/* timestamp: ns = ns_base + ((tsc - tsc_base) * tsc_mult >> WIRE_TSC_SHIFT) */
			uint64_t tsc_base, ns_base, wall_base; /* wall: CLOCK_REALTIME ns at tsc_base */
			uint64_t tsc_mult;
			uint64_t scratch_bytes; /* of each context, behind struct rt_ctx */
			uint64_t this_bytes;    /* first bytes of scratch, which rt_enter zeroes: this-> variables */
			uint64_t alloca_off, alloca_bytes; /* of each context, from the struct rt_ctx: what alloca() gives */
			/* speculations (ADR 8) */
			uint64_t spec_off;      /* struct wire_spec[spec_cnt]: ids 1 .. spec_cnt */
			uint64_t spec_bytes;    /* most that one may hold; what is beyond it is dropped */
			uint64_t spec_cnt;
			/* limits below what the areas could hold; 0: none */
			uint64_t dyn_max; /* dynamic variables */
			uint64_t agg_max; /* entries of aggregations, of a thread */
			uint64_t flight;  /* full rings overwrite their oldest records */
			uint64_t proc_cnt; /* at most WIRE_PROC_MAX */
			uint64_t rate_off; /* struct wire_rate[site_cap]; 0: there is no budget */
			uint64_t hits_off, hits_row_bytes, hits_rows; /* then, rows of counters */
		};
		uint8_t page[WIRE_PAGE];
	};
	uint32_t armed;       /* 0: every body returns at once.  Set last, cleared first. */
	uint32_t exiting;     /* exit() was called: later clauses do not run */
	int32_t exit_status;
	uint32_t doorbell;    /* futex; the producers add 1 where the consumer should look soon */
	uint32_t consumer_sleeps; /* nonzero: a futex wake is wanted */
	uint32_t spec_drops, spec_busy, spec_unavail; /* what was lost of speculations, from all producers */
	uint32_t lost_children; /* forked children that are not traced: no struct wire_proc was free */
	uint32_t drains;        /* the consumer adds 1 before it looks which records are open (ring/ring.h) */
};
_Static_assert(offsetof(struct wire_shm, armed) == WIRE_PAGE, "the controller maps the page privately");

/* A speculation.  The producers take, fill and end it, the consumer frees it
 * when it has shown or thrown away what was recorded. */
enum wire_spec_state {
	WIRE_SPEC_FREE,    /* set by the consumer */
	WIRE_SPEC_ACTIVE,  /* by speculation() */
	WIRE_SPEC_ENDING,  /* between the two: end_tsc is being written */
	WIRE_SPEC_COMMIT, WIRE_SPEC_DISCARD, /* by commit() and discard(); nothing more may be added */
};
struct wire_spec {
	uint32_t state;    /* enum wire_spec_state */
	uint32_t gen;      /* counts the uses of this id */
	uint64_t bytes;    /* kept of this use; by the consumer */
	uint64_t end_tsc;  /* of the firing that ended it */
	uint64_t pad[5];
};
_Static_assert(sizeof(struct wire_spec) == 64, "");
/* How records name a use of a speculation; never 0. */
#define WIRE_SPEC_TOKEN(id, gen) ((uint64_t)(id) << 32 | (gen))


/* An aggregation, as its executors need it. */
enum wire_agg_fn {
	WIRE_AGG_COUNT, WIRE_AGG_SUM, WIRE_AGG_MIN, WIRE_AGG_MAX, WIRE_AGG_AVG,
	WIRE_AGG_STDDEV, WIRE_AGG_QUANTIZE, WIRE_AGG_LQUANTIZE, WIRE_AGG_LLQUANTIZE
};
struct wire_agg {
	uint32_t fn; /* enum wire_agg_fn */
	/* clear() and trunc() add 1: entries of an older generation hold nothing.
	 * Written by the controller. */
	uint32_t gen;
	uint32_t val_cnt;   /* uint64_t words of a value */
	uint32_t pad;
	int64_t base, limit, step; /* lquantize: base, limit, step; llquantize: see ll_* */
	uint32_t ll_factor, ll_low, ll_high, ll_steps;
};
#define WIRE_PLACES_MAX 4u /* rows of places in a thread's area */
/* Words of a value: count, sum, min, max 1; avg 2 (count, sum); stddev 4
 * (count, sum, low and high half of the sum of squares); quantize 127 (bucket
 * 63 is zero, 64 is [1,2), 62 is (-2,-1]); lquantize levels + 2 (below,
 * levels, above); llquantize as rt_agg_llq_bucket() counts. min and max need
 * no valid flag: an entry exists only after a first value. */
#define WIRE_QUANTIZE_CNT 127
#define WIRE_QUANTIZE_ZERO 63

/* ---- records ---- */

enum wire_rec_type {
	WIRE_REC_PAD,   /* skip to the ring's start */
	WIRE_REC_DATA,  /* payload as the clause's plan says */
	WIRE_REC_ERROR, /* payload: struct wire_rec_error */
	WIRE_REC_VOID,  /* abandoned */
};
struct wire_rec {
	uint32_t bytes; /* header, payload and padding; a multiple of 8 */
	uint16_t type;  /* enum wire_rec_type */
	uint16_t clause;
	uint32_t site;  /* index */
	uint16_t cpu;
	uint16_t pad;
	uint64_t tsc;
	uint8_t payload[]; /* fixed part, then tail; see struct wire_vref */
};
_Static_assert(sizeof(struct wire_rec) == 24, "");

enum wire_fault {
	WIRE_FAULT_NONE, WIRE_FAULT_BADADDR, WIRE_FAULT_BADALIGN, WIRE_FAULT_ILLOP,
	WIRE_FAULT_DIVZERO, WIRE_FAULT_NOSCRATCH, WIRE_FAULT_KPRIV, WIRE_FAULT_UPRIV,
	WIRE_FAULT_TUPOFLOW, WIRE_FAULT_BADSTACK, WIRE_FAULT_BADSIZE, WIRE_FAULT_BADINDEX,
	WIRE_FAULT_LIBRARY, WIRE_FAULT_NORETVAL, WIRE_FAULT_CNT
};
struct wire_rec_error {
	uint32_t fault; /* enum wire_fault */
	uint32_t pc;    /* index of the IR instruction */
	uint64_t value; /* the bad address, where there is one */
	uint64_t action; /* index of the action in the clause */
};

#endif
