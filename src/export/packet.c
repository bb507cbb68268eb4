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
/* A thread that has a CPU for itself: so many events in a row; packets, from the first to the following ones. */
#define ONE_ROW 4096u
#define ONE_BYTES (64u << 10)
#define ONE_BYTES_MAX (1u << 20)

static void packet_name(const struct export_writer *w, const struct stream *s, uint64_t seq, char buf[64])
{
	if (w->ring_bytes)
		snprintf(buf, 64, "cpu%u_%llu", s->cpu, (unsigned long long)seq);
	else
		snprintf(buf, 64, "cpu%u%s", s->cpu, s->kind == CTF_ONE ? "t" : "");
}

static void packet_unmap(struct ctf_packet *pkt)
{
	if (pkt)
		munmap(pkt, HEAD_BYTES);
}

void packet_end(struct stream *s)
{
	packet_unmap(s->pkt);
	s->pkt = NULL;
}

/* What cannot be written is given up.  Then no reader knows the time of the last event: the next one says it in full. */
int stream_flush(struct export_writer *w, struct stream *s)
{
	uint64_t bytes = s->used - s->written;
	if (!s->pkt || !bytes)
		return 0;
	int rc = host_write_at(s->fd, s->wait, bytes, s->off + s->written);
	if (rc) {
		s->used = s->written;
		s->ns = 0;
		w->events -= s->wait_cnt;
	} else {
		s->written = s->used;
		HEAD_STORE(s, ts_end, s->ns);
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
			open |= w->streams[n]->pkt && w->streams[n]->cpu == k.cpu && w->streams[n]->seq == k.seq + 1;
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
	uint64_t who_bytes = s->kind == CTF_ONE ? sizeof(struct ctf_who) + s->who.comm_bytes : 0;
	struct ctf_packet head = {
		.magic = CTF_MAGIC, .stream_id = s->kind, .stream_instance_id = s->cpu, .ts_begin = ns, .ts_end = ns,
		.content_bits = (sizeof(head) + who_bytes) * 8, .packet_bits = s->bytes * 8, .seq = s->seq,
		.discarded = s->discarded, .cpu = s->cpu,
	};
	memcpy(head.uuid, w->uuid, sizeof(head.uuid));
	if (who_bytes) {
		struct ctf_who *who = (struct ctf_who *)(s->pkt + 1);
		who->pid = s->who.pid;
		who->tid = s->who.tid;
		memcpy(who->comm, s->who.comm, s->who.comm_bytes);
	}
	memcpy(s->pkt, &head, sizeof(head));
	s->used = s->written = sizeof(head) + who_bytes;
	s->ns = ns;
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
	uint64_t bytes = align_up(need + sizeof(struct ctf_packet) + STREAM_HEAD_MAX, 4096);
	bool fresh = s->fd < 0 || w->ring_bytes;
	char name[64];
	bytes = bytes < s->least_bytes ? s->least_bytes : bytes;
	int rc = stream_flush(w, s);
	if (rc)
		return rc;
	if (w->ring_bytes)
		packet_end(s);
	/* The last one stays until there is another: it says what is lost where there will be none. */
	struct ctf_packet *last = s->pkt;
	uint64_t off = s->off;
	s->off += last ? s->bytes : 0;
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
		packet_unmap(last);
		s->seq++;
		s->least_bytes = s->kind == CTF_ONE && bytes < ONE_BYTES_MAX ? 2 * bytes : s->least_bytes;
		return 0;
	}
	s->off = off;
	if (last)
		return rc;
	packet_end(s);
	if (fresh && s->fd >= 0) { /* it has no name of its own */
		close(s->fd);
		s->fd = -1;
	}
	return rc;
}

static uint64_t less(uint64_t a, uint64_t b) { return a < b ? a : b; }

