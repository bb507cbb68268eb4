/* SPDX-License-Identifier: MIT */
#ifndef CONSUME_CONSUME_INT_H
#define CONSUME_CONSUME_INT_H

#include "consume/consume.h"
#include "ring/ring.h"
#include "rt/rt.h"

/* ---- printf formats (fmt.c) ---- */

enum fmt_flag {
	FMT_ALT = 1, FMT_ZERO = 2, FMT_LEFT = 4, FMT_PLUS = 8, FMT_GROUP = 16, FMT_SPACE = 32,
	FMT_DYNWIDTH = 64, FMT_DYNPREC = 128, FMT_AGG = 256,
};
/* Text, then a conversion ('\0': none, text only; '%': a literal one). */
struct fmt_conv {
	const char *text;
	uint32_t text_len;
	uint32_t flags; /* enum fmt_flag */
	int width, prec;
	char size[3];   /* "h", "l", "ll", "L", "w" */
	char conv;
};
struct fmt {
	char *copy; /* what the texts point into */
	struct fmt_conv *convs;
	uint32_t cnt;
};
/* Widths and precisions: those that values give, and those that scripts write. */
#define FMT_NUM_MAX 65536
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define FMT_WRITTEN_MAX FMT_NUM_MAX /* megabytes of blanks find nothing */
#else
#define FMT_WRITTEN_MAX (1 << 24)
#endif
int consume_fmt_parse(const char *text, struct fmt *ret, struct err *reterr);
void consume_fmt_deinit(struct fmt *);

/* ---- where values come from ---- */

struct datum_src {
	const uint8_t *data; /* fixed part and tail */
	uint32_t bytes;
	uint32_t proc;       /* whose addresses they are */
	const struct wire_site *site; /* NULL: a key */
	uint64_t ns;         /* of a record */
};

/* ---- aggregations (agg.c) ---- */

struct agg_ent {
	struct agg_ent *next; /* same bucket */
	uint32_t agg, proc;
	uint32_t hash;
	uint32_t key_bytes;
	bool gone;      /* trunc() removed it */
	bool is_over;   /* while tables are pruned */
	int64_t *val;   /* consume_agg_words(); behind the key */
	uint8_t key[] __attribute__((aligned(8)));
};
struct agg_tab {
	struct agg_ent **buckets;
	uint32_t bucket_cnt; /* power of two or 0 */
	uint32_t cnt;
};

struct consume_slot {
	struct ring_reader reader;
	uint64_t released; /* the position up to which its producer has room again */
	bool live;       /* reader is set up */
	/* The thread whose area was folded into the base: it may stay there a while longer. */
	bool folded;
	uint32_t folded_tid, folded_incarnation;
	const struct wire_rec *head; /* read, not yet performed */
	uint64_t head_pos, head_seen; /* reader.pos and seen before it */
	uint64_t head_tsc;
	uint32_t tid;
	uint16_t cpu;    /* of its last record */
	struct consume_who who; /* for events: looked up once in each drain */
	/* Of the watermark: when it was last looked at; where the quick record that was under way goes, and since when it
	 * may have been. */
	uint64_t looked, quick_at, quick_since;
	/* counts already reported */
	uint64_t *drops; /* [clause_cnt] ring full, then [clause_cnt] errors */
	uint64_t level_drops, agg_drops, dyn_drops, bad, missed;
};

#define CANON_CNT 256 /* power of two: recently reduced addresses and strings */
struct canon {
	uint64_t from, to;
	uint32_t tag; /* kind and process; 0: empty */
};

/* A speculation as the consumer has it. */
struct spec_held; /* a record that waits */
struct consume_spec {
	struct spec_held *first, **end;
	uint64_t bytes; /* of its records, as the plan counts them */
	uint32_t gen;   /* of the use that runs; what the shared memory says is not believed */
	bool committed; /* the use before it was */
};

