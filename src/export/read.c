/* SPDX-License-Identifier: MIT */
/*
 * Packets back to events, all CPUs by time.  Nothing in the files is trusted:
 * a length is checked before it is used, and a packet that makes no sense ends
 * its file.
 */
#include "export/export_int.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PACKET_MAX (64u << 20)

/* A file of packets; of a ring, the files of a CPU follow one another. */
struct file {
	char *name;
	uint32_t stream;     /* the CPU and, in the lowest bit, enum ctf_stream */
	uint64_t seq;        /* of its first packet */
	bool done;
	uint64_t damaged;    /* bytes that are no events: in its packets, */
	uint64_t damaged_end; /* and behind them, for now */
	int fd;              /* -1: not opened */
	uint64_t off;        /* of the packet */
	struct ctf_packet head;
	uint8_t *data;       /* of the packet so far, read up to @have */
	uint64_t cap, have, at; /* bytes from the packet's start */
	uint64_t ns;         /* of the event before, or of the packet's begin */
	uint64_t who_at;     /* of CTF_ONE: struct ctf_who */
};
struct cursor { /* a stream */
	uint32_t stream;
	uint64_t lost;       /* of its events, up to where it was looked at */
	bool has;            /* the next event: */
	struct export_event ev;
	const struct export_class *cls;
	struct export_value *vals;
	uint32_t val_cap;
};
struct export_trace {
	char *dir;
	bool is_final; /* nobody writes to it any more */
	struct ctf_schema schema;
	struct symbols *symbols;
	struct file *files; /* by stream, then seq */
	uint32_t file_cnt;
	struct cursor *streams;
	uint32_t stream_cnt;
	uint64_t lost;
};

/* ---- files ---- */

static bool parse_file_name(const char *name, struct file *ret)
{
	char *end;
	if (strncmp(name, "cpu", 3) || !isdigit((unsigned char)name[3]))
		return false;
	ret->stream = (uint32_t)strtoul(name + 3, &end, 10) << 1;
	if (*end == 't') {
		ret->stream |= CTF_ONE;
		end++;
	}
	ret->seq = *end == '_' ? strtoull(end + 1, &end, 10) : 0;
	return !*end;
}

static bool is_known(const struct export_trace *t, const char *name)
{
	for (uint32_t i = 0; i < t->file_cnt; i++)
		if (!strcmp(t->files[i].name, name))
			return true;
	return false;
}

static struct cursor *cursor_of(struct export_trace *t, uint32_t stream)
{
	for (uint32_t i = 0; i < t->stream_cnt; i++)
		if (t->streams[i].stream == stream)
			return &t->streams[i];
	struct cursor *v = realloc(t->streams, (t->stream_cnt + 1ul) * sizeof(*v));
	if (!v)
		return NULL;
	t->streams = v;
	v[t->stream_cnt] = (struct cursor){ .stream = stream };
	return &v[t->stream_cnt++];
}

static int cmp_file(const void *a, const void *b)
{
	const struct file *x = a, *y = b;
	return x->stream != y->stream ? (x->stream < y->stream ? -1 : 1) : x->seq < y->seq ? -1 : x->seq > y->seq;
}

static bool add_file(struct export_trace *t, const struct file *f, const char *name)
{
	struct file *v = realloc(t->files, (t->file_cnt + 1ul) * sizeof(*v));
	char *copy = v && cursor_of(t, f->stream) ? strdup(name) : NULL;
	if (v)
		t->files = v;
	if (!copy)
		return false;
	v[t->file_cnt] = *f;
	v[t->file_cnt++].name = copy;
	return true;
}

static int find_files(struct export_trace *t, struct err *reterr)
{
	DIR *d = opendir(t->dir);
	struct dirent *e;
	int rc = 0;
	if (!d)
		return err_setf(reterr, -errno, "cannot read the folder %s: %s", t->dir, strerror(errno));
	while (!rc && (e = readdir(d))) {
		struct file f = { .fd = -1 };
		if (!parse_file_name(e->d_name, &f) || is_known(t, e->d_name))
			continue;
		if (!add_file(t, &f, e->d_name))
			rc = err_setf(reterr, -ENOMEM, "out of memory");
	}
	closedir(d);
	if (t->file_cnt)
		qsort(t->files, t->file_cnt, sizeof(*t->files), cmp_file);
	return rc;
}

