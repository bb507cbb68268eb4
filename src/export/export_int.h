/* SPDX-License-Identifier: MIT */
#ifndef EXPORT_INT_H
#define EXPORT_INT_H

#include "export/export.h"
#include "host/host.h"

/* ---- packets, little-endian and without any padding ---- */

#define CTF_MAGIC 0xc1fc1fc1u
struct ctf_packet {
	/* header */
	uint32_t magic;
	uint8_t uuid[16];
	uint32_t stream_id;          /* 0 */
	uint64_t stream_instance_id; /* the CPU */
	/* context */
	uint64_t ts_begin, ts_end;
	uint64_t content_bits, packet_bits; /* from the packet's start */
	uint64_t seq;
	uint64_t discarded;          /* in this stream, from its start */
	uint32_t cpu;
} PACKED;
struct ctf_event {
	uint32_t id;
	uint64_t ns;
	uint32_t pid, tid;
	char comm[];                 /* and a NUL; then the fields */
} PACKED;
#define CTF_PACKET_BYTES (256u << 10)
#define CTF_STACK_MAX 4096

/* Names of types in the metadata. ORDER enum export_type */
extern const char *const ctf_type_name[EXPORT_TYPE_CNT];
extern const uint8_t ctf_type_bytes[EXPORT_TYPE_CNT]; /* of strings and stacks 0 */

/* meta.c: text for the file metadata; false: no memory (fclose tells) */
void ctf_meta_head(FILE *, const uint8_t uuid[16], const struct export_writer_opts *);
void ctf_meta_class(FILE *, const struct export_class *, uint32_t id);

/* schema.c: classes out of metadata */
struct ctf_schema {
	struct export_class **v; /* by id; parts owned */
	uint32_t cnt;
	uint8_t uuid[16];
	int64_t real_offset_ns;
	uint64_t read_bytes;     /* of the file so far */
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
void form_json_string(FILE *, const char *, size_t bytes);
void form_json_value(FILE *, const struct export_field *, const struct export_value *);
void form_json_args(FILE *, const struct export_class *, const struct export_event *); /* without the stack */
/* CLOCK_REALTIME. */
int64_t form_real_ns(const struct export_trace *, uint64_t ns);
/* "2026-11-21T12:00:00.123456789Z" */
#define FORM_TIME_MAX 48
void form_time_iso(const struct export_trace *, uint64_t ns, char buf[FORM_TIME_MAX]);
bool form_is_return(const struct export_class *);

#endif
