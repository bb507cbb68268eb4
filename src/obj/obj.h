/* SPDX-License-Identifier: MIT */
/*
 * obj: files and processes as symbol people see them: memory maps, modules,
 * ELF symbols, demangling, unwind tables, types.
 *
 * Addresses: "vaddr" is what a file says, "addr" is in a process;
 * addr = vaddr + module->bias.
 */
#ifndef OBJ_OBJ_H
#define OBJ_OBJ_H

#include "wire/wire.h"

#include <sys/types.h>

struct obj_map {
	uint64_t start, end, off;
	uint32_t prot; /* PROT_* */
	bool shared;
	uint64_t inode;
	char *path; /* "" for anonymous; owned by the obj_proc */
};

struct obj_sym {
	const char *name; /* as in the file (mangled); owned by the module */
	uint64_t addr;    /* in the process */
	uint64_t bytes;   /* never 0: where the file has none, up to the next symbol or FDE */
	bool is_func, is_ifunc, is_local, is_weak;
};

struct obj_module {
	char *name; /* base name, as D shows it: "libc.so.6"; "a.out" also matches the executable */
	char *path; /* as mapped */
	char *run_as; /* of the executable, where that was run by another name of its file (a link): its base name; else NULL */
	uint64_t bias;
	uint64_t start, end; /* of all its mappings */
	uint64_t text_start, text_end; /* of its executable ones */
	bool is_exe, is_loader, is_vdso;
	/* private part follows in obj_int.h */
};

struct obj_proc;

/* Files of a process that only its tracers may open (proc(5)). */
enum obj_proc_file {
	OBJ_FILE_MAPS, OBJ_FILE_MEM, OBJ_FILE_AUXV, OBJ_FILE_EXE,
	OBJ_FILE_MAPPED, /* map_files/START-END */
};
/* Somebody who opens them, for reading, where we may not: a descriptor, or -errno. */
typedef int obj_helper_fn(pid_t pid, enum obj_proc_file, uint64_t start, uint64_t end);
void obj_set_helper(obj_helper_fn *); /* NULL, as at first: nobody */

/* Whether what was read of large files, symbols and where code begins and ends, is kept for the next time (host/cache.h); at
 * first not.  Who looks at others' processes keeps nothing. */
void obj_keep_tables(bool on);

/* Reads the maps of @pid and finds its modules; symbols are read when asked
 * for. Files are opened through /proc/PID/root or map_files, so deleted ones
 * and other mount namespaces work. */
int obj_proc_open(pid_t pid, struct obj_proc **ret, struct err *reterr);
void obj_proc_close(struct obj_proc *);
/* Reads the maps again (after dlopen, dlclose). Modules that stayed keep their address and
 * index; new ones are appended; those that went have start == end == 0, until they come back to where they
 * were. */
int obj_proc_refresh(struct obj_proc *, struct err *reterr);
/* A descriptor of its memory, for reading, of the program that it ran when it was opened or refreshed last; the caller closes
 * it. -errno. */
int obj_proc_mem(const struct obj_proc *);

uint32_t obj_map_cnt(const struct obj_proc *);
const struct obj_map *obj_map_at(const struct obj_proc *, uint32_t i);
uint32_t obj_module_cnt(const struct obj_proc *);
struct obj_module *obj_module_at(const struct obj_proc *, uint32_t i);
struct obj_module *obj_module_by_addr(const struct obj_proc *, uint64_t addr);
bool obj_proc_is_64bit(const struct obj_proc *);
pid_t obj_proc_pid(const struct obj_proc *);
/* Memory as it is now, patched code included. 0, or -errno with *buf undefined. */
int obj_proc_read(struct obj_proc *, uint64_t addr, void *buf, size_t bytes);
/* Mapped code as it is now; no page comes into the process's memory for that, as far as files have it.  0 where there
 * is nothing. */
void obj_proc_code(struct obj_proc *, uint64_t addr, void *buf, size_t bytes);
struct stat;
/* Whether nothing there differs from the file that is mapped there, and it is one: *ret is what fstat() says of it. */
bool obj_proc_is_as_file(struct obj_proc *, uint64_t addr, size_t bytes, struct stat *ret);
/* Bytes at @addr as the module's file has them: what stood there before anybody patched it
 * (and before relocations). 0, or -EFAULT outside what the file holds. */