static void file_end(struct file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	free(f->data);
	f->fd = -1;
	f->data = NULL;
	f->cap = f->have = f->at = 0;
	f->done = true;
}

static bool file_open(const struct export_trace *t, struct file *f)
{
	char *path;
	if (f->fd >= 0)
		return true;
	if (asprintf(&path, "%s/%s", t->dir, f->name) < 0)
		return false;
	f->fd = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	if (f->fd < 0)
		f->done = true; /* a ring has overwritten it meanwhile */
	return f->fd >= 0;
}

/* ---- packets ---- */

static bool head_is_good(const struct export_trace *t, const struct ctf_packet *h)
{
	return h->magic == CTF_MAGIC && !memcmp(h->uuid, t->schema.uuid, 16) && h->packet_bits % 8 == 0 &&
	       h->content_bits % 8 == 0 && h->content_bits >= sizeof(*h) * 8 && h->content_bits <= h->packet_bits &&
	       h->packet_bits / 8 <= PACKET_MAX;
}

/* Where the events of the packet begin. Of CTF_ONE, behind who it is, which must end. */
static bool packet_events(struct file *f)
{
	uint64_t at = sizeof(f->head);
	f->who_at = f->head.stream_id == CTF_ONE ? at : 0;
	if (f->who_at) {
		at += sizeof(struct ctf_who);
		const uint8_t *nul = f->have > at ? memchr(f->data + at, 0, f->have - at) : NULL;
		if (!nul)
			return false;
		at = (uint64_t)(nul - f->data) + 1;
	}
	f->at = at;
	f->ns = f->head.ts_begin;
	return true;
}

/* There is something, but no packet. */
static bool packet_none(struct file *f)
{
	struct stat st;
	f->damaged_end = fstat(f->fd, &st) || (uint64_t)st.st_size <= f->off ? 0 : (uint64_t)st.st_size - f->off;
	return false;
}

/* Reads the packet's header again, and what came in it. False: there is no packet (yet), or no sound one. */
static bool packet_look(const struct export_trace *t, struct file *f)
{
	struct ctf_packet h;
	ssize_t n = pread(f->fd, &h, sizeof(h), (off_t)f->off);
	f->damaged_end = 0;
	if (n != sizeof(h) || !head_is_good(t, &h))
		return !f->have && packet_none(f);
	f->head = h;
	uint64_t want = h.content_bits / 8;
	if (want > f->cap) {
		uint8_t *more = realloc(f->data, want);
		if (!more)
			return false;
		f->data = more;
		f->cap = want;
	}
	if (f->have < want) {
		n = pread(f->fd, f->data + f->have, want - f->have, (off_t)(f->off + f->have));
		if (n > 0)
			f->have += (uint64_t)n;
	}
	if (f->at || packet_events(f))
		return true;
	f->have = 0; /* nothing of it is to be decoded */
	return packet_none(f);
}

static void note_lost(struct export_trace *t, const struct file *f)
{
	for (uint32_t i = 0; i < t->stream_cnt; i++) {
		struct cursor *c = &t->streams[i];
		if (c->stream != f->stream || f->head.discarded <= c->lost)
			continue;
		t->lost += f->head.discarded - c->lost;
		c->lost = f->head.discarded;
	}
}

/* The one behind it, if it is there. */
static bool packet_skip(const struct export_trace *t, struct file *f)
{
	struct file next = *f;
	next.off += f->head.packet_bits / 8;
	next.data = NULL;
	next.cap = next.have = next.at = 0;
	if (!packet_look(t, &next)) {
		f->damaged_end = next.damaged_end;
		free(next.data);
		return false;
	}
	free(f->data);
	*f = next;
	return true;
}

/* ---- events ---- */

struct take {
	const uint8_t *at, *end;
	bool bad;
};

static const uint8_t *take(struct take *t, uint64_t bytes)
{
	const uint8_t *p = t->at;
	if (t->bad || (uint64_t)(t->end - t->at) < bytes) {
		t->bad = true;
		return NULL;
	}
	t->at += bytes;
	return p;
}

static const uint8_t *take_str(struct take *t, uint32_t *ret_bytes)
{
	const uint8_t *p = t->at, *nul = t->bad ? NULL : memchr(p, 0, (size_t)(t->end - p));
	if (!nul) {
		t->bad = true;
		return (const uint8_t *)"";
	}
	*ret_bytes = (uint32_t)(nul - p);
	t->at = nul + 1;
	return p;
}

