/* SPDX-License-Identifier: MIT */
/* Private to session: probes of the kernel. */
#ifndef SESSION_KERN_INT_H
#define SESSION_KERN_INT_H

#include "session/session_int.h"

#include "ebpf/ebpf.h"

/* recipe.c: a clause for one kind of place. */
struct recipe_in {
	enum probe_kern_recipe recipe;
	bool is_exit; /* a system call ends there: arg0 is its result */
	uint32_t cpu; /* it fires only there; UINT32_MAX: anywhere */
};
/* Free *ret with ir_prog_deinit(). It has been verified. */
int recipe_make(const struct ir_image *, const struct ir_prog *src, const struct recipe_in *, struct ir_prog *ret,
		struct err *reterr);

/* kern.c: what the kernel runs of a session. */
struct made;
struct skern_fds { /* kern_attach.c: descriptors that are closed, the last first, when the probes are lifted */
	struct skern_fd {
		int fd;
		uint32_t proc; /* whose probe it is; 0: nobody's */
	} *v;
	uint32_t cnt, cap, proc; /* proc: of those that come */
};
struct skern {
	struct session *s;
	struct ebpf *e;
	struct made *made;
	struct ebpf_peek *peek; /* the kernel's memory, for the tool's own probes */
	struct skern_fds fds; /* links, events, programs: closing them detaches */
	uint32_t refused_cnt;  /* probes of functions that the last skern_arm() did not get */
	struct err refused;    /* why the first of them */
};
int skern_create(struct session *, uint32_t first_slot, struct err *reterr); /* fills s->kern */
void skern_destroy(struct skern *);
int skern_arm(struct session *, const struct session_probe *, uint32_t cnt, uint32_t *ret_cnt, struct err *reterr);
void skern_disarm(struct skern *);
void skern_drop(struct skern *, uint32_t proc); /* uprobes of one process */
int skern_doorbell(const struct skern *); /* becomes readable where the consumer should look */
void skern_doorbell_clear(struct skern *);
void skern_tick(struct skern *);          /* about once a second */
uint32_t skern_failed_clause(const struct skern *);
/* A clause for a place; it is the skern's. */
int skern_prog(struct skern *, uint32_t clause, const struct recipe_in *, const struct ir_prog **ret, struct err *reterr);

/* kern.c: a probe at one of its places. */
struct instance {
	const struct session_probe *sp;
	struct probe_kern_place place;
	uint32_t site;
	uint32_t layer;      /* which of the programs at one tracepoint */
	const struct ir_prog **progs; /* owned; of made[] */
};
struct bundle { /* instances that one program serves */
	struct instance *const *v;
	uint32_t cnt;
	const char *name;
	enum ebpf_kind kind;
	struct ebpf_arg key;
	const struct kern_fentry *fentry; /* of FENTRY and FEXIT */
	uint32_t btf_id; /* of what the tracepoint passes; 0: nobody has to know */
};
bool skern_same_progs(const struct instance *, const struct instance *);
int skern_load(struct skern *, const struct bundle *, int *ret_fd, struct err *reterr);
/* Loaded and attached, as the place of the first says. */
int skern_serve(struct skern *, struct instance *const *v, uint32_t cnt, const char *name, struct err *reterr);

/* kern_funcs.c: functions of the kernel, in the way that suits (sorts @v). */
#define SKERN_FENTRY_MAX 64u
int skern_serve_funcs(struct skern *, struct instance **v, uint32_t cnt, struct err *reterr);

/* kern_args.c */
struct kern_fentry;
uint32_t skern_raw_type(struct instance *const *v, uint32_t cnt); /* of what system calls pass, where somebody reads it; 0 */
void skern_args_fentry(struct ebpf_group *, const struct kern_fentry *, bool is_exit);
void skern_args(struct ebpf_group *, const struct probe_kern_place *);
struct ebpf_arg skern_reg(enum wire_reg); /* of a function's place */
uint32_t skern_args_c(struct ebpf_arg *); /* there: those that C hands over in registers; how many */
enum ebpf_kind skern_kind(enum probe_kern_at);
struct ebpf_arg skern_key(enum probe_kern_at); /* what tells apart the probes of one program */

/* kern_attach.c */
int skern_fds_keep(struct skern_fds *, int fd, struct err *reterr); /* takes it over, also where it fails */
void skern_fds_deinit(struct skern_fds *);
void skern_fds_drop(struct skern_fds *, uint32_t proc); /* those of one process */
int skern_attach(struct skern_fds *, const struct session_opts *, int prog_fd, const struct probe_kern_place *, struct err *reterr);

/* watch.c: takes over @inj, a child that waits for its start; NULL: it runs. */
int watch_create(struct session *, pid_t, struct inject *inj, uint32_t *ret_proc, struct err *reterr);
void watch_refresh(struct session *);
bool watch_modules_came(struct target *); /* since somebody asked, where it has probes of the kernel's */
void watch_unwind(struct target *); /* its tables, as it is now */
struct obj_proc *watch_obj(struct session *, uint32_t proc);
void watch_deinit(struct session *);

/* stranger.c */
void stranger_look(struct session *);       /* at those that the kernel has noted */
void stranger_identify(struct target *);    /* what the process is now */
void stranger_deinit(struct session *);
uint32_t skern_strangers(struct skern *, uint32_t *ret_pids, uint32_t cap); /* taken off */

/* kern_uprobes.c: a place of a process. */
enum uplace_kind { UPLACE_C, UPLACE_GO, UPLACE_USDT, UPLACE_RETURN }; /* where arguments are */
struct uplace {
	const struct session_probe *sp;
	uint64_t addr;
	uint32_t index;  /* uprobe.c: whose it is */
	enum uplace_kind kind;
	struct wire_uargs *uargs; /* USDT; NULL: none; owned */
	char *path;      /* of the file */
	bool owns_path;
	const struct target *target;
	struct ebpf_place at;
	int rc;          /* out: 0: it is armed */
	char *why;       /* else, malloc'ed */
};
/* Sorts them. An error: none could be placed; it is that of one of them. */
int skern_arm_uplaces(struct skern *, struct uplace *, uint32_t cnt, struct err *reterr);
/* uprobe.c: all probes of a target through the kernel. */
int uprobes_arm(struct session *, struct target *, const struct session_probe *, uint32_t cnt, session_refused_fn *, void *arg,
		uint32_t *ret_cnt, struct err *reterr);
/* explain_kern.c */
void explain_kernel(const struct probe *, FILE *out);

#endif
