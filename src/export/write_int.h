/* SPDX-License-Identifier: MIT */
#ifndef EXPORT_WRITE_INT_H
#define EXPORT_WRITE_INT_H

#include "export/export_int.h"

#define NEW_FILE "dyntrace/new" /* in the folder: a file that has no packet yet */

struct stream_who {
	uint32_t pid, tid;
	uint64_t comm[2];    /* ctf_comm() */
	uint32_t comm_bytes; /* 0: nobody */
};
struct stream {
	uint32_t cpu;
	enum ctf_stream kind;
	struct stream *many, *one; /* of the same CPU; the second may be NULL */
	/* Of CTF_ONE, whose events its packet holds.  Of CTF_MANY, who had the last of this CPU but for that one, and how
	 * many in a row: one of that one's ends it. */
	struct stream_who who;
	uint64_t row;
	uint64_t least_bytes; /* of its next packet */
	int fd;              /* -1: no packet yet */
	struct ctf_packet *pkt; /* its header, mapped; NULL: none */
	uint64_t bytes;      /* of the packet */
	uint64_t off;        /* of it in the file */
	uint64_t used;       /* with what waits */
	uint64_t written;
	uint8_t *wait;       /* used - written bytes */
	uint64_t wait_cap, wait_cnt;
	uint64_t seq, discarded;
	uint64_t ns;         /* of its last event, or of its packet's begin */
	uint64_t last_ns;    /* of the CPU's last event; kept in CTF_MANY */
};
/* A packet that is a file, for its end. */
struct kept {
	uint32_t cpu;
	uint64_t seq, bytes;
};
struct writer_class {
	enum export_type *types;
	uint32_t cnt;
	uint32_t bytes; /* of its fields, where they are the same in all events; else 0 */
	bool is_flat;   /* they are */
	bool in_one;    /* the metadata has it for CTF_ONE, too */
	uint64_t meta_off; /* where they have it */
	uint32_t meta_bytes;
	struct ctf_run { /* of bytes where the fields are, in their order; NULL: nobody said where */
		uint32_t off, bytes;
	} *runs;
	uint32_t run_cnt;
	uint32_t *offs; /* of the fields; NULL as runs */
	uint32_t data_bytes; /* all fields are below */
	struct ctf_wide { /* those of 64 bits */
		uint32_t off;
		uint32_t bias; /* with it, what fits is below 1 << 32 */
	} *wide;
	uint32_t wide_cnt;
	uint32_t narrow; /* the class for those that fit in 32; 0: none yet */
	bool stays_wide; /* there is none, and will be none */
};
struct export_writer {
	char *dir;
	bool made_dir;
	int dir_fd, lock_fd, meta_fd;
	uint8_t uuid[16];
	uint64_t ring_bytes, packet_bytes;
	struct stream **streams;
	uint32_t stream_cnt;
	struct kept *kept;
	uint32_t kept_cnt;
	struct writer_class *classes;
	uint32_t class_cnt, class_cap;
	struct notes *notes;
	uint8_t *buf; /* of an event under construction */
	uint64_t buf_cap, buf_used;
	uint64_t events, bytes, lost;
	struct stream *last;
};

/* In the order of time for who reads meanwhile. The numbers are aligned, although the struct is packed. */
#define HEAD_STORE(s, field, v) \
	STORE_RELEASE((uint64_t *)((uint8_t *)(s)->pkt + offsetof(struct ctf_packet, field)), (uint64_t)(v))
_Static_assert(offsetof(struct ctf_packet, ts_end) % 8 == 0 && offsetof(struct ctf_packet, content_bits) % 8 == 0 &&
	       offsetof(struct ctf_packet, packet_bits) % 8 == 0 && offsetof(struct ctf_packet, discarded) % 8 == 0, "");

/* write.c */
int writer_cannot(const struct export_writer *, int rc, struct err *reterr);
int writer_class_in_one(struct export_writer *, struct writer_class *); /* unless it is */
/* Room for one more, which counts when class_cnt does; NULL: no memory.  Classes may move. */
struct writer_class *writer_class_room(struct export_writer *);
char *writer_class_text(struct export_writer *, const struct writer_class *); /* in the metadata; malloc'ed */
int writer_describe(struct export_writer *, struct writer_class *, const char *text);
void writer_class_deinit(struct writer_class *);

/* narrow.c */
/* Whether an event of the class, which is flat, can be one of its narrow class. */
static inline bool ctf_fits(const struct writer_class *c, const uint8_t *data, uint32_t bytes)
{
	uint64_t over = !c->wide_cnt, v;
	if (bytes < c->data_bytes)
		return false;
	for (uint32_t i = 0; i < c->wide_cnt; i++) {
		memcpy(&v, data + c->wide[i].off, 8);
		over |= (v + c->wide[i].bias) >> 32;
	}
	return !over;
}
void writer_class_narrow(struct export_writer *, uint32_t id); /* classes move; where it cannot be, wide ones do */
int writer_class_wide(struct writer_class *, const uint32_t *offs);

/* flat.c: as the kernel has it, at most 15 characters, with the NUL and NULs behind; returns how many bytes that is with
 * the first NUL. */
#define CTF_COMM_BYTES 16u
int writer_class_from(struct writer_class *, const uint32_t *offs);
uint32_t ctf_comm(uint64_t ret[2], const char *comm);

/* packet.c */
#define STREAM_SPARE 32u /* behind the room that it gives, so many bytes may be written and count for nothing */
void stream_who(struct stream_who *ret, uint32_t pid, uint32_t tid, const char *comm);
/* Where the next @cnt events of that thread on that CPU go. */
int stream_of(struct export_writer *, uint32_t cpu, const struct stream_who *, uint32_t cnt, struct stream **ret);
/* Room for another event, which begins a packet where that is full; what waits is written where it is too much.
 * What lies between *ret and *ret_end is free. */
int stream_room(struct export_writer *, struct stream *, uint64_t bytes, uint64_t ns, uint8_t **ret, uint8_t **ret_end);
/* Of an event, up to its fields. @who: NULL in a packet that says it. */
#define STREAM_HEAD_MAX (CTF_HEAD_MAX + sizeof(struct ctf_who) + CTF_COMM_BYTES)
static inline uint8_t *stream_put_head(uint8_t *at, uint32_t id, uint64_t ns, uint64_t since, const struct stream_who *who)
{
	at += ctf_head_put(at, id, ns, since);
	if (!who)
		return at;
	memcpy(at, &who->pid, 4);
	memcpy(at + 4, &who->tid, 4);
	memcpy(at + 8, who->comm, sizeof(who->comm)); /* what is too much of it is overwritten: STREAM_SPARE */
	return at + 8 + who->comm_bytes;
}
/* @cnt events have been put below @end. */
void stream_put(struct export_writer *, struct stream *, const uint8_t *end, uint32_t cnt, uint64_t ns);
int stream_flush(struct export_writer *, struct stream *); /* what cannot be written is given up */
void packet_end(struct stream *);
void packet_trim(struct export_writer *, struct stream *);

#endif