static int64_t extend(const uint8_t *p, enum export_type type)
{
	uint32_t bits = ctf_type_bytes[type] * 8u;
	uint64_t u = 0;
	memcpy(&u, p, bits / 8);
	if (bits == 64 || type > EXPORT_I64)
		return (int64_t)u;
	return (int64_t)(u << (64 - bits)) >> (64 - bits);
}

static void take_value(struct take *t, enum export_type type, struct export_value *v)
{
	const uint8_t *p;
	uint32_t cnt = 0;
	float f;
	*v = (struct export_value){ .data = (const uint8_t *)"" };
	if (type == EXPORT_STR) {
		v->data = take_str(t, &v->bytes);
	} else if (type == EXPORT_STACK) {
		if ((p = take(t, 4)))
			memcpy(&cnt, p, 4);
		p = cnt <= CTF_STACK_MAX ? take(t, cnt * 8ul) : NULL;
		v->data = p ? p : v->data;
		v->bytes = p ? cnt * 8 : 0;
		t->bad |= !p;
	} else if ((p = take(t, ctf_type_bytes[type]))) {
		if (type == EXPORT_F32) {
			memcpy(&f, p, 4);
			v->d = (double)f;
		} else if (type == EXPORT_F64) {
			memcpy(&v->d, p, 8);
		} else {
			v->i = extend(p, type);
		}
	}
}

static bool vals_room(struct cursor *c, uint32_t cnt)
{
	if (cnt <= c->val_cap)
		return true;
	struct export_value *v = realloc(c->vals, cnt * sizeof(*v));
	if (!v)
		return false;
	c->vals = v;
	c->val_cap = cnt;
	return true;
}

/* The time's low bits say how much later it is than the event before. */
static uint64_t near_time(const struct file *f, uint64_t low)
{
	return f->ns + ((low - f->ns) & CTF_NS_MASK);
}

static void take_head(struct take *t, const struct file *f, uint32_t *id, uint64_t *ns)
{
	const uint8_t *p = take(t, 1);
	uint32_t kind = p ? *p & 31u : 0, word = 0;
	uint64_t bits = 0;
	if (kind == CTF_HEAD_FAR) {
		if (!(p = take(t, CTF_HEAD_MAX - 1)))
			return;
		memcpy(id, p, 4);
		memcpy(ns, p + 4, 8);
	} else if (kind == CTF_HEAD_MID) {
		if (!take(t, 5))
			return;
		memcpy(&bits, p, 6);
		*id = bits >> 5 & UINT16_MAX;
		*ns = near_time(f, bits >> 21);
	} else {
		if (!take(t, 3))
			return;
		memcpy(&word, p, 4);
		*id = kind;
		*ns = near_time(f, word >> 5);
	}
}

static const char *take_who(struct take *t, const struct file *f, struct ctf_who *ret)
{
	uint32_t len;
	struct take in_packet = { f->data + f->who_at, f->data + f->have, false };
	struct take *from = f->who_at ? &in_packet : t;
	const uint8_t *p = take(from, sizeof(*ret));
	if (p)
		memcpy(ret, p, sizeof(*ret));
	return (const char *)take_str(from, &len);
}

/* False: what is there is no event. */
static bool decode(struct export_trace *t, struct file *f, struct cursor *c)
{
	struct take in = { f->data + f->at, f->data + f->have, false };
	struct ctf_who who = { 0 };
	uint32_t id = 0;
	uint64_t ns = 0;
	take_head(&in, f, &id, &ns);
	const char *comm = take_who(&in, f, &who);
	const struct export_class *cls = in.bad ? NULL : export_trace_class(t, id);
	if (!in.bad && !cls && !ctf_schema_read(&t->schema, t->dir, NULL))
		cls = export_trace_class(t, id);
	if (!cls || !vals_room(c, cls->field_cnt))
		return false;
	for (uint32_t i = 0; i < cls->field_cnt; i++)
		take_value(&in, cls->fields[i].type, &c->vals[i]);
	if (in.bad)
		return false;
	c->ev = (struct export_event){ .ns = ns, .class_id = id, .cpu = f->stream >> 1, .pid = who.pid, .tid = who.tid,
				       .comm = comm, .vals = c->vals };
	f->at = (uint64_t)(in.at - f->data);
	f->ns = ns;
	return true;
}

