/* SPDX-License-Identifier: MIT */
#ifndef SESSION_INT_H
#define SESSION_INT_H

#include "base/sorted.h"
#include "session/budget.h"
#include "host/host.h"
#include "host/maps.h"
#include "inject/inject.h"
#include "jit/jit.h"
#include "patch/patch.h"
#include "ring/ring.h"
#include "session/session.h"

/* Memory for generated code: one memfd, writable here, executable there. */
struct arena {
	uint64_t addr;  /* in the target */
	uint64_t bytes;
	uint64_t used;
	uint64_t promised; /* to the callers of arena_get that have not used it yet, `used` included */
	uint8_t *code;  /* here */
	/* bodies that were generated into it */
	struct body {
		uint64_t hash, addr;
		uint32_t *progs;
		uint32_t prog_cnt;
		uint8_t kind;
		bool is_go;
		uint8_t filter[PATCH_FILTER_MAX], filter_bytes;
	} *bodies;
	uint32_t body_cnt;
};

/* A window that is written in the target's code. */
struct placed {
	uint64_t addr;
	uint64_t func;                 /* where its function begins */
	uint32_t bytes;
	uint32_t claim;                /* bytes from @addr that nobody else may change: a pun's go on behind its window */
	const struct obj_module *mod;  /* NULL: not known */
	uint64_t hole_addr;            /* 0: none, or inside another window */
	uint8_t hole_old[5], hole_new[5];
	uint8_t old[PATCH_WINDOW_MAX];
	uint8_t jump[6];               /* what we wrote: the window may be gone with its library */
	uint8_t jump_bytes;
};

struct target {
	struct session *s;
	uint32_t proc;          /* index of its wire_proc; never 0 */
	pid_t pid;
	bool is_child;          /* ours: waitpid tells its end */
	bool gone;
	bool disarming;         /* its text is restored; children of it may yet have copies */
	uint32_t left_cnt;      /* then: jumps that had to stay */
	bool stays;             /* then: memory of ours is still mapped there */
	bool is_watched;        /* nothing of ours is in it */
	uint32_t module_cnt;    /* of such a one, whose probes are the kernel's: when somebody looked */
	uint64_t known_addr;    /* likewise, something of its program; 0: not known */
	bool other_ns;          /* in another pid namespace than we are */
	int pidfd, memfd;       /* pidfd; /proc/PID/mem of the program that was attached */
	struct inject *inj;     /* while it is attached */
	struct inject_ways ways;
	struct inject *link;    /* of one that offered itself: @inj, whenever that is not NULL.  Its threads run on. */
	bool is_fork;           /* a followed child: its modules are its parent's, what comes later is not armed */
	struct obj_proc *obj;
	uint64_t shm_addr, shm_bytes, agent_addr, agent_bytes, wipe_addr;
	struct jit_env env;
	struct arena **arenas;
	uint32_t arena_cnt;
	uint32_t spot_cnt; /* bodies in trampolines, those that are gone included */
	struct patch_range *code; /* where the arenas are, sorted */
	struct landing_page **landings; /* sorted */
	uint32_t landing_cnt;
	struct placed *placed;
	uint32_t placed_cnt;
	struct patch_move *moves; /* of all trampolines */
	uint64_t move_cnt;
	uint64_t *go_pcs;         /* sorted: where goroutines may go on (goscan.c) */
	uint32_t go_pc_cnt;
	bool go_known;            /* those are all there were */
	uint64_t *retired;        /* where trampolines lead back to whose windows went (rearm.c) */
	uint32_t retired_cnt;
	struct placed *went;      /* those windows: children that were forked before have them yet */
	uint32_t went_cnt;
	struct hole {
		uint64_t addr;
		uint8_t old[5], now[5];
		const struct obj_module *mod;
	} *holes;                 /* of a link: long jumps in padding to which no short one leads any more (holes.c) */
	uint32_t hole_cnt;
	struct sema {
		uint64_t addr;  /* of a count in its data */
		uint64_t site;  /* of a place for which it is raised */
	} *semas;
	uint32_t sema_cnt;
	uint64_t hook_addr;     /* the loader's function that is our first probe, or 0 */
	uint64_t exec_addr;     /* likewise where other programs are begun; 0: none */
	struct probe *guards;   /* of guard.c */
	uint32_t guard_cnt;
	uint64_t guard_looked_ns;
	uint32_t guard_scanned; /* modules that were looked through for system calls of their own */
	uint64_t early_addr;    /* likewise one that it calls once all libraries of a program are mapped; 0: none */
	bool loaded;            /* its libraries have come */
	bool loading;           /* it was attached while its loader worked, which has not ended yet */
	struct rseqs *rseqs;    /* by module, see rseq.c */
	uint32_t rseq_cnt;
	struct branches *branches; /* by module, see branches.c */
	uint32_t branches_cnt;
};

