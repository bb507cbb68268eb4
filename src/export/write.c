/* SPDX-License-Identifier: MIT */
/* The folder, and what events look like in packets (packet.c). */
#include "export/write_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the folder ---- */

/* To the metadata's end; of a class, which is there then. */
static int append(struct export_writer *w, struct writer_class *of, const char *text, size_t bytes)
{
	off_t end = lseek(w->meta_fd, 0, SEEK_END);
	ssize_t n = write(w->meta_fd, text, bytes);
	if (n != (ssize_t)bytes) {
		int rc = n < 0 ? -errno : -ENOSPC;
		return ftruncate(w->meta_fd, end) ? -errno : rc;
	}
	w->bytes += bytes;
	if (of) {
		of->meta_off = (uint64_t)end;
		of->meta_bytes = (uint32_t)bytes;
	}
	return 0;
}

/* What @put writes of @what goes there. */
typedef void put_fn(FILE *, const struct export_writer *, const void *what);
static int meta_append(struct export_writer *w, struct writer_class *of, put_fn *put, const void *what, struct err *reterr)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *fp = open_memstream(&text, &bytes);
	if (fp)
		put(fp, w, what);
	int rc = !fp || fclose(fp) ? -ENOMEM : append(w, of, text, bytes);
	free(text);
	return rc ? err_setf(reterr, rc, "cannot write the trace's metadata: %s", strerror(-rc)) : 0;
}

static void put_head(FILE *fp, const struct export_writer *w, const void *opts) { ctf_meta_head(fp, w->uuid, opts); }

static void put_class(FILE *fp, const struct export_writer *w, const void *class)
{
	ctf_meta_class(fp, class, w->class_cnt);
}

struct sampled {
	const struct export_sampled *v;
	uint32_t cnt;
};
static void put_sampled(FILE *fp, const struct export_writer *w, const void *what)
{
	const struct sampled *s = what;
	(void)w;
	ctf_meta_sampled(fp, s->v, s->cnt);
}