int stream_room(struct export_writer *w, struct stream *s, uint64_t bytes, uint64_t ns, uint8_t **ret, uint8_t **ret_end)
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
	*ret_end = s->wait + less(s->wait_cap, s->bytes - s->written);
	return 0;
}

void stream_put(struct export_writer *w, struct stream *s, const uint8_t *end, uint32_t cnt, uint64_t ns)
{
	if (!cnt)
		return;
	s->used = s->written + (uint64_t)(end - s->wait);
	s->wait_cnt += cnt;
	s->ns = s->many->last_ns = ns;
	w->events += cnt;
}

/* ---- which stream ---- */

void stream_who(struct stream_who *ret, uint32_t pid, uint32_t tid, const char *comm)
{
	*ret = (struct stream_who){ .pid = pid, .tid = tid };
	ret->comm_bytes = ctf_comm(ret->comm, comm);
}

static bool same_who(const struct stream_who *a, const struct stream_who *b)
{
	return a->tid == b->tid && a->pid == b->pid && a->comm[0] == b->comm[0] && a->comm[1] == b->comm[1] &&
	       a->comm_bytes && b->comm_bytes;
}

static struct stream *stream_new(struct export_writer *w, uint32_t cpu, enum ctf_stream kind)
{
	struct stream **v = realloc(w->streams, (w->stream_cnt + 1ul) * sizeof(*v));
	if (v)
		w->streams = v;
	struct stream *s = v ? calloc(1, sizeof(*s)) : NULL;
	if (!s)
		return NULL;
	*s = (struct stream){ .cpu = cpu, .kind = kind, .many = s, .fd = -1,
			      .least_bytes = kind == CTF_ONE ? ONE_BYTES : w->packet_bytes };
	return v[w->stream_cnt++] = s;
}

static struct stream *stream_many(struct export_writer *w, uint32_t cpu)
{
	if (w->last && w->last->cpu == cpu)
		return w->last->many;
	for (uint32_t i = 0; i < w->stream_cnt; i++)
		if (w->streams[i]->cpu == cpu)
			return w->streams[i]->many;
	return stream_new(w, cpu, CTF_MANY);
}

/* The packet ends behind its last event; the next one has another's. */
static int packet_cut(struct export_writer *w, struct stream *s)
{
	int rc = stream_flush(w, s);
	if (rc || !s->pkt)
		return rc;
	uint64_t bytes = align_up(s->used, 4096);
	w->bytes -= s->bytes - bytes;
	HEAD_STORE(s, packet_bits, bytes * 8);
	s->off += bytes;
	packet_end(s);
	return ftruncate(s->fd, (off_t)s->off) ? -errno : 0;
}

/* A thread that has the CPU for itself gets packets of its own there: its events need not say whose they are.  Those of
 * others that come in between are in the stream of all. */
static int stream_one(struct export_writer *w, struct stream *many, const struct stream_who *who)
{
	struct stream *s = many->one;
	if (!s) {
		s = many->one = stream_new(w, many->cpu, CTF_ONE);
		if (!s)
			return -ENOMEM;
		s->many = many;
	}
	int rc = packet_cut(w, s);
	if (rc) /* the packet of who it was may go on */
		return rc;
	s->who = *who;
	s->least_bytes = ONE_BYTES;
	return 0;
}

int stream_of(struct export_writer *w, uint32_t cpu, const struct stream_who *who, uint32_t cnt, struct stream **ret)
{
	struct stream *many = stream_many(w, cpu);
	if (!many)
		return -ENOMEM;
	*ret = many;
	if (w->ring_bytes)
		return 0;
	bool same = same_who(&many->who, who), is_one = many->one && same_who(&many->one->who, who);
	many->row = same ? many->row + cnt : is_one ? 0 : cnt;
	if (!same && !is_one)
		many->who = *who;
	if (!is_one && many->row <= ONE_ROW)
		return 0;
	int rc = is_one ? 0 : stream_one(w, many, who);
	*ret = many->one;
	return rc;
}