struct intern;

struct session {
	const struct ir_image *image;
	struct session_opts opts;
	struct wire_shm *shm;
	int shm_fd, own_fd; /* own_fd: of thread area 0, where it is shared; else -1 */
	int sign_fd;        /* of the page that stands before the kernel's memory in targets (owner_sign); else -1 */
	struct wire_agg *kern_descs; /* of the kernel's memory, which shm has a copy of; else NULL */
	struct target *targets[WIRE_PROC_MAX]; /* by proc index; NULL: [0], and indexes that are free */
	uint32_t target_cnt;                   /* highest index + 1 */
	uint32_t heard;                        /* the doorbell's count of which the caller was told */
	struct intern *strings;
	struct budget *budget; /* NULL: there is none */
	struct exec_watch {
		pid_t tid, pid;
		uint64_t since_ns;
	} execs[64];                           /* threads that are about to run another program */
	uint32_t exec_cnt;
	uint64_t unw_used;                     /* bytes of the unwind arena in use */
	bool uses_stacks;
	uint32_t agg_cnt;                      /* of the image */
	uint32_t const_bytes, const_reserved;  /* of the image's strings; what they may become */
	uint32_t kern_slot;                    /* first thread slot of the kernel's */
	struct skern *kern;                    /* NULL: the kernel runs nothing */
	uint64_t kern_tick_ns, watched_ns;     /* when last */
	struct seen {                          /* others whose addresses the kernel recorded; procs WIRE_PROC_MAX + i */
		uint32_t pid;
		struct obj_proc *obj;
		struct target *known;          /* with unwind tables; NULL: without.  Its obj is this one's */
	} *seen;
	uint32_t seen_cnt, known_cnt;
	struct unw_file *unw_files;            /* whose rows are there already */
	uint32_t unw_file_cnt;
};

/* strings.c: equal strings get equal offsets. WIRE_NONE: no room. */
struct intern *intern_create(struct wire_shm *, const struct ir_image *);
void intern_destroy(struct intern *);
/* Sets @bytes behind the image's strings aside, for those of a larger one; that one's strings from @first on go there. */
int intern_reserve(struct intern *, uint32_t bytes);
int intern_grow(struct intern *, const struct ir_image *, uint32_t first, uint32_t reserved);
uint32_t intern_add(struct intern *, const char *s);
/* Likewise bytes, 8-byte aligned. */
uint32_t intern_bytes(struct intern *, const void *data, uint32_t bytes);

int session_set_size(int fd, uint64_t bytes); /* of a file in memory */
const char *session_smaller(const struct session *); /* what to try where the memory has no room */
int session_memfd(const char *name, uint64_t bytes); /* whose size nobody can change; or -errno */
/* share.c: maps a file of its own over @bytes of the session's memory from @off on. */
int share_own(struct session *, uint64_t off, uint64_t bytes, struct err *reterr);

/* clock.c */
void clock_begin(void); /* what is measured later begins now, or did shortly before */
int clock_calibrate(struct wire_shm *, struct err *reterr);