int export_writer_sampled(struct export_writer *w, const struct export_sampled *v, uint32_t cnt, struct err *reterr)
{
	return meta_append(w, NULL, put_sampled, &(struct sampled){ v, cnt }, reterr);
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
	w->meta_fd = openat(w->dir_fd, "metadata", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
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
	rc = rc ? rc : meta_append(w, NULL, put_head, o, reterr);
	if (!rc && !(w->notes = notes_create(o->dir)))
		rc = err_setf(reterr, -errno, "cannot write to the folder %s: %s", o->dir, strerror(errno));
	if (rc) {
		export_writer_close(w);
		return rc;
	}
	*ret = w;
	return 0;
}

struct writer_class *writer_class_room(struct export_writer *w)
{
	if (w->class_cnt == w->class_cap) {
		uint32_t cap = w->class_cap ? w->class_cap * 2 : 16;
		struct writer_class *v = realloc(w->classes, cap * sizeof(*v));
		if (!v)
			return NULL;
		w->classes = v;
		w->class_cap = cap;
	}
	return &w->classes[w->class_cnt];
}

int export_writer_class(struct export_writer *w, const struct export_class *c, uint32_t *ret_id, struct err *reterr)
{
	if (w->class_cnt >= CTF_CLASS_MAX)
		return err_setf(reterr, -E2BIG, "a trace has at most %u kinds of events; record fewer probes", CTF_CLASS_MAX);
	struct writer_class *v = writer_class_room(w);
	if (!v)
		return err_setf(reterr, -ENOMEM, "out of memory");
	*v = (struct writer_class){ .cnt = c->field_cnt };
	v->types = calloc(c->field_cnt + 1ul, sizeof(*v->types));
	if (!v->types)
		return err_setf(reterr, -ENOMEM, "out of memory");
	v->is_flat = true;
	for (uint32_t i = 0; i < c->field_cnt; i++) {
		v->types[i] = c->fields[i].type;
		v->bytes += ctf_type_bytes[v->types[i]];
		v->is_flat &= v->types[i] != EXPORT_STR && v->types[i] != EXPORT_STACK;
	}
	int rc = meta_append(w, v, put_class, c, reterr);
	if (rc) {
		free(v->types);
		return rc;
	}
	*ret_id = w->class_cnt++;
	return 0;
}

char *writer_class_text(struct export_writer *w, const struct writer_class *c)
{
	char *text = calloc(1, c->meta_bytes + 1ul);
	if (text && !host_read_at(w->meta_fd, text, c->meta_bytes, c->meta_off))
		return text;
	free(text);
	return NULL;
}

int writer_describe(struct export_writer *w, struct writer_class *c, const char *text)
{
	return append(w, c, text, strlen(text));
}

void writer_class_deinit(struct writer_class *c)
{
	free(c->types);
	free(c->runs);
	free(c->offs);
	free(c->wide);
}

/* The same text, but for the number of the stream class. */
int writer_class_in_one(struct export_writer *w, struct writer_class *c)
{
	if (c->in_one)
		return 0;
	char *text = writer_class_text(w, c), *at = text ? strstr(text, CTF_META_STREAM) : NULL;
	int rc = -EIO;
	if (at) {
		at[strlen(CTF_META_STREAM)] = '0' + CTF_ONE;
		rc = append(w, NULL, text, c->meta_bytes);
	}
	free(text);
	c->in_one = !rc;
	return rc;
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

/* Of fields without a length of their own. */
static int build(struct export_writer *w, const struct export_event *e)
{
	const struct writer_class *c = &w->classes[e->class_id];
	bool ok = true;
	w->buf_used = 0;
	for (uint32_t i = 0; ok && i < c->cnt; i++)
		ok = put_value(w, e->pid, c->types[i], &e->vals[i]);
	return ok ? 0 : -ENOMEM;
}

static uint8_t *put_flat(uint8_t *at, enum export_type t, const struct export_value *v)
{
	float f;
	switch (ctf_type_bytes[t]) {
	case 1: memcpy(at, &v->i, 1); return at + 1;
	case 2: memcpy(at, &v->i, 2); return at + 2;
	case 8: memcpy(at, &v->i, 8); return at + 8;
	default:
		f = (float)v->d;
		memcpy(at, t == EXPORT_F32 ? (void *)&f : (void *)&v->i, 4);
		return at + 4;
	}
}

static int store(struct export_writer *w, const struct export_event *e)
{
	struct writer_class *c = &w->classes[e->class_id];
	struct stream_who who;
	struct stream *s;
	uint8_t *at, *end;
	stream_who(&who, e->pid, e->tid, e->comm);
	int rc = stream_of(w, e->cpu, &who, 1, &s);
	rc = rc || s->kind == CTF_MANY ? rc : writer_class_in_one(w, c);
	if (rc)
		return rc;
	w->last = s;
	/* A thread's probe that a signal's probe interrupted is older than what it stands behind. */
	uint64_t ns = e->ns > s->many->last_ns ? e->ns : s->many->last_ns;
	rc = stream_room(w, s, STREAM_HEAD_MAX + (c->is_flat ? c->bytes : w->buf_used), ns, &at, &end);
	if (rc)
		return rc;
	at = stream_put_head(at, e->class_id, ns, s->ns, s->kind == CTF_ONE ? NULL : &who);
	for (uint32_t i = 0; c->is_flat && i < c->cnt; i++)
		at = put_flat(at, c->types[i], &e->vals[i]);
	if (!c->is_flat) {
		memcpy(at, w->buf, w->buf_used);
		at += w->buf_used;
	}
	stream_put(w, s, at, 1, ns);
	return 0;
}

/* What waits may never be. */
static bool is_written(const struct export_writer *w)
{
	uint64_t waits = 0;
	for (uint32_t i = 0; i < w->stream_cnt; i++)
		waits += w->streams[i]->wait_cnt;
	return w->events > waits;
}

int writer_cannot(const struct export_writer *w, int rc, struct err *reterr)
{
	return err_setf(reterr, rc, "cannot write to the trace: %s; %s", strerror(-rc),
			is_written(w) ? "what was written until now can be read" : "no event was written until now");
}

int export_writer_event(struct export_writer *w, const struct export_event *e, struct err *reterr)
{
	if (e->class_id >= w->class_cnt)
		return err_setf(reterr, -EINVAL, "there is no such class of events");
	int rc = w->classes[e->class_id].is_flat ? 0 : build(w, e);
	rc = rc ? rc : store(w, e);
	return rc ? writer_cannot(w, rc, reterr) : 0;
}

int export_writer_flush(struct export_writer *w, struct err *reterr)
{
	int rc = 0;
	for (uint32_t i = 0; i < w->stream_cnt; i++) {
		int r = stream_flush(w, w->streams[i]);
		rc = rc ? rc : r;
	}
	return rc ? writer_cannot(w, rc, reterr) : 0;
}

int export_writer_ready(struct export_writer *w, struct err *reterr)
{
	int fd = openat(w->dir_fd, "dyntrace/ready", O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return err_setf(reterr, -errno, "cannot write to the trace: %s", strerror(errno));
	close(fd);
	return 0;
}

/* Whose packet says it at once; where the disk is full, the last one may have none. */
static struct stream *who_tells(struct export_writer *w)
{
	for (uint32_t i = 0; i < w->stream_cnt && !w->last->pkt; i++)
		if (w->streams[i]->pkt)
			return w->streams[i];
	return w->last;
}

void export_writer_lost(struct export_writer *w, uint64_t total)
{
	if (total <= w->lost || !w->last)
		return;
	struct stream *s = who_tells(w);
	s->discarded += total - w->lost;
	w->lost = total;
	if (s->pkt)
		HEAD_STORE(s, discarded, s->discarded);
}

uint64_t export_writer_events(const struct export_writer *w) { return w->events; }
uint64_t export_writer_bytes(const struct export_writer *w) { return w->bytes; }

int export_writer_modules(struct export_writer *w, uint32_t pid, struct obj_proc *p, struct err *reterr)
{
	return notes_modules(w->notes, pid, p, reterr);
}

int export_writer_frames(struct export_writer *w, struct err *reterr) { return notes_frames(w->notes, reterr); }

static void stream_destroy(struct stream *s)
{
	free(s->wait);
	free(s);
}

void export_writer_close(struct export_writer *w)
{
	if (!w)
		return;
	for (uint32_t i = 0; i < w->stream_cnt; i++) {
		stream_flush(w, w->streams[i]);
		packet_trim(w, w->streams[i]);
		packet_end(w->streams[i]);
		if (w->streams[i]->fd >= 0)
			close(w->streams[i]->fd);
	}
	for (uint32_t i = 0; i < w->class_cnt; i++)
		writer_class_deinit(&w->classes[i]);
	if (w->dir_fd >= 0)
		unlinkat(w->dir_fd, NEW_FILE, 0);
	int fds[] = { w->meta_fd, w->lock_fd, w->dir_fd };
	for (size_t i = 0; i < ARRAY_CNT(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	notes_destroy(w->notes);
	free(w->dir);
	for (uint32_t i = 0; i < w->stream_cnt; i++)
		stream_destroy(w->streams[i]);
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