struct consume {
	bool has_last; /* of the thread slots: the kernel has the last ones from the beginning; others are taken in order */
	struct wire_shm *shm;
	struct wire_shm geo; /* our copy of the geometry: what the other side writes cannot change it */
	const struct plan *plan;
	const struct ir_image *image;
	struct consume_opts opts;
	uint32_t cpus;              /* that this machine is configured for */
	struct consume_slot *slots; /* [geo.thread_cnt] */
	uint32_t *heap;             /* slots that have a head, earliest first */
	uint32_t heap_cnt;
	struct wire_rec *rec;       /* copy of the one that is performed */
	uint32_t rec_cap;
	struct fmt **fmts;          /* [clause][act] */
	uint32_t fmt_cnt;           /* clauses */
	/* flow of output */
	bool heading_done;
	uint32_t indent, last_site, last_clause;
	int saved_out;              /* descriptor of out before freopen(); -1: none */
	bool exited;
	int exit_status;
	/* aggregations */
	struct agg_tab base, floor, snap;
	uint32_t cpu_cnt;           /* of which each has a value of its own behind that of all (-x aggpercpu) */
	uint32_t floor_pruned; /* how many were left of the floor */
	bool snap_valid;
	uint64_t snap_tsc, next_snap_tsc; /* with an aggrate */
	bool has_drained;           /* anything, before this drain */
	uint32_t *gen;              /* [agg_cnt] ours; entries of others count as empty */
	int64_t *normal;            /* [agg_cnt] */
	bool *printed;              /* [agg_cnt] */
	struct canon canon[CANON_CNT];
	struct fold *fold;          /* texts of frames in keys; NULL: none yet */
	struct consume_spec *specs; /* [geo.spec_cnt] */
	bool speculates;
	uint32_t spec_seen[4];      /* losses reported */
	uint32_t spec_dropped;      /* records that did not fit into theirs; the producers count others */
	/* bufpolicy (policy.c) */
	struct consume_kept *kept, **kept_end; /* earliest first */
	uint64_t kept_bytes;
	bool filled;
	uint64_t look_bytes; /* of the tool's records, since the last look */
	uint64_t look_drops, look_drops_said;
	uint64_t double_faults, double_faults_said; /* of ERROR's own clauses */
	/* losses of threads that are gone */
	uint64_t total_drops;
	bool lacked[CONSUME_ROOMS];
	bool heard; /* of a target, by a record or an aggregation */
	uint64_t lost_seen[WIRE_PROC_MAX];
};

#define AGG_CNT(c) ((c)->plan->agg_cnt)

/* The area of slot @i. */
static inline struct wire_thread *consume_thread(const struct consume *c, uint32_t i)
{
	return (struct wire_thread *)((uint8_t *)c->shm + c->geo.thread_off + i * c->geo.geom.stride);
}