/* gothreads.c: threads of a Go program that has no libc: where their ids are, as wire_proc.tid_off; 0: unknown. */
int32_t gothreads_tid_off(struct target *);
/* Whether the function at @addr runs in threads that cannot be told from their parents yet. */
bool gothreads_begin_at(struct target *, uint64_t addr);

/* tid_scan.c: where the libc that a static program has in it keeps threads' ids, as wire_proc.tid_off; 0: unknown. */
uint32_t tid_scan(struct target *, const struct obj_module *);

/* goscan.c: where goroutines of a process that runs may go on: t->go_pcs, t->go_known. */
void goscan_begin(struct target *);
void goscan_free(struct target *);
uint32_t goscan_first(const struct target *, uint64_t lo); /* index of the first at or behind @lo */

/* procinfo.c: whether a stopped target is one that can be traced. */
int procinfo_check(struct target *, struct err *reterr);
/* Facts for the wire_proc. The target is stopped. */
int procinfo_fill(struct target *, struct wire_proc *, struct err *reterr);
/* What can be told only when the libc is mapped; again after its loader has run. */
void procinfo_fill_libc(struct target *, struct wire_proc *);
/* No loader is mapped: it is its own libc, or has none. */
bool procinfo_is_static(const struct target *);
/* Who started process @pid, up to the first, as far as can be seen. */
void procinfo_ancestors(pid_t pid, struct wire_proc *);
uint32_t procinfo_args(pid_t pid, struct intern *); /* the command line, interned */
/* @tid: as the process itself knows it (it may live in a pid namespace of its own). */
bool procinfo_has_thread(struct target *, uint32_t tid);

/* agent_load.c: the agent's file (@path, or NULL: where it is installed), which is of this version. */
struct agent_file;
int agent_open(const char *path, struct agent_file **ret, struct err *reterr);
void agent_close(struct agent_file *);
/* Maps it into a stopped target, fills t->env. */
int agent_load(struct target *, const struct agent_file *, struct err *reterr);

/* arena.c: room for @bytes of code within reach of [lo, hi); the target is stopped. */
int arena_get(struct target *, uint64_t lo, uint64_t hi, uint64_t bytes, struct arena **ret, struct err *reterr);
/* An arena of whole pages that is at @addr and full. */
int arena_at(struct target *, uint64_t addr, uint64_t bytes, struct arena **ret, struct err *reterr);
/* Adds a copy of it to the target's; NULL: no memory. */
struct arena *arena_note(struct target *, const struct arena *);
/* Whether @addr is in an arena. */
bool arena_has(const struct target *, uint64_t addr);
/* An address for @bytes that need not be near anything; 0: anywhere. */
uint64_t arena_far_place(const struct obj_proc *, uint64_t bytes);
void arena_release(struct arena *);
/* The body for @progs in @a, and its filter, generated if it is new: into @ret's. @is_go: for Go code. */
int arena_body(struct target *, struct arena *, enum wire_site_kind, bool is_go, const uint32_t *progs,
	       uint32_t prog_cnt, struct patch_anchor *ret, struct err *reterr);
/* Writes a body for @an alone, which is to stand at @addr in its trampoline, to @buf, and what of it is seldom run to @a.
 * Bytes at @buf; 0: it has to be called; or -errno. */
#define SPOT_BYTES 8192 /* more is called */
int arena_spot(struct target *, struct arena *, enum wire_site_kind, const uint32_t *progs, uint32_t prog_cnt,
	       const struct patch_anchor *an, uint64_t addr, uint8_t *buf, size_t cap, struct err *reterr);
/* The filter of such a body. */
int arena_filter(struct target *, enum wire_site_kind, const uint32_t *progs, uint32_t prog_cnt, struct patch_anchor *ret,
		 struct err *reterr);
/* Likewise one that goes on to a library's function. */
int arena_hook(struct target *, struct arena *, uint64_t fn, uint64_t *ret_addr, struct err *reterr);

/* landing.c: a jump to @tramp at an address in [lo, hi]; the target is stopped and its maps are fresh.
 * -ENOSPC or -EEXIST: there is no room there. */
