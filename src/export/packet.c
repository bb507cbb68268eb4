/* SPDX-License-Identifier: MIT */
/*
 * Packets of CTF in files.
 *
 *   cpu0:  [packet, full][packet, full][packet: header, events, room]   events that wait
 *                                        content_bits ^     packet_bits ^
 *
 * Events wait until there are enough of them, or until export_writer_flush():
 * writing a page costs an eighth of a fault in a mapped file.  They are written
 * behind the last one; then the header, which is mapped, says so: ts_end, then
 * content_bits.  Whoever looks, and whenever this process is killed: each packet
 * is whole, with the last event that was written.  Room is taken from the disk
 * before a packet begins, so that a write never meets a full one.
 *
 * Where only the last events are kept, each packet is a file of its own, and the
 * oldest file goes when all together are too large.
 */
#include "export/write_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEAD_BYTES 4096u   /* that are mapped */
#define WAIT_BYTES 65536u

static void packet_name(const struct export_writer *w, const struct stream *s, uint64_t seq, char buf[64])
{
	if (w->ring_bytes)
		snprintf(buf, 64, "cpu%u_%llu", s->cpu, (unsigned long long)seq);
	else
		snprintf(buf, 64, "cpu%u", s->cpu);
}

void packet_end(struct stream *s)
{
	if (s->pkt)
		munmap(s->pkt, HEAD_BYTES);
	s->pkt = NULL;
}

/* What cannot be written is given up. */
int stream_flush(struct export_writer *w, struct stream *s)
{
	uint64_t bytes = s->used - s->written;
	if (!s->pkt || !bytes)
		return 0;
	int rc = host_write_at(s->fd, s->wait, bytes, s->off + s->written);
	if (rc) {
		s->used = s->written;
		w->events -= s->wait_cnt;
	} else {
		s->written = s->used;
		HEAD_STORE(s, ts_end, s->last_ns);
		HEAD_STORE(s, content_bits, s->used * 8);
	}
	s->wait_cnt = 0;
	return rc;
}

/* The room behind the last event of the last packet goes back. */
void packet_trim(struct export_writer *w, struct stream *s)
{
	if (!s->pkt)
		return;
	HEAD_STORE(s, packet_bits, s->used * 8);
	if (!ftruncate(s->fd, (off_t)(s->off + s->used)))
		w->bytes -= s->bytes - s->used;
}

static int take_room(int fd, uint64_t off, uint64_t bytes)
{
	static const uint8_t zeros[4096];
	int rc;
	do /* a signal ends it on tmpfs */
		rc = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)bytes) ? -errno : 0;
	while (rc == -EINTR);
	if (!rc)
		return ftruncate(fd, (off_t)(off + bytes)) ? -errno : 0;
	if (rc != -EOPNOTSUPP)
		return rc;
	for (uint64_t at = 0; at < bytes; at += sizeof(zeros)) {
		ssize_t n = pwrite(fd, zeros, sizeof(zeros), (off_t)(off + at));
		if (n != sizeof(zeros))
			return n < 0 ? -errno : -ENOSPC;
	}
	return 0;
}

/* Gives back files until a packet of @bytes more has room; those that are written to stay. */
static void ring_make_room(struct export_writer *w, uint64_t bytes)
{
	for (uint32_t i = 0; i < w->kept_cnt && w->bytes + bytes > w->ring_bytes;) {
		struct kept k = w->kept[i];
		bool open = false;
		char name[64];
		for (uint32_t n = 0; n < w->stream_cnt; n++)
			open |= w->streams[n].pkt && w->streams[n].cpu == k.cpu && w->streams[n].seq == k.seq + 1;
		if (open) {
			i++;
			continue;
		}
		packet_name(w, &(struct stream){ .cpu = k.cpu }, k.seq, name);
		unlinkat(w->dir_fd, name, 0);
		w->bytes -= k.bytes;
		memmove(&w->kept[i], &w->kept[i + 1], (--w->kept_cnt - i) * sizeof(k));
	}
}

