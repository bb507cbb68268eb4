/* SPDX-License-Identifier: MIT */
/*
 * cli: the program.  main() reads the arguments, a verb makes a run of them:
 *
 *   compile -> match -> arm -> BEGIN -> loop (tick, drain, modules) -> END -> aggregations, losses
 */
#ifndef CLI_CLI_INT_H
#define CLI_CLI_INT_H

#include "aim/aim.h"
#include "consume/consume.h"
#include "d/d.h"
#include "probe/probe.h"
#include "session/session.h"

#define CLI_OK 0
#define CLI_ERROR 1
#define CLI_USAGE 2

/* ---- options (options.c) ---- */

struct cli_options {
#define OPTION(name, kind, when, dflt, doc) uint64_t name;
#include "cli/options.def"
#undef OPTION
#define CLI_CPP_ARGS 100
	char *cpp_argv[CLI_CPP_ARGS]; /* of the preprocessor; owned */
	uint32_t cpp_argc;
	char *cpp_path; /* NULL: cpp; owned */
#define CLI_LIBDIRS 16
	char *libdirs[CLI_LIBDIRS]; /* -L; owned */
	uint32_t libdir_cnt;
	char *exe_path; /* -x exe; owned */
};
/* -x backend */
enum { CLI_BACKEND_JUMP = 1, CLI_BACKEND_AUTO, CLI_BACKEND_UPROBE };
/* Where an option comes from: the command line, a #pragma, setopt() while probes are armed. */
enum cli_from { FROM_ARGS, FROM_PROGRAM, FROM_RUN };
void cli_options_deinit(struct cli_options *);
void cli_options_init(struct cli_options *); /* defaults, then the environment: DTRACE_OPT_NAME */
/* @value NULL: none was given. -ENOENT, -EINVAL or -EBUSY, with dtrace's message. */
int cli_options_set(struct cli_options *, const char *name, const char *value, enum cli_from, struct err *reterr);
void cli_options_list(FILE *);
/* optvalue.c: false where @s is none */
bool cli_optvalue_flag(const char *s, uint64_t *ret);
bool cli_optvalue_size(const char *s, uint64_t *ret);
bool cli_optvalue_rate(const char *s, uint64_t *ret); /* to ns */
bool cli_optvalue_count(const char *s, uint64_t dflt, uint64_t *ret);
/* What is said of a value that option @name does not take; @form: what it does; NULL: its words, where it has some. */
int cli_optvalue_invalid(const char *name, const char *form, struct err *reterr);
/* Whether the value has the form that dtrace wants; of words, *ret is the number from 1. */
int cli_optvalue_check(const char *name, const char *value, uint64_t *ret, struct err *reterr);

/* ---- arguments (args.c) ---- */

/* A program text: -s FILE, or -n and its kin. */
struct cli_source {
	enum d_source_kind kind;
	char *arg;  /* as given; owned */
	char *text; /* what is compiled; owned */
	char *name; /* as messages name it: the script, or the description without its body; owned */
};
enum cli_mode { MODE_TRACE, MODE_LIST, MODE_EXPLAIN, MODE_HEADER, MODE_LINK, MODE_VERIFY, MODE_REPAIR, MODE_VERSION, MODE_HELP, MODE_OPTIONS,
	MODE_RECORD, MODE_NOTHING };
enum cli_dump { DUMP_AST = 1, DUMP_TYPES = 2, DUMP_IR = 4, DUMP_JIT = 8, DUMP_CLAUSES = 16, DUMP_VERIFIER = 32 };
struct cli_args {
	char **words; /* as they were given, behind the verb; [0] is the program */
	enum cli_mode mode;
	struct cli_source *srcs;
	uint32_t src_cnt;
	char **commands;  /* -c */
	uint32_t command_cnt;
	pid_t *pids;      /* -p */
	uint32_t pid_cnt;
	char **macros;    /* $0 $1 ...; NULL-terminated */
	const char *out;  /* -o */
	bool compile_only; /* -e */
	bool verbose;
	unsigned dumps;   /* enum cli_dump */
	bool is_32;       /* -32 */
	bool script;      /* a ready one, as a verb */
	struct cli_record *record; /* the verb record; owned */
	struct cli_options opts;
};
/* CLI_OK, or the exit status after a message. */
int cli_args_parse(struct cli_args *, int argc, char **argv);
int cli_args_option(struct cli_args *, int opt, const char *arg); /* one of them, by its letter */
void cli_args_deinit(struct cli_args *);
int cli_args_pid(struct cli_args *, pid_t); /* one more to trace, once */
bool cli_args_is_another_pid(const struct cli_args *, const char *word); /* behind a -p: as "-p $(pidof x)" gives several */
void cli_args_hint_pids(const struct cli_args *, const char *word); /* if it is one, says how several are given */
int cli_args_named(struct cli_args *, const char *name, size_t len); /* the one process of that name; else CLI_ERROR after a message */
/* Words of a -c command: blanks separate, quotes and backslashes hold together. NULL: out of memory. */
char **cli_args_split(const char *command);
void cli_args_split_free(char **words);