int landing_get(struct target *, uint64_t lo, uint64_t hi, uint64_t tramp, uint64_t *ret, struct err *reterr);
/* Whether one could be at @addr; in [lo, hi]. */
bool landing_can(const struct target *, uint64_t addr);
bool landing_find(const struct target *, uint64_t lo, uint64_t hi);
void landing_free(struct target *);

/* reapply.c: libraries that were unloaded and came back to the same place get their jumps again. Their loader waits. */
int text_reapply(struct target *, struct err *reterr);

/* children.c: what process @t, whose maps are @obj (NULL: it has ended), has of its parent's, as it is in both.  false: no memory. */
bool children_inherit(struct target *t, const struct target *from, const struct obj_proc *obj);
/* Followed children that entered themselves become targets. Index of one that did, or 0. */
uint32_t children_adopt(struct session *);
/* Followed processes that are about to exec, or have: index of a new program that waits to be armed, or 0. */
uint32_t children_exec(struct session *);
bool children_is_watched(const struct session *, pid_t pid);
/* Those that have ended, and of which nothing is left to read, make room for others. */
void children_reap(struct session *);

/* target.c */
int target_open(struct target *, struct err *reterr); /* t->pid's handles; target_close() is due in any case */
void target_close(struct target *);
struct target *target_at(const struct session *, uint32_t proc); /* NULL: none */
void target_free(struct target *);
/* A new program, stopped before its first instruction; takes over @inj. */
int target_adopt(struct session *, struct inject *inj, uint32_t *ret_proc, struct err *reterr);
struct wire_proc *target_proc(struct target *);
void target_unmap_shm(struct target *, struct inject *);
int target_stop(struct target *, struct err *reterr);
void target_go(struct target *);
void target_drop_uprobes(struct target *); /* wait.c: links of uprobes follow the process, also to its next program */
bool target_same_program(const struct target *);
bool target_has_ended(const struct target *); /* its number may be another's; false where nobody watches it */
bool target_is_loading(struct target *); /* wait.c: whether its loader is at work */
int target_read(void *target, uint64_t addr, void *buf, size_t bytes);
/* From here on each hit of its looks at all that could forbid it; one that is under way may not (struct wire_wipe). */
void target_forget_main(struct target *);
void session_forget_mains(struct session *); /* of all */
void target_ask_always(struct target *); /* WIRE_FS_NEVER: for good */
/* Reads up to the next hole; returns the number of bytes. */
size_t target_read_some(struct target *, uint64_t addr, void *buf, size_t bytes);

/* threads.c: windows placed since, in an order in which they are soon found: made before the target stops, and valid until others
 * are placed.  NULL: no memory. */
struct places *threads_places(const struct target *, uint32_t first_placed, uint64_t first_move);
void threads_places_free(struct places *);
/* Moves the threads of a stopped target out of them. */
int threads_move_in(struct target *, const struct places *, struct err *reterr);

/* arm.c: the probe in the loader that tells of new modules, if it is not there yet */
int arm_hook(struct target *, struct err *reterr);

/* unwind.c: tables of all executable maps that have none yet */
int unwind_update(struct target *, struct err *reterr);
bool unwind_is_current(struct target *); /* it has code where the tables say */

/* disarm.c: of a thread that has ended, records that a probe had open when it was left for good (a longjmp or exit() in a
 * signal handler). */
void session_close_ring(struct session *, struct wire_thread *);
/* disarm.c: restores a stopped process that has @t's patches (itself or a forked child), lets threads that are
 * in our code leave it, unmaps. */
bool target_is_ours(const struct target *, uint64_t addr); /* of the agent's or our code */
int target_clean(struct target *, struct obj_proc *, struct inject *, struct err *reterr);

/* edits.c: the order that edits_apply() makes; who has it made sooner saves time then. */
struct edit;
void edits_order(struct edit *, uint32_t cnt);

/* edits.c: writes @bytes wherever @want stands, sorts @edits, and tells the first place where it does not;
 * with @write false only looks. */
