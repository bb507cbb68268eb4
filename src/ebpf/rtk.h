/* SPDX-License-Identifier: MIT */
/* What generated programs and their run-time library (rtk_*.bpf.c) agree on. */
#ifndef EBPF_RTK_H
#define EBPF_RTK_H

#include "wire/wire.h"

/* One running probe: at the start of a context of the thread area, in place of struct rt_ctx.  Offsets count
 * from the shared memory's start. */
struct rtk_ctx {
	uint64_t thr;         /* offset of the struct wire_thread */
	uint64_t rec;         /* of the open record; 0: none */
	uint32_t rec_max, rec_used;
	uint32_t fault;       /* enum wire_fault */
	uint32_t clause;
	uint64_t fault_value;
	uint64_t tsc;         /* of the firing; 0: not asked for yet.  Where struct rt_ctx has it: who drains looks at it */
	uint32_t pc, action;
	uint32_t level;
	uint32_t alloca_used;
	uint64_t args[10];
	uint32_t site;        /* index */
	uint32_t exited;      /* a program of this firing called exit() */
	uint64_t pid_tgid;
	uint64_t vtime;
	uint64_t ureg;        /* address of struct pt_regs in the kernel; 0: none */
	uint64_t self;        /* of the thread's variables; 0: not looked for, or there are none */
	uint64_t owner;       /* with self: of the thread's elements of self-> arrays */
	uint64_t buf[4];      /* of a function that runs */
	uint64_t cell[4];     /* likewise: see rtk_bpf.h */
	uint32_t comm_len;    /* a struct wire_str */
	char comm[20];
};

/* Of a user stack. */
struct rtk_walk {
	uint64_t pc, sp, bp, bx, r10;
	uint64_t after_call; /* pc is a return address: the row of the call before it counts */
	uint64_t proc;       /* offset of the struct wire_proc */
	uint64_t lo, hi;     /* of a search */
	uint64_t regs[20];   /* struct pt_regs, as far as needed */
};

/* What does not fit there: behind the registers that are behind the scratch memory. */
#define RTK_FRAMES 128u /* the kernel gives no more (kernel.perf_event_max_stack) */
struct rtk_more {
	uint64_t want[8];       /* of dynamic variables */
	uint64_t regs[24];      /* struct pt_regs, where the context is one */
	uint32_t args_len;      /* a struct wire_str: psargs */
	char psargs[84];
	uint64_t frames[RTK_FRAMES];
	int32_t frame_bytes; /* or a negative errno */
	uint32_t pad[3];
	struct rtk_walk walk;
};

/* A string in the context, for srefs: offset from its start. */
#define RTK_SREF_CTX 3ULL

/* Addresses of our own memory, as programs see them, begin here.  No address of the kernel or of a process
 * looks like it. */
#define RTK_ADDR 0x00d7000000000000ULL

/* Behind the shared memory proper, in the same array. */
struct rtk_clock {
	uint64_t ns_base, tsc_base;
	uint64_t ratio; /* ticks per ns, 28 binary places */
	uint64_t pad;
};
struct rtk_tail {
	uint32_t clock_cur;
	uint32_t pad;
	struct rtk_clock clock[2];
	uint64_t serial; /* of the last thread with self-> variables */
	uint64_t ringing; /* a program is in the kernel's function that rings the doorbell */
#define RTK_STRANGERS 32u
	uint32_t strangers[RTK_STRANGERS]; /* by their numbers: processes without unwind tables that needed some; 0: none */
	uint32_t procs[RTK_STRANGERS];     /* likewise: index of a struct wire_proc */
#define RTK_PROCS 64u /* processes from the first on whose unwind tables are looked for */
#define RTK_FOUND 2048u
	uint64_t found[RTK_FOUND];         /* rows of unwind tables: see rtk_unwind.bpf.c */
};
_Static_assert(offsetof(struct rtk_tail, found) <= WIRE_PAGE, "the tool has one page of it");
/* A thread's self-> variables, self_bytes of them behind it; a table with open addressing. */
struct rtk_self {
	uint64_t task;   /* address of its struct task_struct; 0: never used, RTK_SELF_FREED: free again */
	uint64_t serial; /* of the thread, unique: owner of its elements of self-> arrays */
};
#define RTK_SELF_FREED 1ULL
#define RTK_SELF_LOOK 16

