/* SPDX-License-Identifier: MIT */
/*
 * kern: what the running kernel offers to tracers: tracepoints, their fields,
 * system calls.  Only reads; nothing is mounted where others see it.
 *
 * There is one running kernel: what was read is kept for the process's life.
 * One thread of the tool calls.
 */
#ifndef KERN_KERN_H
#define KERN_KERN_H

#include "base/base.h"

/* A tracepoint; sys_enter_NAME and sys_exit_NAME (group "syscalls") are left out. */
struct kern_event {
	const char *group; /* "sched"; "vmlinux": nobody may know */
	const char *name;  /* "sched_switch" */
};
/* All of them, in the kernel's order; without the right to read tracefs those that
 * symbols tell of, without their groups. Empty where neither can be read: then *reterr
 * (may be NULL) says why. Kept by the room. */
uint32_t kern_events(const struct kern_event **ret, struct err *reterr);

/* Also those that only programs in the kernel can use, which tracefs does not show. */
bool kern_has_event(const char *name);

/* A field of what a tracepoint records. */
struct kern_field {
	const char *type; /* as the kernel has it, without "const": "struct stat *", "char [16]" */
	const char *name;
	uint32_t off, bytes; /* in the record, of which the first 8 bytes are common */
	bool is_signed;
	bool is_loc;      /* the field says where the data is: offset in the low 16 bits, bytes above */
};
/* Fields behind the common ones. NULL: not known. Kept by the room. */
const struct kern_field *kern_event_fields(const char *group, const char *name, uint32_t *ret_cnt);
/* Number of the tracepoint for perf_event_open(); -ENOENT, -EACCES and the like. */
int64_t kern_event_id(const char *group, const char *name);

/* System calls of 64-bit programs that this kernel has, by number. */
struct kern_syscall {
	uint32_t nr;
	const char *name; /* as its tracepoint: "openat", "newstat" */
};
uint32_t kern_syscalls(const struct kern_syscall **ret);
int kern_syscall_nr(const char *name); /* -1: none */
/* Whether what it takes may be known: tracefs can be read. */
bool kern_syscall_known(const char *name);
/* Arguments: like fields. NULL: none, or not known. */
const struct kern_field *kern_syscall_args(const char *name, uint32_t *ret_cnt);

/* A symbol of the kernel. 0 where there is none, or addresses are hidden. */
uint64_t kern_symbol(const char *name);
/* One whose name is nearly that; NULL: none. Kept by the room. */
const char *kern_symbol_near(const char *name);
/* The function (or, with @any, object) that @addr is in: its name and start, and its module
 * ("vmlinux" for the kernel itself). NULL: none, or addresses are hidden. Kept by the room. */
const char *kern_symbolize(uint64_t addr, uint64_t *ret_start, const char **ret_module);

/* The lowest address of a module's symbols. */
uint64_t kern_module_start(const char *module);

/* ---- BTF ---- */

/* Bytes from the start of struct @tag to a member ("sa.sa_handler": of a member); -ENOENT: there is none, or no BTF. */
int64_t kern_offsetof(const char *tag, const char *path);
/* Words that the kernel passes to who is attached to a tracepoint; -1: nobody knows. */
int kern_raw_words(const char *event);
/* Number of the type that says what they are; 0: there is none. */
uint32_t kern_raw_type(const char *event);

/* Functions of the kernel that tracing may stop at, in the kernel's order. Kept by the room. */
struct kern_func {
	const char *name, *module;
};
uint32_t kern_funcs(const struct kern_func **ret);
/* Whether programs can be placed at functions in some way; if not, what is missing. */
bool kern_can_probe_funcs(struct err *reterr);
bool kern_can_kprobe(struct err *reterr);
/* Whether this kernel attaches programs to its functions by trampolines (fentry, fexit); tried out, once. If not, why. */
bool kern_can_fentry(struct err *reterr);
/* A function for such a program, as the kernel's types have it. */
#define KERN_FENTRY_ARGS 6u
struct kern_fentry {
	uint32_t btf_id; /* in vmlinux */
	uint32_t arg_cnt;
	bool is_void;
	/* Words that the kernel's verifier lets be loaded: of the others it wants to know more than it is told. */
	bool loads[KERN_FENTRY_ARGS + 1]; /* arguments, then the result */
};
/* -ENOENT: not described, or several have the name; -EOPNOTSUPP: with arguments that do not fit. */
int kern_fentry_of(const char *func, const char *module, struct kern_fentry *ret);
/* Whether this process may load programs into the kernel; if not, why. */
bool kern_may_trace(struct err *reterr);

#endif