struct edit {
	uint64_t addr;
	uint32_t cnt, want_cnt; /* want_cnt <= cnt */
	const uint8_t *want, *bytes;
	uint8_t phase;          /* those of 0 are all written before those of 1: edits_phase() */
	bool strict;            /* where threads run on: if one is missed, -EAGAIN, and those of later phases are not written */
};
/* A jump that needs others (a short one, the long one in its hole; a pun, what is behind it) comes after them and
 * goes before them, so that whoever is killed in between leaves code that works. */
static inline uint8_t edits_phase(uint8_t first_byte, uint32_t bytes, bool restore)
{
	return (first_byte == 0xeb || bytes < 5) != restore;
}
int edits_apply(struct inject *, struct edit *edits, uint32_t cnt, bool write, const struct edit **ret_miss,
		struct err *reterr);
/* What a process has mapped to run, as far as it can be read; malloc'ed, without paths. Starts as zeroes. */
struct text_maps {
	struct host_map *v;
	uint32_t cnt;
};
void text_maps_read(struct text_maps *, pid_t);
/* The first that has a byte of [start, end), or NULL. */
const struct host_map *text_map_at(const struct text_maps *, uint64_t start, uint64_t end);
/* Memory that the process or others may write to meanwhile (another process that shares it, a device): then what is
 * not ours is not written back. */
bool text_maps_open(const struct text_maps *, uint64_t start, uint64_t end);
/* Whether all of it is code that nobody may write to, without a hole. */
bool text_maps_closed(const struct text_maps *, uint64_t start, uint64_t end);

/* live.c, for processes whose threads run on (inject_is_live): edits_apply(); each edit lies within eight aligned bytes, or is of
 * bytes that nobody runs. */
int live_edits(struct inject *, struct edit *edits, uint32_t cnt, bool write, const struct edit **ret_miss, struct err *reterr);
/* Whether a window can be written and taken back there. */
bool live_can(const struct patch_window *);
bool live_can_restore(struct target *, const struct placed *); /* what another controller placed */
/* calm.c: waits a while until each thread has been seen where it can neither be in our code nor return to it; false: one was not. */
bool calm_await(struct target *, struct obj_proc *, struct inject *);
/* Whether a word of the stack from @sp up is an address of ours: 1 also where it cannot be read, -1: no stack is there. */
typedef bool calm_ours_fn(const void *arg, uint64_t addr);
int calm_stack_has(struct obj_proc *, struct inject *, uint64_t sp, calm_ours_fn *, const void *arg);

/* holes.c: long jumps in padding, where threads run on. */
bool holes_can(const struct target *, const struct patch_window *); /* whether it meets none that has to stay as it is */
const struct hole *holes_at(const struct target *, uint64_t addr);  /* one that begins there, or NULL */
int holes_keep(struct target *, const struct placed *);             /* its short jump has gone; 0 or -ENOMEM */
int holes_restore(struct target *, struct inject *, struct err *reterr); /* all of them; nobody is in one */
/* Where they are, sorted; to be freed.  NULL: no memory. */
struct patch_range *holes_list(const struct target *, uint32_t *ret_cnt);

/* crew.c: fn(args + i * stride) for each i < cnt <= CREW_MAX, at the same time; the first is the caller's own. */
#define CREW_MAX 16u
typedef void crew_fn(void *arg);
uint32_t crew_size(void);
void crew_run(crew_fn *, void *args, size_t stride, uint32_t cnt);

/* text_scan.c: what long branches of a module's text lead to, as patch_text_targets(); *ret is malloc'ed.  @arg: each thread has its
 * own copy. */
struct text_source {
	struct target *t;
	const uint8_t *text; /* NULL: as the process has it */
	uint64_t start, bytes;
};
int text_scan(const struct text_source *, patch_wanted_fn *wanted, const void *arg, size_t arg_bytes, uint64_t **ret, uint32_t *ret_cnt);

/* branches.c: calls @add with each address in (lo, hi) that code outside of [lo, hi) jumps to; false: no
 * memory.  Some of them may be mere numbers that look like a jump. */