/* Offsets are masked to the power of two behind the shared memory and its tail; accesses may reach so far behind. */
#define RTK_GUARD (72u << 10)

/* Numbers of a session: in the library as 64-bit constants that loading fills in. */
#define RTK_MAGIC 0x52544b00u /* high word of the constant; its low word is one of these */
#define RTK_CONSTS(K) \
	K(SHM, 1)          /* address of the shared memory: a map value */ \
	K(LIMIT, 2)        /* highest offset that an access may begin at; a mask */ \
	K(TAIL, 3)         /* offset of struct rtk_tail */ \
	K(THREAD, 4)       /* offset of the first slot of the kernel's */ \
	K(STRIDE, 5) K(CTX, 6) K(CTX_STRIDE, 7) K(SCRATCH, 8) /* from the context */ \
	K(SCRATCH_BYTES, 9) K(THIS_BYTES, 10) K(ALLOCA, 11) K(ALLOCA_BYTES, 12) \
	K(RING, 13) K(RING_BYTES, 14) K(AGG, 15) K(AGG_INDEX_CNT, 16) K(AGG_ARENA, 17) K(AGG_ARENA_BYTES, 18) \
	K(AGG_MAX, 19) K(AGG_DESC, 20) K(DROPS, 21) K(ERRORS, 22) K(SELF, 23) K(SELF_BYTES, 24) \
	K(STRSIZE, 25) K(STR, 26) K(STR_CAP, 27) K(SITE, 28) K(GLOBAL, 29) K(GLOBAL_BYTES, 30) \
	K(DYN, 31) K(DYN_BUCKETS, 32) K(DYN_CNT, 33) K(DYN_ARENA, 34) K(DYN_ARENA_BYTES, 35) K(DYN_MAX, 36) \
	K(SPEC, 37) K(SPEC_CNT, 38) K(SPEC_BYTES, 39) \
	K(TSC_BASE, 40) K(NS_BASE, 41) K(WALL_BASE, 42) K(TSC_MULT, 43) \
	K(COUNTS, 44)      /* values of count() without a key, from the thread */ \
	K(KEY_WORDS, 45)   /* longest key, in words */ \
	K(STR_MOST, 46)    /* characters of the longest string: constants can be longer than strsize */ \
	K(DOORBELL, 47)    /* a map */ \
	K(SELFS, 48)       /* offset of the table of struct rtk_self */ \
	K(SELF_IN_SLOT, 49) \
	K(VAL_WORDS, 50)   /* longest value of an aggregation */ \
	K(LLQ_STEPS, 51)   /* most powers that an llquantize has */ \
	K(CPU_CNT, 52) \
	K(SELFS_CNT, 53)   /* a power of two */ \
	K(OWN, 54)         /* RTK_ADDR; or what stands for it */ \
	K(TASK_PARENT, 55) K(TASK_TGID, 56) K(TASK_RUNTIME, 57) \
	K(TASK_EXEC_START, 58) K(TASK_MM, 59) K(MM_ARGS, 60) \
	K(MORE, 61)        /* struct rtk_more, from the context */ \
	K(ZERO_WORDS, 62)  /* longest alloca(), or variable, in words */ \
	K(DENTRY_PARENT, 63) K(DENTRY_NAME, 64) K(MOUNT_MNT, 65) K(MOUNT_PARENT, 66) K(MOUNT_POINT, 67) K(VFS_ROOT, 68) \
	K(TASK_FS, 69) K(FS_ROOT, 70) /* offsets in the kernel's structures, as from TASK_PARENT on; 0: not known */ \
	K(PROC, 71) K(PROC_CNT, 72) K(MM_STACK, 73) /* struct wire_proc */ \
	K(USERS, 74)       /* slots of processes' threads, whose self-> variables are shared with theirs; 0: none are */ \
	K(TASK_PID, 75) K(PID_LEVEL, 76) K(PID_NUMBERS, 77) /* as from TASK_PARENT on */ \
	K(PREEMPTED_CNT, 78) /* slots behind those of CPUs; the last number is here */
enum rtk_const {
#define K(name, n) RTK_K_##name = n,
	RTK_CONSTS(K)
#undef K
	RTK_K_CNT
};

#endif