int obj_module_text(struct obj_proc *, struct obj_module *, uint64_t addr, void *buf, size_t bytes);
/* Bytes from @addr on that are in no section, if a section with code ends there; else 0. */
uint64_t obj_module_gap(struct obj_proc *, struct obj_module *, uint64_t addr);

/* The module's file, where only the helper may open it: a descriptor, which the caller closes, or -errno. */
int obj_module_open(const struct obj_proc *, const struct obj_module *);

/* Symbols of a module's code, sorted by address, aliases kept, the preferred
 * name of an address first: .symtab of the file or of its debug file (build-id,
 * debuglink), .gnu_debugdata, .dynsym; IFUNC symbols with is_ifunc; labels
 * without a type, where no function covers them, with neither is_func nor
 * is_ifunc.  Names come without a version.  *ret is owned by the module. */
int obj_module_syms(struct obj_proc *, struct obj_module *, const struct obj_sym **ret, uint32_t *ret_cnt,
		    struct err *reterr);
/* Starts of all code that .eh_frame or symbols know, sorted, each once, with
 * ends: to bound a function without a size and to tell what follows it. */
enum obj_range_kind {
	OBJ_RANGE_FUNC,
	OBJ_RANGE_COLD, /* a fragment that is jumped to, never called */
	OBJ_RANGE_PLT,  /* stubs, all of a section */
	OBJ_RANGE_LABEL, /* a symbol inside another range */
};
struct obj_range {
	uint64_t start, end;
	uint8_t kind; /* enum obj_range_kind */
	bool has_fde, has_sym;
};
int obj_module_ranges(struct obj_proc *, struct obj_module *, const struct obj_range **ret, uint32_t *ret_cnt,
		      struct err *reterr);
/* Which of two names of one address is to be shown: < 0 for @a, > 0 for @b. */
int obj_sym_prefer(const struct obj_sym *a, const struct obj_sym *b);
/* The range that covers @addr, labels left out; NULL: none. */
const struct obj_range *obj_range_at(struct obj_proc *, struct obj_module *, uint64_t addr);
/* Where the IFUNC @sym was resolved to: read from the slots (IRELATIVE,
 * JUMP_SLOT, GLOB_DAT, ...) that the loader has filled in any module of the process;
 * if none is, as this very process resolves it, where it has the same library.
 * 0, or -ENOENT: nobody has resolved it yet. */
int obj_ifunc_target(struct obj_proc *, struct obj_module *, const struct obj_sym *sym, uint64_t *ret_addr);
/* Whether it was compiled from Go, or has parts that were. */
bool obj_module_is_go(struct obj_proc *, struct obj_module *);
/* Whether the code at @addr was: not what cgo has of C.  Where that cannot be told, it counts as Go's. */
bool obj_is_go_code(struct obj_proc *, struct obj_module *, uint64_t addr);
/* Names of the functions that Go's own table has in file @fd, which is there in a stripped program, too.  Ends where @fn says
 * false. 0, -ENOENT: there is none; -ENOMEM. */
int obj_file_go_names(int fd, bool (*fn)(void *arg, const char *name), void *arg);
/* Addresses inside functions that Go's runtime jumps or returns to without a call or a branch that would show it:
 * where a panic that was recovered from goes on, where a goroutine ends.  Those in [lo, hi), sorted, live as long as the
 * module; none in what is not Go. 0, -ENOMEM, or -ENOENT: its table does not tell them. */
int obj_go_entered(struct obj_proc *, struct obj_module *, uint64_t lo, uint64_t hi, const uint64_t **ret, uint32_t *ret_cnt);
/* Landing pads of C++ exceptions (.gcc_except_table) of the function at @addr:
 * stores at most @cap sorted addresses, returns how many there are, or -errno. */
int obj_landing_pads(struct obj_proc *, struct obj_module *, uint64_t func_addr, uint64_t *ret, uint32_t cap);

/* The symbol that covers @addr: name (mangled), its start, its module. 0 or
 * -ENOENT; *ret_mod is set whenever the address is in a module (else NULL).  Prefers
 * global names, then those with fewer leading underscores, then the shorter ones. */