/* Whether slot @i was never used, and so none behind it.  To look at those would make pages of memory for all of them. */
static inline bool consume_is_last(const struct consume *c, uint32_t i)
{
	const struct wire_thread *thr = consume_thread(c, i);
	return i && !c->has_last && LOAD_ACQUIRE(&thr->state) == WIRE_THREAD_FREE && !LOAD_RELAXED(&thr->incarnation);
}
/* What tells the time of a tsc; a copy stays while records are looked at. */
struct consume_scale {
	uint64_t tsc_base, ns_base;
	int64_t mult;
};
static inline struct consume_scale consume_scale(const struct consume *c)
{
	return (struct consume_scale){ c->geo.tsc_base, c->geo.ns_base, (int64_t)c->geo.tsc_mult };
}
static inline uint64_t consume_ns(const struct consume_scale *s, uint64_t tsc)
{
	return s->ns_base + (uint64_t)(((__int128)(int64_t)(tsc - s->tsc_base) * s->mult) >> WIRE_TSC_SHIFT);
}
/* A record says any number, and who is given it may make a file of each. */
static inline uint32_t consume_cpu(uint32_t said, uint32_t cpus) { return said < cpus ? said : 0; }
static inline FILE *consume_errs(const struct consume *c) { return c->opts.errs ? c->opts.errs : stderr; }
/* "PROGNAME: sentence\n" after flushing the data before it. */
void consume_complain(struct consume *, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* policy.c. Whether to perform the record now; else it is kept or left out. */
int consume_policy_take(struct consume *, const struct wire_rec *, uint32_t proc, bool *ret_perform, struct err *reterr);
int consume_policy_end(struct consume *, struct err *reterr); /* performs what was kept */
/* It is the tool's, and more than bufsize since the last look. */
bool consume_policy_drops(struct consume *, uint32_t slot, const struct wire_rec *);
void consume_policy_deinit(struct consume *);

/* site.c: of the shared memory, checked */
const struct wire_site *consume_site_at(const struct consume *, uint32_t idx);
/* A NUL-terminated copy-free view of an interned string; "" where @off is bad. */
const char *consume_site_str(const struct consume *, uint32_t off, uint32_t *ret_len);

/* value.c */
uint64_t consume_val_u64(const struct plan_val *, const struct datum_src *);
int64_t consume_val_int(const struct plan_val *, const struct datum_src *);
/* Bytes of a string, byte array or stack; never NULL. */
void consume_print(struct consume *, FILE *out, const struct plan_act *, const struct datum_src *); /* print.c */
const uint8_t *consume_val_bytes(const struct consume *, const struct plan_val *, const struct datum_src *,
				 uint32_t *ret_cnt);
bool consume_val_is_string(const struct plan_val *);
bool consume_val_is_symbol(const struct plan_val *);
void consume_val_print_trace(struct consume *, FILE *, const struct plan_val *, const struct datum_src *);
/* The shortest usual form of a float, double or long double; false: none of that size. */
#define CONSUME_FLOAT_MAX 48
bool consume_float_text(char text[CONSUME_FLOAT_MAX], const uint8_t *, uint32_t bytes);
/* @packed: to the right, in consume_val_key_width() columns behind a space. */
void consume_val_print_key(struct consume *, FILE *, const struct plan_val *, const struct datum_src *, bool packed);
int consume_val_key_width(const struct plan_val *);
void consume_val_print_raw(FILE *, const uint8_t *, uint32_t cnt);

/* sym.c */
/* "module`symbol+0x1c" and its poorer forms. @kind: PLAN_USYM, PLAN_UFUNC (no offset), PLAN_UADDR, PLAN_UMOD. */
void consume_sym_format(struct consume *, enum plan_val_kind kind, uint32_t proc, uint64_t addr, char *buf,
			size_t cap);
/* The address that stands for all that print alike: the symbol's or the module's start. */
uint64_t consume_sym_reduce(struct consume *, enum plan_val_kind kind, uint32_t proc, uint64_t addr);
void consume_sym_print_stack(struct consume *, FILE *, const char *line_fmt, uint32_t indent, const struct plan_val *,
		     const struct datum_src *);

/* A frame's name alone, as flame graphs have it; false: it is an address, of which nothing is known. */
bool consume_sym_folded(struct consume *, uint32_t proc, bool is_kernel, uint64_t pc, char *buf, size_t cap);

/* fold.c */
/* Stack @v of a key, in which it lies, by the texts of its frames where stacks are folded; false: they are addresses still. */
bool consume_fold_key(struct consume *, const struct plan_val *v, uint32_t proc, uint8_t *key, uint32_t bytes);
const char *consume_fold_text(const struct consume *, uint64_t val); /* NULL: an address */
void consume_fold_deinit(struct consume *);

/* fmt_print.c */
struct fmt_aggs {
	const struct agg_ent *const *ents;
	uint32_t cnt;
};
int consume_fmt_print(struct consume *, FILE *, const struct fmt *, const struct plan_val *vals, uint32_t val_cnt,
	      const struct datum_src *, const struct fmt_aggs *aggs);

/* ---- text.c: text on its way to a stream ---- */

#define TEXT_BYTES 1024
struct text {
	FILE *fp;
	uint32_t cnt;
	char buf[TEXT_BYTES];
};
/* To be ended before anything else is written to @fp. */
static inline void consume_text_begin(struct text *t, FILE *fp)
{
	t->fp = fp;
	t->cnt = 0;
}
void consume_text_end(struct text *);
void consume_text_add(struct text *, const void *, size_t bytes);
/* As printf has them: @width columns, to the left where it is negative; @zeros: filled with zeros. */
void consume_text_str(struct text *, const char *, size_t bytes, int width);
void consume_text_signed(struct text *, int64_t, int width, bool zeros);
void consume_text_unsigned(struct text *, uint64_t, char conv /* o u x X */, int width, bool zeros);

/* line.c */
void consume_line_begin(struct consume *, const struct wire_rec *, const struct wire_site *);
void consume_line_end(struct consume *);

/* act.c */
/* Performs the record, or keeps it where it belongs to a speculation. */
int consume_act_record(struct consume *, const struct wire_rec *, uint32_t proc, struct err *reterr);
/* Whose addresses they are: @src's process, or that at @pid_off. */
uint32_t consume_proc(struct consume *, uint32_t pid_off, const struct datum_src *src);
/* Performs it, whatever it belongs to. */
int consume_act_perform(struct consume *, const struct wire_rec *, uint32_t proc, struct err *reterr);

/* spec.c: speculations */
int consume_spec_init(struct consume *, struct err *reterr);
void consume_spec_deinit(struct consume *);
int consume_spec_keep(struct consume *, const struct wire_rec *, uint64_t token, uint32_t proc, struct err *reterr);
/* commit() (else discard()) of what @token names: shows it, then gives the id back. */
int consume_spec_end(struct consume *, uint64_t token, bool commit, struct err *reterr);
/* Ends those whose end was before @mark though no record said so: its clause faulted. */
int consume_spec_sweep(struct consume *, uint64_t mark, struct err *reterr);
/* run.c: gives the slot's head, and what follows it up to @mark, to opts.on_recs: how many; 0: it does not take it. The
 * reader is behind them then. */
int64_t consume_run(struct consume *, uint32_t slot, uint64_t mark, struct err *reterr);
const struct consume_who *consume_who_of(struct consume *, uint32_t slot);
/* event.c: whether the record goes to opts.on_event; then *ret_rc is what that returned */
bool consume_event_give(struct consume *, uint32_t slot, const struct wire_rec *, int *ret_rc, struct err *reterr);
/* fault.c */
void consume_fault_report(struct consume *, const struct wire_rec *);
void consume_fault_library(struct consume *, const struct wire_rec *, const char *what);

/* io.c */
int consume_io_system(struct consume *, const char *cmd);
void consume_io_truncate(struct consume *);
int consume_io_freopen(struct consume *, const char *path, struct err *reterr);

/* drain.c: the area holds nothing that was not kept already */
bool consume_slot_is_folded(const struct consume *, uint32_t slot);

/* agg.c */
void consume_agg_tab_clear(struct agg_tab *);
int consume_agg_snap(struct consume *, struct err *reterr);
int consume_agg_fold(struct consume *, uint32_t slot, struct err *reterr);
void consume_agg_prune(struct consume *); /* when the slot counts as folded: forgets what trunc() removed for good */
int consume_agg_clear(struct consume *, uint32_t agg, struct err *reterr);
/* @keep 0: none; < 0: the lowest */
int consume_agg_trunc(struct consume *, uint32_t agg, int64_t keep, struct err *reterr);
/* All entries of @snap that @want accepts (NULL: all); malloc'ed array of pointers. */
int consume_agg_collect(struct consume *, bool (*want)(void *arg, const struct agg_ent *), void *arg,
		struct agg_ent ***ret, uint32_t *ret_cnt, struct err *reterr);
uint32_t consume_agg_val_cnt(const struct consume *, uint32_t agg);
uint32_t consume_agg_words(const struct consume *, uint32_t agg); /* of an entry: those of the value, for all and for each CPU */
void consume_agg_empty(const struct consume *, uint32_t agg, int64_t *val); /* all of them */

/* aggsort.c */
enum agg_order {
	AGG_BY_OPTIONS, /* variable, then value (or key), as the options say */
	AGG_BY_VALUE,   /* value, key; ascending whatever the options say */
	AGG_BY_VALUE_REV,
	AGG_BY_KEY,     /* key, then variable */
};
void consume_agg_sort(struct consume *, struct agg_ent **, uint32_t cnt, enum agg_order);
int consume_agg_cmp_key(const struct consume *, const struct agg_ent *, const struct agg_ent *, uint32_t keypos);
int consume_agg_cmp_val(const struct consume *, const struct agg_ent *, const struct agg_ent *);

/* aggprint.c */
int consume_agg_print_default(struct consume *, FILE *, const uint32_t *aggs, uint32_t cnt, struct err *reterr);
int consume_agg_print_fmt(struct consume *, FILE *, const struct fmt *, const uint32_t *aggs, uint32_t cnt,
		  struct err *reterr);
int consume_agg_print_unprinted(struct consume *, FILE *, struct err *reterr);
void consume_agg_print_value(struct consume *, FILE *, const struct agg_ent *);
void consume_agg_print_cpus(struct consume *, FILE *, const struct agg_ent *); /* what each CPU has of it, if that is known */
/* joined.c: entries of several aggregations, one row per key; @key is any entry that has it */
typedef int agg_row_fn(struct consume *, FILE *, const struct agg_ent *key, const struct agg_ent *const *row,
		       uint32_t cnt, void *arg);
int consume_agg_walk_joined(struct consume *, FILE *, const uint32_t *aggs, uint32_t cnt, agg_row_fn *, void *arg,
		    struct err *reterr);

/* hist.c */
struct hist_opts {
	int64_t normal; /* counts are divided by it; not 0 */
	bool zoom;      /* bars are as long as the highest value wants, not as its part of all */
	bool utf8;      /* bars of block elements, in eighths of a column */
};
/* What bars are drawn in proportion to. */
struct hist_span {
	long double total;
	bool pos, neg; /* values of that sign occur */
};
void consume_hist_span_add(struct hist_span *, const struct hist_opts *, int64_t val);
void consume_hist_head(FILE *, const char *what, int width);
void consume_hist_bar(const struct hist_span *, const struct hist_opts *, FILE *, int64_t val); /* to the line's end */
void consume_hist_quantize(FILE *, const int64_t *, const struct hist_opts *);
void consume_hist_lquantize(FILE *, const struct wire_agg *, const int64_t *, const struct hist_opts *);
void consume_hist_llquantize(FILE *, const struct wire_agg *, const int64_t *, const struct hist_opts *);
long long consume_hist_quantize_label(uint32_t bucket);
void consume_hist_lquantize_label(const struct wire_agg *, uint32_t bucket, char *buf, size_t cap);
long double consume_hist_weight(const struct wire_agg *, const int64_t *, int64_t *ret_zero);
struct hist_opts consume_agg_hist_opts(const struct consume *, uint32_t agg);
/* pack.c: -x agghist and -x aggpack.  An aggregation's entries as rows of one picture. */
struct pack {
	enum { PACK_NONE, PACK_HIST, PACK_BUCKETS } kind;
	struct hist_opts o;
	struct hist_span span;  /* PACK_HIST */
	uint32_t first, last;   /* PACK_BUCKETS: those shown */
	bool utf8;
};
/* How @ents, all of one aggregation, are shown; prints the head of the picture, if it is one. */
void consume_pack_begin(struct pack *, struct consume *, FILE *, struct agg_ent *const *ents, uint32_t cnt);
void consume_pack_value(const struct pack *, struct consume *, FILE *, const struct agg_ent *); /* to the line's end */

/* stddev.c */
void consume_stddev_add(int64_t *dst, const int64_t *src); /* all four words */
void consume_stddev_sub(int64_t *dst, const int64_t *src);
uint64_t consume_stddev_of(const int64_t *val, int64_t normal);

void consume_report_slot(struct consume *, uint32_t slot); /* drops.c: what one thread lost since last time */

#endif