#define SHORT_REACH 130u /* a 2-byte branch and its 127 bytes */
typedef bool branches_fn(void *arg, uint64_t target);
int branches_into(struct target *, struct obj_module *, uint64_t lo, uint64_t hi, branches_fn *add, void *arg);
/* For a function [lo, hi) that @near is of: what may be branches from outside into its first @reach bytes, whether or not they are
 * instructions. */
struct text_near;
int branches_maybe_into(struct target *, struct obj_module *, const struct text_near *near, uint64_t lo, uint64_t hi, uint64_t reach,
			branches_fn *add, void *arg);
/* Reads all of its code at once, if that is worth it: many of its functions are going to be asked about. */
void branches_expect_many(struct target *, struct obj_module *);
/* What is kept of code that is that of its file (@st), where it may be: all but the kind and the version of the key.  It tells
 * apart what functions and symbols are known, too. */
struct stat;
struct host_cache_key;
bool text_kept_key(struct target *, struct obj_module *, const struct stat *st, uint8_t id[OBJ_LINES_ID_MAX], struct host_cache_key *ret);
void branches_free(struct target *);
/* Code of @mod as it was before anything was armed in it. */
int text_read(struct target *, struct obj_module *mod, uint64_t addr, void *buf, size_t bytes);
/* The same of a function [lo, hi) and of what is near enough to jump into it with 8 bits, until branches_free().  0, or -errno; @own
 * is the caller's to free, then too. */
struct text_near {
	uint64_t start, end;
	const uint8_t *code;
	uint8_t *own;
};
int text_near(struct target *, struct obj_module *mod, uint64_t lo, uint64_t hi, struct text_near *ret);

/* rseq.c: code of @mod that no probe may move, and signatures; each range's end may be jumped to. */
int rseq_ranges(struct target *, struct obj_module *mod, const struct patch_range **ret, uint32_t *ret_cnt);
void rseq_free(struct target *);

/* guard.c: adds those to t->guards that have none yet; the index of the first of them. */
uint32_t guards_find(struct target *);
bool guard_is_raw(const struct probe *); /* its function is none of an interface */
struct session_probe guard_request(const struct target *, uint32_t i);
void guard_look(struct target *); /* whether it is under seccomp by now */
void guard_look_at_times(struct target *);

/* guard_scan.c: calls @found with each function of @m that makes the system calls for seccomp by itself, or (@is_thread) those that
 * begin threads or set the fs base. */
typedef void guard_found_fn(void *arg, struct obj_module *, uint64_t addr, uint64_t bytes, bool is_thread);
void guard_scan(struct target *, struct obj_module *, guard_found_fn *found, void *arg);

/* leftover.c: takes away what a controller that was killed left in a stopped process; the caller has
 * made sure (owner_check) that it lives no more.  @ret may be NULL. */
int leftover_clean(struct target *, struct session_repaired *ret, struct err *reterr);
/* The bytes of the module's file; where it holds none, those of @now. */
void leftover_file(struct target *, struct obj_module *, uint64_t addr, uint8_t *ret, const uint8_t *now, uint64_t bytes);

/* owner.c */
/* Nothing tells one BPF map's mapping from another's.  So where the memory is the kernel's, targets have a page before it that is
 * a file "dyntrace-shm": a head whose offsets count from there.  The tool has a private copy of it, as of other memory. */
#define OWNER_SIGN_BYTES WIRE_PAGE
int owner_sign(const struct wire_shm *head); /* its descriptor, or -errno */
bool owner_is_sign(const struct obj_map *);  /* of what is named dyntrace-shm: whether it is such a page */
bool owner_is_memfd(const char *path, const char *name);
/* -EBUSY: a controller that lives traces this process; -EALREADY: we do. */
int owner_check(struct target *, struct err *reterr);
/* The controller that holds the shared memory @m, or 0; @told: what its memory says.  @ret_unsure: that may not be
 * asked, or all that may be are not. */