static bool has_younger(const struct export_trace *t, const struct file *f)
{
	const struct file *next = f + 1;
	return next < t->files + t->file_cnt && next->stream == f->stream;
}

/* Whether there is something to decode: more of this packet, or one behind it. */
static bool file_has(const struct export_trace *t, struct file *f)
{
	while (f->at >= f->have)
		if (!packet_look(t, f) || (f->at >= f->have && !packet_skip(t, f)))
			return false;
	return true;
}

/* The next event of this file; the buffer that held the last one may go. */
static bool file_next(struct export_trace *t, struct file *f, struct cursor *c)
{
	if (f->done || !file_open(t, f))
		return false;
	while (file_has(t, f)) {
		note_lost(t, f);
		if (decode(t, f, c))
			return true;
		/* Where the next event begins, nobody knows. */
		f->damaged += f->have - f->at;
		f->at = f->have;
	}
	if (t->is_final || has_younger(t, f))
		file_end(f);
	return false;
}

static void cursor_fill(struct export_trace *t, struct cursor *c)
{
	for (uint32_t i = 0; i < t->file_cnt && !c->has; i++)
		if (t->files[i].stream == c->stream && !t->files[i].done)
			c->has = file_next(t, &t->files[i], c);
}

int export_trace_next(struct export_trace *t, struct export_event *ret, struct err *reterr)
{
	struct cursor *best = NULL;
	(void)reterr;
	for (uint32_t i = 0; i < t->stream_cnt; i++) {
		struct cursor *c = &t->streams[i];
		if (!c->has)
			cursor_fill(t, c);
		if (c->has && (!best || c->ev.ns < best->ev.ns || (c->ev.ns == best->ev.ns && c->stream < best->stream)))
			best = c;
	}
	if (!best)
		return 0;
	best->has = false;
	*ret = best->ev;
	return 1;
}

/* ---- all of it ---- */

int export_trace_open(const char *dir, struct export_trace **ret, struct err *reterr)
{
	struct export_trace *t = calloc(1, sizeof(*t));
	if (!t || !(t->dir = strdup(dir))) {
		free(t);
		return err_setf(reterr, -ENOMEM, "out of memory");
	}
	t->is_final = !export_trace_is_live(t);
	int rc = ctf_schema_read(&t->schema, dir, reterr);
	rc = rc ? rc : find_files(t, reterr);
	if (!rc && !(t->symbols = symbols_open(dir)))
		rc = err_setf(reterr, -ENOMEM, "out of memory");
	if (rc) {
		export_trace_close(t);
		return rc;
	}
	*ret = t;
	return 0;
}

void export_trace_close(struct export_trace *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->file_cnt; i++) {
		file_end(&t->files[i]);
		free(t->files[i].name);
	}
	for (uint32_t i = 0; i < t->stream_cnt; i++)
		free(t->streams[i].vals);
	symbols_close(t->symbols);
	ctf_schema_deinit(&t->schema);
	free(t->files);
	free(t->streams);
	free(t->dir);
	free(t);
}

const struct export_class *export_trace_class(const struct export_trace *t, uint32_t id)
{
	return id < t->schema.cnt ? t->schema.v[id] : NULL;
}

int64_t export_trace_real_offset_ns(const struct export_trace *t) { return t->schema.real_offset_ns; }
const struct export_sampling *export_trace_sampling(const struct export_trace *t) { return &t->schema.sampling; }
uint64_t export_trace_lost(const struct export_trace *t) { return t->lost; }

uint64_t export_trace_damaged(const struct export_trace *t)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < t->file_cnt; i++)
		bytes += t->files[i].damaged + t->files[i].damaged_end;
	return bytes;
}

int export_trace_refresh(struct export_trace *t, struct err *reterr)
{
	t->is_final = !export_trace_is_live(t);
	symbols_refresh(t->symbols);
	return find_files(t, reterr);
}

bool export_trace_is_live(const struct export_trace *t)
{
	char *path;
	if (asprintf(&path, "%s/dyntrace/lock", t->dir) < 0)
		return false;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	if (fd < 0)
		return false;
	bool live = flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;
	close(fd);
	return live;
}

uint32_t export_trace_frames(struct export_trace *t, uint32_t pid, uint64_t ns, uint64_t addr, bool is_ret,
			     struct export_frame ret[EXPORT_FRAMES_MAX])
{
	return symbols_frames(t->symbols, pid, ns, addr, is_ret, ret);
}
