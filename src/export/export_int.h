/* SPDX-License-Identifier: MIT */
#ifndef EXPORT_INT_H
#define EXPORT_INT_H

#include "export/export.h"
#include "host/host.h"

#include <string.h>

/* ---- packets, little-endian and without any padding ---- */

#define CTF_MAGIC 0xc1fc1fc1u
struct ctf_packet {
	/* header */
	uint32_t magic;
	uint8_t uuid[16];
	uint32_t stream_id;          /* enum ctf_stream */
	uint64_t stream_instance_id; /* the CPU */
	/* context */
	uint64_t ts_begin, ts_end;
	uint64_t content_bits, packet_bits; /* from the packet's start */
	uint64_t seq;
	uint64_t discarded;          /* in this stream, from its start */
	uint32_t cpu;
	/* of CTF_ONE: struct ctf_who, once for all its events */
} PACKED;
enum ctf_stream { /* ids of stream classes */
	CTF_MANY, /* each event says whose it is */
	CTF_ONE,  /* its packet does */
};
/* An event: header (ctf_head_put()); of CTF_MANY, this; the fields. */
struct ctf_who {
	uint32_t pid, tid;
	char comm[];                 /* and a NUL */
} PACKED;
#define CTF_PACKET_BYTES (256u << 10)
#define CTF_STACK_MAX 4096
#define CTF_CLASS_MAX (1u << 20)     /* ids are below */

/* ---- headers of events: the low 27 bits of the time, where no more is needed ---- */

#define CTF_NS_BITS 27u
#define CTF_NS_MASK ((1u << CTF_NS_BITS) - 1)
enum ctf_head { /* low 5 bits of the first byte: smaller ones are the class's number themselves */
	CTF_HEAD_MID = 30,           /* 16 bits of it, then the time */
	CTF_HEAD_FAR = 31,           /* 3 bits of nothing, 32 of it, 64 of the time */
};
#define CTF_HEAD_MAX 13u             /* bytes */
/* @since: the time of the event before, or of the packet's begin. Up to CTF_HEAD_MAX bytes may be written; returns how
 * many count. */
static inline uint32_t ctf_head_put(uint8_t *at, uint32_t id, uint64_t ns, uint64_t since)
{
	bool near = ns - since <= CTF_NS_MASK;
	if (near && id < CTF_HEAD_MID) {
		uint32_t word = id | (uint32_t)ns << 5;
		memcpy(at, &word, 4);
		return 4;
	}
	if (near && id <= UINT16_MAX) {
		uint64_t word = CTF_HEAD_MID | (uint64_t)id << 5 | (ns & CTF_NS_MASK) << 21;
		memcpy(at, &word, 8);
		return 6;
	}
	*at = CTF_HEAD_FAR;
	memcpy(at + 1, &id, 4);
	memcpy(at + 5, &ns, 8);
	return CTF_HEAD_MAX;
}

/* Names of types in the metadata. ORDER enum export_type */
extern const char *const ctf_type_name[EXPORT_TYPE_CNT];
extern const uint8_t ctf_type_bytes[EXPORT_TYPE_CNT]; /* of strings and stacks 0 */

/* meta.c: text for the file metadata; false: no memory (fclose tells) */
void ctf_meta_head(FILE *, const uint8_t uuid[16], const struct export_writer_opts *);
void ctf_meta_class(FILE *, const struct export_class *, uint32_t id);
/* Of the line that says to which stream class an event belongs; there is one in each class. */
#define CTF_META_STREAM "\n\tstream_id = "
#define CTF_META_ID "\n\tid = "             /* likewise, of its number */
#define CTF_META_FIELDS "\n\tfields := "    /* likewise, of the first line of its fields */

/* sampled.c: what a budget left out, in env and behind everything else */
void ctf_meta_budget(FILE *, uint32_t percent);
void ctf_meta_sampled(FILE *, const struct export_sampled *, uint32_t cnt);
int ctf_sampling_line(struct export_sampling *, const char *line); /* of metadata; 0 or -errno */
void ctf_sampling_deinit(struct export_sampling *);

/* schema.c: classes out of metadata */
struct ctf_schema {
	struct export_class **v; /* by id; parts owned */
	uint32_t cnt;
	uint8_t uuid[16];
	int64_t real_offset_ns;
	uint64_t read_bytes;     /* of the file so far */
	struct export_sampling sampling;
	bool has_heads;          /* it describes the headers of today */
};
/* Reads what is new in the file. */
int ctf_schema_read(struct ctf_schema *, const char *dir, struct err *reterr);
void ctf_schema_deinit(struct ctf_schema *);

/* ---- modules, symbols, frames ---- */

struct notes; /* notes.c */
struct notes *notes_create(const char *dir);
void notes_destroy(struct notes *);
int notes_modules(struct notes *, uint32_t pid, struct obj_proc *, struct err *reterr);
void notes_stack(struct notes *, uint32_t pid, const uint8_t *addrs, uint32_t bytes);
int notes_frames(struct notes *, struct err *reterr);

struct symbols; /* symbols.c: the same, read */
struct symbols *symbols_open(const char *dir);
void symbols_close(struct symbols *);
void symbols_refresh(struct symbols *);
uint32_t symbols_frames(struct symbols *, uint32_t pid, uint64_t ns, uint64_t addr, bool is_ret,
			struct export_frame ret[EXPORT_FRAMES_MAX]);

/* ---- forms ---- */

struct export_printer {
	const struct printer_ops *ops;
	struct export_trace *trace;
	FILE *out;
	void *state;
};
struct printer_ops {
	int (*begin)(struct export_printer *);
	int (*event)(struct export_printer *, const struct export_class *, const struct export_event *);
	int (*end)(struct export_printer *); /* frees the state, too */
};
extern const struct printer_ops printer_text, printer_json, printer_folded, printer_chrome;

/* form.c: what forms have in common */
/* Frames of the event's stack, innermost first, malloc'ed. NULL: it has none. */
struct export_frame *form_stack(struct export_printer *, const struct export_class *, const struct export_event *,
				uint32_t *ret_cnt);
void form_json_value(FILE *, const struct export_field *, const struct export_value *);
void form_json_args(FILE *, const struct export_class *, const struct export_event *); /* without the stack */
/* CLOCK_REALTIME. */
int64_t form_real_ns(const struct export_trace *, uint64_t ns);
/* "2026-11-21T12:00:00.123456789Z" */
#define FORM_TIME_MAX 48
void form_time_iso(const struct export_trace *, uint64_t ns, char buf[FORM_TIME_MAX]);
bool form_is_return(const struct export_class *);

#endif