pid_t owner_of(const struct obj_map *m, uint32_t told, bool *ret_unsure);
bool owner_proves(const struct obj_map *); /* of what is named INJECT_PROOF: somebody finds out by it whom it speaks with */
uint32_t owner_told(struct target *, const struct obj_map *m);
void owner_command(pid_t pid, char *buf, size_t cap);

/* func.c: what patch needs to know of the function at @addr. Free with func_deinit. */
struct func {
	struct patch_func pf;
	uint8_t *code;
	uint64_t *targets;
	struct patch_range *frags; /* cold parts that it jumps to */
	uint32_t frag_cnt;
	struct obj_module *mod;
	struct target *t;
	/* Memory of its module that is as in its file; whether patch has read any other. */
	struct patch_range as_file;
	bool reads_more;
	struct text_blocks *blocks; /* NULL: each read by itself */
};
int func_init(struct func *, struct target *, struct obj_module *, uint64_t addr, uint64_t bytes, struct err *reterr);
/* The same for a function that is entered at its start only, as all of an interface are; reads nothing but its code. */
int func_init_alone(struct func *, struct target *, struct obj_module *, uint64_t addr, uint64_t bytes, struct err *reterr);
void func_deinit(struct func *);
/* blocks.c: text_read() for one who reads much of the same for a moment; @b NULL is fine. */
struct text_blocks *text_blocks_create(void);
void text_blocks_destroy(struct text_blocks *);
int text_blocks_read(struct text_blocks *b, struct target *, struct obj_module *, uint64_t addr, void *buf, size_t bytes);
/* For patch_func.read; @fn needs t and mod. */
int func_read_code(void *fn, uint64_t addr, void *buf, size_t bytes);
/* Whether there are bytes in fn->code that would be a jump to cold code; may say so where there is none. */
bool func_may_have_frags(struct func *, uint64_t addr, uint64_t bytes);
/* First index whose start is above @addr. */
uint32_t func_range_after(const struct obj_range *, uint32_t cnt, uint64_t addr);
uint32_t func_sym_after(const struct obj_sym *, uint32_t cnt, uint64_t addr);
#define FUNC_NO_RETURN "it has no return instruction: it never returns, or runs on into the next function"

/* usdt.c: the places of a USDT probe, from its function's start; sorted.  At most @cap; how many there are, or -errno. */
int usdt_offsets(struct target *, const struct probe *, uint32_t *ret, uint32_t cap);
/* What the site at a place of @p needs besides: arguments, semaphore. */
int usdt_site_args(struct target *, const struct probe *p, struct wire_site *, struct wire_uargs *ret, struct err *reterr);
int usdt_site(struct target *, const struct probe *p, struct wire_site *, struct err *reterr);
/* Semaphores of a stopped target: those from number @first on; those of places in a window that was written again. */
void semas_raise(struct target *, uint32_t first);
void semas_raise_in(struct target *, const struct placed *);
/* Of windows that go, while their jumps still stand; and of one that is back, with sites of the first @site_cnt: 0 or -ENOMEM. */
void semas_leave(struct target *, const bool *goes);
/* After that, of the @was_cnt that there were: those whose jumps could not be taken back. */
void semas_stay(struct target *, uint32_t was_cnt);
int semas_return(struct target *, const struct placed *, uint32_t site_cnt);
/* Of the process behind @inj, before its text is restored. */
void semas_lower(struct target *, struct inject *inj);
/* Those that a killed tool raised; @ghost's windows are known. */
void semas_gather(struct target *, struct target *ghost);
const struct placed *placed_over(const struct target *, uint64_t addr);

/* grow.c: what a session that grows has of everything */
struct wire_layout_in;
void grow_layout(struct wire_layout_in *);
bool grow_uses_stacks(const struct ir_image *);
#define GROW_STR_BYTES (1u << 20)

/* sites.c */
uint32_t session_site_add(struct session *, const struct probe *, uint64_t addr, enum wire_site_kind kind);
struct wire_site *session_site(struct session *, uint32_t i);

#endif