int obj_symbolize(struct obj_proc *, uint64_t addr, const struct obj_sym **ret, struct obj_module **ret_mod);

/* Demangled form (C++, Rust), or NULL where it is none. Caller frees. */
char *obj_demangle(const char *mangled);
/* `name` or `ns::f(int)` or a glob against a symbol: mangled, demangled with
 * and without parameters. */
bool obj_name_matches(const char *pattern, const char *mangled);
/* D's globs: * ? [abc] [!abc] \x. */
bool obj_glob(const char *pattern, const char *name);
bool obj_is_glob(const char *pattern); /* has it any of these characters? */

/* Rows for the user stack walker, for one executable mapping of @mod, from
 * .eh_frame. *ret is malloc'ed, sorted, pc relative to @map_start. Code without
 * .eh_frame gets WIRE_UNW_FP rows. */
int obj_unwind_rows(struct obj_proc *, struct obj_module *, uint64_t map_start, uint64_t map_end,
		    struct wire_unw_row **ret, uint32_t *ret_cnt, struct err *reterr);

/* Value of a symbol that need not be a function, e.g. _thread_db_pthread_tid. -ENOENT. */
int obj_module_find(struct obj_proc *, struct obj_module *, const char *name, uint64_t *ret_addr, uint64_t *ret_bytes);

/* The 8-byte words of a section, pointers in them as vaddrs, malloc'ed; -ENOENT: the file has none of that name. */
int obj_module_words(struct obj_proc *, struct obj_module *, const char *section, uint64_t **ret, uint64_t *ret_cnt);
/* The module's build-id; its length, 0: it has none. */
#define OBJ_LINES_ID_MAX 64
uint32_t obj_module_build_id(struct obj_proc *, struct obj_module *, uint8_t ret[OBJ_LINES_ID_MAX]);

/* Source lines of a file (with debug information, in it or apart). */
struct obj_lines;
struct obj_line {
	const char *func; /* demangled; NULL: unknown. Strings live as long as the obj_lines. */
	const char *file; /* NULL: unknown */
	uint32_t line;
	bool inlined;     /* into the next one */
};
int obj_lines_open(const char *path, struct obj_lines **ret); /* 0 or -errno */
void obj_lines_close(struct obj_lines *); /* NULL is fine */
uint32_t obj_lines_build_id(struct obj_lines *, uint8_t ret[OBJ_LINES_ID_MAX]);
/* The function at @vaddr, as the file counts, and those it was inlined into; innermost first. How many, 0: nothing is known. */
uint32_t obj_lines_at(struct obj_lines *, uint64_t vaddr, struct obj_line *ret, uint32_t cap);

/* A place that the program itself declares a probe (USDT): a note of sys/sdt.h. */
struct obj_usdt {
	const char *prov, *name, *args; /* as in the note; owned by the module */
	uint64_t addr; /* of the nop, in the process */
	uint64_t sema; /* of a 16-bit count of those who listen, in the process; 0: none */
	/* Where the program also has a note of ours (dyntrace -h, -G): arguments as scripts see them, a string
	 * "NUMBER TYPE" for each: which argument of the probe it is, its type in C. */
	const char *types;
	uint32_t type_cnt;
};
/* Of argument @i < type_cnt; @ret_native: the probe's argument it shows. */
const char *obj_usdt_type(const struct obj_usdt *, uint32_t i, uint32_t *ret_native);
/* All of a module, sorted by address; owned by it. */
int obj_module_usdt(struct obj_proc *, struct obj_module *, const struct obj_usdt **ret, uint32_t *ret_cnt, struct err *reterr);
/* Where its arguments are, as scripts see them. */
void obj_usdt_args(struct obj_proc *, struct obj_module *, const struct obj_usdt *, struct wire_uargs *ret);

/* What is known of the process, for built-in variables and checks. */
struct obj_proc_info {
	pid_t pid, ppid, tracer;
	pid_t leader;  /* the process, where @pid is a thread of one */
	uid_t uid;
	gid_t gid;
	char state;    /* as in /proc/PID/stat */
	char comm[32];
	uint32_t threads;
};
int obj_proc_info(pid_t pid, struct obj_proc_info *ret, struct err *reterr);

#endif