/* ---- messages (msg.c) ---- */

extern const char *cli_name; /* as the program was called */
/* "NAME: sentence" on stderr. */
void cli_error(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* The same, for what dtrace does not say: its tests compare all of stderr. */
void cli_hint(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Called by that name: what is right for its scripts, where it would bother others. */
bool cli_is_dtrace(void);
/* The tests of dtrace leave out columns that differ between runs. */
bool cli_testing(void);

/* ---- a run ---- */

/* Which program a process runs; ino 0: not known. */
struct cli_program {
	uint64_t dev, ino, stack;
};

struct cli_target {
	pid_t pid;
	uint32_t proc;   /* in the session */
	bool spawned;
	bool awaited;    /* tracing ends when all of these have gone */
	bool starting;   /* its loader has not yet loaded what it needs */
	bool gone;
	bool gone_on;    /* as another program: only its end is awaited (goneon.c) */
	pid_t root;      /* of a followed program: the process whose probes it has; else 0 */
	bool followed;   /* a child of one of the others; its probes are those of its parent */
	bool of_exe;     /* of -x exe: who comes and goes is as it should be */
	struct obj_proc *obj; /* listing without a session: owned; else the session's */
	struct session_child *child; /* spawned, not yet the session's */
	struct cli_program program;  /* when it was attached */
};

/* What a probe description of the script found. */
struct cli_match {
	uint32_t clause, desc;
	uint32_t src;     /* index of its source */
	uint32_t cnt;     /* probes */
};

struct cli_types;
struct cli_shell;
struct client;
struct cli {
	struct cli_args args;
	FILE *out;
	struct d_compiler *d;
	struct d_program prog;
	bool compiled;
	struct cli_target *targets;
	uint32_t target_cnt, live_cnt;
	struct cli_shell *shell; /* the first target that is one, with a script; NULL: none */
	struct cli_exe *exe; /* -x exe; NULL: none */
	struct aim aim; /* of a session of our own */
	struct cli_match *matches; /* as aim.descs */
	uint32_t match_cnt;
	struct session *session;
	struct client *client; /* dyntraced has the session; else NULL */
	struct consume *consume;
	struct cli_types *types; /* what debug information says; NULL: nobody asked */
	bool noticed;     /* what matched has been said */
	bool budget_told; /* that nothing can be sampled */
	bool too_soon;    /* the user ended it before it had begun */
	bool watches;     /* only waits for its targets, and looks at them */
#define CLI_THIS_LEAST 64
	bool grows;       /* clauses come while others run: a keeper's */
	bool client_gone; /* dyntraced has ended, or our worker */
	bool uprobes;     /* all of processes through the kernel */
	bool has_kernel, has_user; /* the script has probes of the kernel, of processes */
	uint32_t functions; /* probes of functions of the kernel */
	uint64_t arm_ns; /* when arming began */
	bool resorts; /* its memory is the kernel's because of places that cannot have jumps: resort.c */
	bool may_restart, restart; /* while nothing is armed: see cli_should_restart() */
#define CLI_FAULTS 64
	uint64_t faults[CLI_FAULTS]; /* statements whose fault was shown in its line */
	uint32_t fault_cnt;
	uint64_t last_drain_ns, next_drain_ns, next_status_ns, next_clean_ns, next_aggs_ns, drain_gap_ns;
	uint64_t spare_ns;       /* when memory that nobody uses may go back; 0: it has */
	uint64_t early_drain_ns; /* somebody rang, or a tick was; 0: not */
#define CLI_BUFFER_CNT 4
	struct { uint64_t asked, has; } buffers[CLI_BUFFER_CNT];
	bool exit_is_due; /* with -x switchrate: exit() was called, and it was time to see it */
	int status;
};

/* cpp.c: @text after the preprocessor, malloc'ed; NULL after filling *reterr */
char *cli_cpp_run(const struct cli_options *, const char *text, struct err *reterr);
char *cli_read_all(FILE *); /* malloc'ed; NULL: no memory */

/* libs.c: D libraries of -L become sources, behind the scripts */
int cli_libs_load(struct cli *);
bool cli_libs_provides(const char *class, const char *name); /* #pragma D depends_on */

/* compile.c: CLI_OK or CLI_ERROR after messages */
int cli_compile(struct cli *);
int cli_set_option(void *arg, const char *name, const char *value, struct err *reterr);
void cli_consume_opts(struct cli *, struct consume_opts *);
enum consume_bufpolicy cli_bufpolicy(const struct cli *);
/* A message about source @src, at @line (0: none), with its tag if wanted. */
void cli_source_error(const struct cli *, uint32_t src, const char *tag, uint32_t line, const char *msg);

/* types.c: the targets' debug information, read when the compiler asks for it */
struct d_types cli_types_hook(struct cli *);
void cli_types_args(struct cli *, const struct probe *, FILE *); /* "Argument Types" of -lv */
void cli_types_close(struct cli *);

/* exe.c: processes of an executable */
int cli_exe_open(struct cli *);   /* those that run become targets */
void cli_exe_close(struct cli *);
int cli_exe_look(struct cli *);   /* those that came meanwhile are traced */
uint64_t cli_exe_gap_ns(const struct cli *); /* how long nobody need look; UINT64_MAX: ever */
pid_t cli_exe_root(const struct cli *);      /* whose number $target is; all others have their probes under it */
bool cli_exe_pending(const struct cli *);    /* there is none now */
bool cli_exe_is_far(const struct cli *);     /* dyntraced looks for them */
void cli_exe_file(const struct cli *, uint64_t *ret_dev, uint64_t *ret_ino); /* 0: none */
void cli_exe_execed(struct cli *, pid_t);    /* a target runs another program now: it may come again */

/* target.c */
int cli_targets_open(struct cli *);  /* starts -c, looks at -p: pids are known after it */
/* After the compiler: processes that only probes name, as pid123:::entry does. Nobody waits for their end. */
int cli_targets_add_named(struct cli *);
/* Whether some run for the first time: they stand in the middle of their start when their libraries are known. */
bool cli_targets_spawned(const struct cli *);
int cli_targets_attach(struct cli *);
/* One of those that were running is another program than when it was attached; with -c it is too late to start over. */
bool cli_targets_changed(const struct cli *);
/* Whether all of them have ended since they were found: they were there, so that is no error of the user's. */
bool cli_targets_ended(const struct cli *);
int cli_say_ended(struct cli *); /* they did before they were traced: exit status */
/* What a traced process that ended makes of the exit status. */
int cli_ended_status(const struct cli *);
/* For who only looks: a command runs until its libraries are there and waits. */
int cli_targets_look(struct cli *);
void cli_targets_close(struct cli *);
void cli_targets_kill(struct cli *); /* commands that we started end with us, as with dtrace: before anything else of them does */
/* msg.c: what was printed, out; says what could not be written. @path NULL: standard output */
enum cli_written { CLI_WRITTEN, CLI_NOBODY_READS, CLI_NOT_WRITTEN };
enum cli_written cli_flush(FILE *, const char *path);
/* -x evaltime, of commands that only the kernel's probes are about: dtrace begins behind the loader. */
bool cli_from_entry(const struct cli *);
/* A followed process runs another program. */
int cli_targets_started(struct cli *, uint32_t proc);
int cli_targets_follow(struct cli *, uint32_t proc); /* a forked child is a target of the session's */
pid_t cli_pid_named(const char *prov); /* the process that provider "pidN" or "NAMEN" names, if it runs; else 0 */
struct cli_target *cli_target_by_proc(struct cli *, uint32_t proc);

/* kernel.c: descriptions of all clauses, for the session; malloc'ed, what they point to is the plan's */
struct session_desc *cli_descs(const struct cli *, uint32_t *ret_cnt);
bool cli_has_addresses(const struct cli *); /* of processes, in what it records */
/* Which worlds the script is about. CLI_ERROR after a message: it may not. */
int cli_kernel_look(struct cli *);
void cli_kernel_refused(struct cli *, const char *why); /* a clause of it */
/* match.c: finds the probes of all descriptions */
int cli_match_all(struct cli *);
/* Says what matched nothing; returns how many descriptions. @starting: those that may yet, too. */
uint32_t cli_match_complain(struct cli *, bool starting);
void cli_match_notice(struct cli *); /* once */
bool cli_match_may_come(const struct cli *, const struct cli_match *); /* with a program that starts */
void cli_match_why(struct cli *, uint32_t match, char *buf, size_t cap); /* names that are near */
void cli_match_none(struct cli *, const struct cli_match *, const char *why); /* says so */
const char *cli_match_tag(int rc);
int cli_matches_make(struct cli *); /* one for each description, without probes yet; 0 or -ENOMEM */
/* The probes of one description; *ret is malloc'ed, also where there are none. 0 or an error after a message. */
int cli_match_probes(struct cli *, uint32_t match, uint32_t **ret, uint32_t *ret_cnt);
const struct probe *cli_match_first(struct cli *, uint32_t match); /* NULL: none */
/* report.c: -v, on cli->out */
void cli_report_source(struct cli *, uint32_t src);
void cli_report_probe(struct cli *, const struct probe *);
uint64_t cli_match_total(const struct cli *);

/* trace.c: for who shows addresses */
struct obj_proc *cli_symbols(void *arg, uint32_t proc);
uint32_t cli_proc_of(void *arg, uint32_t pid);
void cli_agg_gen(void *arg, uint32_t agg, uint32_t gen);
uint32_t cli_thread_cnt(const struct cli *); /* target.c: threads that the targets have now */
/* arm.c */
int cli_arm_new(struct cli *);
/* resort.c: why places that were refused are no uprobes of the kernel; NULL: they could be. */
const char *cli_resort_why(const struct cli *);
bool cli_resort(struct cli *, uint32_t places); /* of @places in all some were refused: the session is to be made again, for that */
/* budget.c: what is said of it: when what there is now is armed; at the end */
void cli_budget_armed(struct cli *);
void cli_budget_end(struct cli *);
/* shell.c: a target that may be a shell; what it runs now; says it where there is one that nobody follows */
void cli_shell_note(struct cli *, const struct cli_target *);
void cli_shell_look(struct cli *);
void cli_shell_say(const struct cli *);
/* ending.c: around what takes probes away: on a terminal it says, once, what is waited for if that takes long.  NULL: nothing will be said. */
struct cli_ending;
struct cli_ending *cli_ending_begin(const struct cli *);
void cli_ending_done(struct cli_ending *);
/* silent.c: that nothing came, where that is certain; once all was read */
void cli_silent_say(const struct cli *);
/* losses.c: what would have lost less */
void cli_losses_advise(const struct cli *);
/* buffers.c: what cannot be had is lowered first, then what is largest until the session can be made (false: all
 * is at its least); then says so. CLI_ERROR after a message: it may not be lowered. */
void cli_buffers_fit(struct cli *, struct session_opts *);
bool cli_buffers_halve(struct session_opts *);
void cli_buffers_note(struct cli *, struct session_opts *);
int cli_buffers_tell(const struct cli *);
/* As options are given and dtrace shows them: 16m; what is not whole in its largest unit, as a number of bytes. Returns @buf. */
#define CLI_SIZE_MAX 24
const char *cli_size_text(uint64_t bytes, char buf[CLI_SIZE_MAX]);
/* fire.c: the tool's own probes */
void cli_fire_named(struct cli *, const char *name, const uint64_t args[10]);
void cli_fire_show(struct cli *, uint32_t clause, uint64_t action); /* the line of a statement that failed */
void cli_fire_error(void *arg, const struct wire_rec *, const struct wire_rec_error *);

/* record/: where what is traced goes into a trace on disk (cli->args.record) */
int cli_record_begin(struct cli *);   /* armed, not yet running */
bool cli_record_is_flight(const struct cli *);
int cli_record_go(struct cli *);      /* now they run */
/* Whether a target that had no room (@rc) is tried once more, with less: cli->restart. */
bool cli_record_lower_bufsize(struct cli *, int rc);
void cli_record_hooks(struct cli *, struct consume_opts *); /* records are for the trace */
int cli_record_modules(struct cli *, uint32_t proc); /* some came; 0: all processes */
int cli_record_progress(struct cli *); /* after each drain */
int cli_record_finish(struct cli *, int rc);
int cli_record_check(struct cli *);   /* that every PROBE was found somewhere */

/* remote.c: whether dyntraced is to do it, and a run of that kind, after the compiler: exit status */
bool cli_remote_wanted(struct cli *);
/* After an error @rc about a process, of which @said was said: where it was for want of rights, how dyntraced could help, or why it does
 * not, unless that was just said. */
void cli_remote_hint(int rc, const char *said);
int cli_remote_run(struct cli *);
int cli_remote_drained(struct cli *); /* tells what was read */
void cli_remote_hooks(struct consume_opts *); /* what is other than with a session of our own */
/* trace.c: what has to be true before anything is armed: CLI_OK, or CLI_ERROR after a message */
int cli_check_allowed(struct cli *);
int cli_check_sizes(struct cli *);
/* What was recorded and not yet shown, in a run that failed with @rc or did not: the run's status. */
int cli_show_rest(struct cli *, int rc);
int cli_make_consume(struct cli *, struct wire_shm *);
uint64_t cli_ring_bytes(const struct cli *);

/* verbs: exit status */
int cli_verb_record(struct cli *);
/* All that follows the compiler. */
int cli_trace_compiled(struct cli *);
int cli_verb_trace(struct cli *);
int cli_verb_list(struct cli *);
int cli_verb_header(struct cli *); /* -h */
int cli_verb_link(struct cli *);   /* -G */
/* trace.c: what fails now fails because a target became another program since: to be said by nobody, tried again. */
bool cli_should_restart(struct cli *);

/* command.c: whether commands of system() are targets; runs one to its end, as consume_opts.run_command. */
bool cli_commands_traced(const struct cli *);
int cli_command_run(void *cli, const char *cmd);
int cli_loop_handle(struct cli *, enum session_event, uint32_t proc, int status);

/* object.c: what -G writes.  The class that all @files (NULL-terminated) have: CLI_OK, or CLI_ERROR after a message. */
int cli_object_class(char *const *files, bool *ret_is_32);
struct sites;
bool cli_object_write(struct cli *, FILE *, bool is_32, const struct sites *);
int cli_verb_explain(struct cli *);
int cli_verb_verify(struct cli *); /* 0: as in the files, 1: not, 2: cannot tell */
int cli_verb_compare(struct cli *); /* compare.c */
int cli_verb_repair(struct cli *);
int cli_dump(struct cli *);
/* verbs.c */
struct cli_verb {
	const char *name;
	int (*main)(int argc, char **argv); /* argv[0]: "dyntrace NAME", as getopt() complains; the exit status */
	enum cli_mode mode; /* of those that take the options of scripts; main is NULL */
};
const struct cli_verb *cli_verb_find(const char *name); /* NULL: it is none */
const char *cli_verb_name(uint32_t i); /* ready scripts too; NULL: there are fewer */
void cli_usage(FILE *);
bool cli_usage_verb(enum cli_mode); /* on standard output; false: it is none that has one here */
void cli_usage_wrong(void); /* to stderr: how it is called */
/* `help` becomes --help, `help VERB` that verb's; CLI_USAGE after a message: there is none of that name. */
int cli_usage_help(int *argc, char **argv);
void cli_usage_no_probes(const struct cli_args *); /* what may have been meant */
/* loop.c: from armed to told to stop */
int cli_loop_run(struct cli *);
struct wire_shm *cli_shm(const struct cli *); /* of the session, whoever has it */
/* Parts of a turn: reads what is due; @ticked, @rang: probes of the tool's fired, somebody rang. CLI_OK or CLI_ERROR. */
int cli_loop_drain(struct cli *, bool ticked, bool rang);
void cli_loop_aggs(struct cli *);
uint64_t cli_loop_idle_ns(const struct cli *); /* how long nothing is due but ticks */
bool cli_loop_done(const struct cli *);
/* For session_reap_threads(): a thread's area may go to another one once what it holds is kept. */
bool cli_loop_keep_thread(void *cli, uint32_t slot);
void cli_goneon_say(const struct cli_target *, int status); /* of a command: what ended it, if it was a signal */
/* goneon.c: commands that are another program now */
bool cli_goneon_any(const struct cli *);
void cli_goneon_look(struct cli *);
void cli_loop_signals(void);  /* those that end tracing */
/*
 * A reader of our output that went away, or a limit on the sizes of files (shared
 * memory too), is an error with a message and never leaves the target armed.
 */
void cli_write_signals(void);
bool cli_loop_interrupted(void);
bool cli_loop_impatient(void); /* twice, or nobody reads what we write */
bool cli_loop_unread(void);    /* the latter */

/* spare.c, of all verbs: memory that was freed stays here for what comes next. */
void cli_spare_init(void);
/* Something may come soon. */
void cli_spare_keep(struct cli *);
/* Gives it back, some milliseconds of work, if nothing has come for long enough. */
void cli_spare_give(struct cli *);

#endif
