/* SPDX-License-Identifier: MIT */
/*
 * Packets of CTF in mapped files.
 *
 *   cpu0:  [packet, full][packet, full][packet: header, events, room]
 *                                        content_bits ^     packet_bits ^
 *
 * An event is copied behind the last one; then the header's ts_end, then its
 * content_bits say so.  Whoever looks, and whenever this process is killed:
 * each packet is whole, with the last event that was stored.  Room is taken
 * from the disk before a packet begins, so that a store never meets a full one.
 *
 * Where only the last events are kept, each packet is a file of its own, and the
 * oldest file goes when all together are too large.
 */
#include "export/export_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

struct stream {
	uint32_t cpu;
	int fd;              /* -1: no packet yet */
	struct ctf_packet *pkt; /* mapped; NULL: none */
	uint64_t bytes;      /* of the packet */
	uint64_t off;        /* of it in the file */
	uint64_t used;
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

/* ---- the folder ---- */

static int append(int fd, const char *text, size_t bytes)
{
	off_t end = lseek(fd, 0, SEEK_END);
	ssize_t n = write(fd, text, bytes);
	if (n == (ssize_t)bytes)
		return 0;
	int rc = n < 0 ? -errno : -ENOSPC;
	if (ftruncate(fd, end))
		return -errno;
	return rc;
}

static int meta_append(struct export_writer *w, const struct export_class *c, uint32_t id,
		       const struct export_writer_opts *head)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *fp = open_memstream(&text, &bytes);
	if (!fp)
		return -ENOMEM;
	if (head)
		ctf_meta_head(fp, w->uuid, head);
	else
		ctf_meta_class(fp, c, id);
	int rc = fclose(fp) ? -ENOMEM : append(w->meta_fd, text, bytes);
	w->bytes += bytes;
	free(text);
	return rc;
}

static bool is_empty_dir(int fd)
{
	return faccessat(fd, "metadata", F_OK, 0) && faccessat(fd, "dyntrace", F_OK, 0);
}

static int is_taken(const char *dir, struct err *reterr)
{
	return err_setf(reterr, -EEXIST, "there is a trace in %s already; remove it or choose another folder with -o", dir);
}

/* Where a folder that is not there would be made. */
static int parent_may(const char *dir, struct err *reterr)
{
	char *copy = strdup(dir);
	if (!copy)
		return err_setf(reterr, -ENOMEM, "out of memory");
	int r = access(dirname(copy), W_OK | X_OK) ? -errno : 0;
	free(copy);
	return r ? err_setf(reterr, r, "cannot make the folder %s for the trace: %s", dir, strerror(-r)) : 0;
}

int export_writer_may(const char *dir, struct err *reterr)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return parent_may(dir, reterr);
	bool taken = fd >= 0 && !is_empty_dir(fd);
	if (fd >= 0)
		close(fd);
	return taken ? is_taken(dir, reterr) : 0;
}

