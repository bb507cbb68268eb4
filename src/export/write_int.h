/* SPDX-License-Identifier: MIT */
#ifndef EXPORT_WRITE_INT_H
#define EXPORT_WRITE_INT_H

#include "export/export_int.h"

#define NEW_FILE "dyntrace/new" /* in the folder: a file that has no packet yet */

struct stream {
	uint32_t cpu;
	int fd;              /* -1: no packet yet */
	struct ctf_packet *pkt; /* its header, mapped; NULL: none */
	uint64_t bytes;      /* of the packet */
	uint64_t off;        /* of it in the file */
	uint64_t used;       /* with what waits */
	uint64_t written;
	uint8_t *wait;       /* used - written bytes */
	uint64_t wait_cap, wait_cnt;
	uint64_t seq, last_ns, discarded;
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
	struct ctf_run { /* of bytes where the fields are, in their order; NULL: nobody said where */
		uint32_t off, bytes;
	} *runs;
	uint32_t run_cnt;
};
struct export_writer {
	char *dir;
	bool made_dir;
	int dir_fd, lock_fd, meta_fd;
	uint8_t uuid[16];
	uint64_t ring_bytes, packet_bytes;
	struct stream *streams;
	uint32_t stream_cnt;
	struct kept *kept;
	uint32_t kept_cnt;
	struct writer_class *classes;
	uint32_t class_cnt;
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
int writer_cannot(int rc, struct err *reterr);

/* flat.c: as the kernel has it, at most 15 characters, with the NUL and NULs behind; returns how many bytes that is with
 * the first NUL. */
#define CTF_COMM_BYTES 16u
uint32_t ctf_comm(uint64_t ret[2], const char *comm);

/* packet.c */
#define STREAM_SPARE 16u /* behind the room that it gives, so many bytes may be written and count for nothing */
struct stream *stream_of(struct export_writer *, uint32_t cpu); /* NULL: no memory */
/* Room for another event, which begins a packet where that is full; what waits is written where it is too much. */
int stream_room(struct export_writer *, struct stream *, uint64_t bytes, uint64_t ns, uint8_t **ret);
int stream_flush(struct export_writer *, struct stream *); /* what cannot be written is given up */
void packet_end(struct stream *);
void packet_trim(struct export_writer *, struct stream *);

#endif