static int ring_keep(struct export_writer *w, const struct stream *s)
{
	struct kept *v = realloc(w->kept, (w->kept_cnt + 1ul) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	w->kept = v;
	v[w->kept_cnt++] = (struct kept){ s->cpu, s->seq, s->bytes };
	return 0;
}

/* A file appears under its name with a packet in it. */
static int file_new(struct export_writer *w, struct stream *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = openat(w->dir_fd, NEW_FILE, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	s->off = 0;
	return s->fd < 0 ? -errno : 0;
}

static void packet_header(struct export_writer *w, struct stream *s, uint64_t ns)
{
	struct ctf_packet head = {
		.magic = CTF_MAGIC, .stream_instance_id = s->cpu, .ts_begin = ns, .ts_end = ns,
		.content_bits = sizeof(head) * 8, .packet_bits = s->bytes * 8, .seq = s->seq,
		.discarded = s->discarded, .cpu = s->cpu,
	};
	memcpy(head.uuid, w->uuid, sizeof(head.uuid));
	memcpy(s->pkt, &head, sizeof(head));
	s->used = s->written = sizeof(head);
}

static int packet_map(struct export_writer *w, struct stream *s, uint64_t bytes, uint64_t ns)
{
	int rc = take_room(s->fd, s->off, bytes);
	if (rc) {
		if (ftruncate(s->fd, (off_t)s->off))
			return -errno;
		return rc;
	}
	void *p = mmap(NULL, HEAD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, (off_t)s->off);
	if (p == MAP_FAILED) {
		rc = -errno;
		return ftruncate(s->fd, (off_t)s->off) ? -errno : rc;
	}
	s->pkt = p;
	s->bytes = bytes;
	packet_header(w, s, ns);
	w->bytes += bytes;
	return 0;
}

static int packet_begin(struct export_writer *w, struct stream *s, uint64_t need, uint64_t ns)
{
	uint64_t bytes = align_up(need + sizeof(struct ctf_packet), 4096);
	bool fresh = s->fd < 0 || w->ring_bytes;
	char name[64];
	bytes = bytes < w->packet_bytes ? w->packet_bytes : bytes;
	int rc = stream_flush(w, s);
	if (rc)
		return rc;
	if (s->pkt)
		s->off += s->bytes;
	packet_end(s);
	if (w->ring_bytes)
		ring_make_room(w, bytes);
	rc = fresh ? file_new(w, s) : 0;
	rc = rc ? rc : packet_map(w, s, bytes, ns);
	if (!rc && w->ring_bytes)
		rc = ring_keep(w, s);
	packet_name(w, s, s->seq, name);
	if (!rc && fresh && renameat(w->dir_fd, NEW_FILE, w->dir_fd, name))
		rc = -errno;
	if (!rc) {
		s->seq++;
		return 0;
	}
	packet_end(s);
	if (fresh && s->fd >= 0) { /* it has no name of its own */
		close(s->fd);
		s->fd = -1;
	}
	return rc;
}

int stream_room(struct export_writer *w, struct stream *s, uint64_t bytes, uint64_t ns, uint8_t **ret)
{
	int rc = s->pkt && s->bytes - s->used >= bytes ? 0 : packet_begin(w, s, bytes, ns);
	if (rc)
		return rc;
	uint64_t waiting = s->used - s->written;
	rc = waiting + bytes > WAIT_BYTES ? stream_flush(w, s) : 0;
	if (rc)
		return rc;
	waiting = s->used - s->written;
	if (waiting + bytes > s->wait_cap) {
		uint64_t cap = bytes > WAIT_BYTES ? bytes : WAIT_BYTES;
		uint8_t *more = realloc(s->wait, cap + STREAM_SPARE);
		if (!more)
			return -ENOMEM;
		s->wait = more;
		s->wait_cap = cap;
	}
	*ret = s->wait + waiting;
	return 0;
}

struct stream *stream_of(struct export_writer *w, uint32_t cpu)
{
	if (w->last && w->last->cpu == cpu)
		return w->last;
	for (uint32_t i = 0; i < w->stream_cnt; i++)
		if (w->streams[i].cpu == cpu)
			return &w->streams[i];
	struct stream *v = realloc(w->streams, (w->stream_cnt + 1ul) * sizeof(*v));
	if (!v)
		return NULL;
	w->streams = v;
	w->last = NULL;
	v[w->stream_cnt] = (struct stream){ .cpu = cpu, .fd = -1 };
	return &v[w->stream_cnt++];
}