static int make_dir(struct export_writer *w, const struct export_writer_opts *o, struct err *reterr)
{
	w->made_dir = !mkdir(o->dir, 0777);
	if (!w->made_dir && errno != EEXIST)
		return err_setf(reterr, -errno, "cannot make the folder %s for the trace: %s", o->dir, strerror(errno));
	w->dir_fd = open(o->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->dir_fd < 0)
		return err_setf(reterr, -errno, "cannot open the folder %s: %s", o->dir, strerror(errno));
	if (!is_empty_dir(w->dir_fd))
		return is_taken(o->dir, reterr);
	if (mkdirat(w->dir_fd, "dyntrace", 0777) || mkdirat(w->dir_fd, "dyntrace/symbols", 0777))
		return err_setf(reterr, -errno, "cannot write to the folder %s: %s", o->dir, strerror(errno));
	w->lock_fd = openat(w->dir_fd, "dyntrace/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (w->lock_fd >= 0)
		flock(w->lock_fd, LOCK_EX);
	w->meta_fd = openat(w->dir_fd, "metadata", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (w->meta_fd < 0 || w->lock_fd < 0)
		return err_setf(reterr, -errno, "cannot write to the folder %s: %s", o->dir, strerror(errno));
	return 0;
}

static uint64_t ring_packet_bytes(uint64_t ring)
{
	uint64_t n = align_down(ring / 64, 4096);
	return n < 16384 ? 16384 : n > CTF_PACKET_BYTES ? CTF_PACKET_BYTES : n;
}

int export_writer_create(const struct export_writer_opts *o, struct export_writer **ret, struct err *reterr)
{
	struct export_writer *w = calloc(1, sizeof(*w));
	if (!w)
		return err_setf(reterr, -ENOMEM, "out of memory");
	w->dir_fd = w->lock_fd = w->meta_fd = -1;
	w->ring_bytes = o->ring_bytes;
	w->packet_bytes = o->ring_bytes ? ring_packet_bytes(o->ring_bytes) : CTF_PACKET_BYTES;
	if (getrandom(w->uuid, sizeof(w->uuid), 0) < 0)
		memcpy(w->uuid, &o->real_offset_ns, 8);
	w->uuid[6] = (w->uuid[6] & 0x0f) | 0x40;
	w->uuid[8] = (w->uuid[8] & 0x3f) | 0x80;
	w->dir = strdup(o->dir);
	int rc = w->dir ? make_dir(w, o, reterr) : err_setf(reterr, -ENOMEM, "out of memory");
	if (!rc && (rc = meta_append(w, NULL, 0, o)))
		err_setf(reterr, rc, "cannot write the trace's metadata: %s", strerror(-rc));
	if (!rc && !(w->notes = notes_create(o->dir)))
		rc = err_setf(reterr, -errno, "cannot write to the folder %s: %s", o->dir, strerror(errno));
	if (rc) {
		export_writer_close(w);
		return rc;
	}
	*ret = w;
	return 0;
}

int export_writer_class(struct export_writer *w, const struct export_class *c, uint32_t *ret_id, struct err *reterr)
{
	struct writer_class *v = realloc(w->classes, (w->class_cnt + 1ul) * sizeof(*v));
	if (!v)
		return err_setf(reterr, -ENOMEM, "out of memory");
	w->classes = v;
	v += w->class_cnt;
	*v = (struct writer_class){ .cnt = c->field_cnt };
	v->types = calloc(c->field_cnt + 1ul, sizeof(*v->types));
	if (!v->types)
		return err_setf(reterr, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < c->field_cnt; i++)
		v->types[i] = c->fields[i].type;
	int rc = meta_append(w, c, w->class_cnt, NULL);
	if (rc) {
		free(v->types);
		return err_setf(reterr, rc, "cannot write the trace's metadata: %s", strerror(-rc));
	}
	*ret_id = w->class_cnt++;
	return 0;
}

/* ---- packets ---- */

static void packet_name(const struct export_writer *w, const struct stream *s, uint64_t seq, char buf[64])
{
	if (w->ring_bytes)
		snprintf(buf, 64, "cpu%u_%llu", s->cpu, (unsigned long long)seq);
	else
		snprintf(buf, 64, "cpu%u", s->cpu);
}

/* In the order of time for who reads meanwhile. The numbers are aligned, although the struct is packed. */
#define HEAD_STORE(s, field, v) \
	STORE_RELEASE((uint64_t *)((uint8_t *)(s)->pkt + offsetof(struct ctf_packet, field)), (uint64_t)(v))
_Static_assert(offsetof(struct ctf_packet, ts_end) % 8 == 0 && offsetof(struct ctf_packet, content_bits) % 8 == 0 &&
	       offsetof(struct ctf_packet, packet_bits) % 8 == 0 && offsetof(struct ctf_packet, discarded) % 8 == 0, "");

static void packet_end(struct stream *s)
{
	if (s->pkt)
		munmap(s->pkt, s->bytes);
	s->pkt = NULL;
}

/* The room behind the last event of the last packet goes back. */
static void packet_trim(struct export_writer *w, struct stream *s)
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
#define NEW_FILE "dyntrace/new"
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
	s->used = sizeof(head);
}

static int packet_map(struct export_writer *w, struct stream *s, uint64_t bytes, uint64_t ns)
{
	int rc = take_room(s->fd, s->off, bytes);
	if (rc) {
		if (ftruncate(s->fd, (off_t)s->off))
			return -errno;
		return rc;
	}
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, (off_t)s->off);
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
	if (s->pkt)
		s->off += s->bytes;
	packet_end(s);
	if (w->ring_bytes)
		ring_make_room(w, bytes);
	int rc = fresh ? file_new(w, s) : 0;
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

static struct stream *stream_of(struct export_writer *w, uint32_t cpu)
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

/* ---- events ---- */

static void *room(struct export_writer *w, uint64_t bytes)
{
	if (w->buf_used + bytes > w->buf_cap) {
		uint64_t cap = (w->buf_used + bytes) * 2;
		uint8_t *more = realloc(w->buf, cap);
		if (!more)
			return NULL;
		w->buf = more;
		w->buf_cap = cap;
	}
	w->buf_used += bytes;
	return w->buf + w->buf_used - bytes;
}

static bool put_bytes(struct export_writer *w, const void *data, uint64_t bytes)
{
	void *p = room(w, bytes);
	if (p && bytes)
		memcpy(p, data, bytes);
	return p != NULL;
}

static bool put_stack(struct export_writer *w, uint32_t pid, const struct export_value *v)
{
	uint32_t cnt = 0;
	uint64_t pc;
	for (; cnt < v->bytes / 8 && cnt < CTF_STACK_MAX; cnt++) {
		memcpy(&pc, v->data + 8ul * cnt, 8);
		if (!pc)
			break;
	}
	notes_stack(w->notes, pid, v->data, cnt * 8);
	return put_bytes(w, &cnt, 4) && put_bytes(w, v->data, cnt * 8ul);
}

static bool put_value(struct export_writer *w, uint32_t pid, enum export_type t, const struct export_value *v)
{
	float f;
	switch (t) {
	case EXPORT_STR:
		return put_bytes(w, v->data, strnlen((const char *)v->data, v->bytes)) && put_bytes(w, "", 1);
	case EXPORT_STACK:
		return put_stack(w, pid, v);
	case EXPORT_F32:
		f = (float)v->d;
		return put_bytes(w, &f, 4);
	default: /* little-endian: the low bytes come first */
		return put_bytes(w, &v->i, ctf_type_bytes[t]);
	}
}

static int build(struct export_writer *w, const struct export_event *e, uint64_t ns)
{
	const struct writer_class *c = &w->classes[e->class_id];
	struct ctf_event head = { .id = e->class_id, .ns = ns, .pid = e->pid, .tid = e->tid };
	w->buf_used = 0;
	bool ok = put_bytes(w, &head, sizeof(head)) && put_bytes(w, e->comm, strlen(e->comm) + 1);
	for (uint32_t i = 0; ok && i < c->cnt; i++)
		ok = put_value(w, e->pid, c->types[i], &e->vals[i]);
	return ok ? 0 : -ENOMEM;
}

static int store(struct export_writer *w, struct stream *s, uint64_t ns)
{
	int rc = 0;
	if (!s->pkt || s->bytes - s->used < w->buf_used)
		rc = packet_begin(w, s, w->buf_used, ns);
	if (rc)
		return rc;
	memcpy((uint8_t *)s->pkt + s->used, w->buf, w->buf_used);
	s->used += w->buf_used;
	s->last_ns = ns;
	HEAD_STORE(s, ts_end, ns);
	HEAD_STORE(s, content_bits, s->used * 8);
	return 0;
}

int export_writer_event(struct export_writer *w, const struct export_event *e, struct err *reterr)
{
	struct stream *s = stream_of(w, e->cpu);
	if (!s || e->class_id >= w->class_cnt)
		return err_setf(reterr, -ENOMEM, "out of memory");
	/* A thread's probe that a signal's probe interrupted is older than what it stands behind. */
	uint64_t ns = e->ns > s->last_ns ? e->ns : s->last_ns;
	int rc = build(w, e, ns);
	rc = rc ? rc : store(w, s, ns);
	w->last = s;
	if (rc)
		return err_setf(reterr, rc, "cannot write to the trace: %s; what was written until now can be read", strerror(-rc));
	w->events++;
	return 0;
}

int export_writer_ready(struct export_writer *w, struct err *reterr)
{
	int fd = openat(w->dir_fd, "dyntrace/ready", O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return err_setf(reterr, -errno, "cannot write to the trace: %s", strerror(errno));
	close(fd);
	return 0;
}

void export_writer_lost(struct export_writer *w, uint64_t total)
{
	if (total <= w->lost || !w->last)
		return;
	w->last->discarded += total - w->lost;
	w->lost = total;
	if (w->last->pkt)
		HEAD_STORE(w->last, discarded, w->last->discarded);
}

uint64_t export_writer_events(const struct export_writer *w) { return w->events; }
uint64_t export_writer_bytes(const struct export_writer *w) { return w->bytes; }

int export_writer_modules(struct export_writer *w, uint32_t pid, struct obj_proc *p, struct err *reterr)
{
	return notes_modules(w->notes, pid, p, reterr);
}

int export_writer_frames(struct export_writer *w, struct err *reterr) { return notes_frames(w->notes, reterr); }

void export_writer_close(struct export_writer *w)
{
	if (!w)
		return;
	for (uint32_t i = 0; i < w->stream_cnt; i++) {
		packet_trim(w, &w->streams[i]);
		packet_end(&w->streams[i]);
		if (w->streams[i].fd >= 0)
			close(w->streams[i].fd);
	}
	for (uint32_t i = 0; i < w->class_cnt; i++)
		free(w->classes[i].types);
	if (w->dir_fd >= 0)
		unlinkat(w->dir_fd, NEW_FILE, 0);
	int fds[] = { w->meta_fd, w->lock_fd, w->dir_fd };
	for (size_t i = 0; i < ARRAY_CNT(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	notes_destroy(w->notes);
	free(w->dir);
	free(w->streams);
	free(w->kept);
	free(w->classes);
	free(w->buf);
	free(w);
}

static void remove_files(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *e; d && (e = readdir(d));)
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	unlinkat(dir_fd, name, AT_REMOVEDIR);
}

void export_writer_discard(struct export_writer *w)
{
	if (!w || w->events) {
		export_writer_close(w);
		return;
	}
	remove_files(w->dir_fd, "dyntrace/symbols");
	remove_files(w->dir_fd, "dyntrace");
	unlinkat(w->dir_fd, "metadata", 0);
	if (w->made_dir)
		rmdir(w->dir);
	export_writer_close(w);
}
