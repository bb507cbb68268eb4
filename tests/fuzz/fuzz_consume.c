/* SPDX-License-Identifier: MIT */
/*
 * The consumer over shared memory that nobody vouches for.
 *
 *   options (2 bytes) | D program, NUL | { area, offset (2), length, bytes }...
 *
 * The program is compiled and fired a few times in the reference interpreter;
 * what that left in the shared memory is overwritten as the input says, then
 * read, aggregated and printed.
 */
#include "fuzz.h"

#include "consume/consume.h"
#include "d/d.h"
#include "exec.h"
#include "harmless.h"
#include "ring/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRINGS 3
#define SITE_CNT 6

enum fuzz_area {
	AREA_RING, AREA_RING_HEAD, AREA_AGGS, AREA_SPECS, AREA_SITES, AREA_STRS, AREA_THREAD, AREA_PROC, AREA_TAIL_OF_HEAD,
	AREA_RECORD, AREA_CNT
};

static const char *const programs[] = {
	"BEGIN { trace(1); printf(\"%d %s %x %Y %c%%\\n\", x++, \"a\", -1, walltimestamp, 65); tracemem(arg1, 20); ustack(3); }",
	"BEGIN { @[x, \"k\"] = count(); @q = quantize(x++); @l[1] = lquantize(x, 0, 10, 2); @m[ustack(2)] = llquantize(x, 10, 0, 3, 10); "
	"printa(\"%d %s %@d\\n\", @); printa(@q); printa(@l); }",
	"BEGIN { @a[x] = avg(x); @b[x] = sum(x); @c[x] = stddev(x); @d[x++] = max(x); printa(\"%d %@d %@d %@d\\n\", @a, @b, @c); trunc(@b, 1); clear(@a); "
	"normalize(@b, 3); denormalize(@b); }",
	"struct s { int a; char b[8]; struct { short c : 3; } d; enum e { A, B } f; float g; long *p; } *s; "
	"BEGIN { s = (struct s *)arg1; print(*s); print(s->b); trace(s->g); }",
	"BEGIN { self->s = speculation(); } BEGIN { speculate(self->s); printf(\"%d\\n\", x); } BEGIN /x++ & 1/ { commit(self->s); } "
	"BEGIN { discard(self->s); }",
	"BEGIN { if (x++) { trace(usym(arg1)); trace(uaddr(arg1)); } else { ufunc(arg1); umod(arg1); sym(arg1); } setopt(\"quiet\"); "
	"printf(\"%k %p %-10s|%+5.3d|%'d\\n\", ustack(), arg0, probefunc, 3, 1000000); }",
	"BEGIN { trace(*(int *)1); } BEGIN { trace(1 / x); } BEGIN { trace(copyinstr(arg1)); exit(3); }",
};

/* A program, then a few patches whose bytes are of the driver's choosing. */
size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
	if (i >= 3 * ARRAY_CNT(programs))
		return 0;
	const char *text = programs[i / 3];
	size_t len = strlen(text) + 1, at = 2 + len;
	if (at + 64 > cap)
		return 0;
	buf[0] = (uint8_t)(i * 37);
	buf[1] = (uint8_t)(i / 3);
	memcpy(buf + 2, text, len);
	for (unsigned k = 0; k < i % 3 * 2; k++) {
		buf[at++] = (uint8_t)(i + k * 5);
		buf[at++] = (uint8_t)(k * 24);
		buf[at++] = 0;
		buf[at++] = 4;
		memset(buf + at, (int)(k * 63), 4);
		at += 4;
	}
	return at;
}

static FILE *null_file(void)
{
	static FILE *null;
	if (!null)
		null = fopen("/dev/null", "w");
	if (!null)
		abort();
	return null;
}

static int compile(const char *text, struct d_program *prog)
{
	struct d_opts opts = { .strsize = 64, .defaultargs = true };
	struct d_source src = { .name = "f.d", .text = text };
	struct d_compiler *c = d_create(&opts);
	if (!c)
		abort();
	int rc = d_compile(c, &src, 1, prog);
	d_destroy(c);
	return rc;
}

static int set_option(void *arg, const char *name, const char *value, struct err *reterr)
{
	(void)arg;
	return name[0] == 'q' && !value ? 0 : err_setf(reterr, -EINVAL, "no such option");
}

static struct obj_proc *no_symbols(void *arg, uint32_t proc)
{
	(void)arg;
	(void)proc;
	return NULL;
}

static struct consume_opts options(unsigned bits, unsigned more)
{
	return (struct consume_opts){ .out = null_file(), .errs = null_file(), .progname = "fuzz", .quiet = bits & 1,
		.flowindent = bits & 2, .rawbytes = bits & 4, .agghist = bits & 8, .aggpack = bits & 16, .aggzoom = bits & 32,
		.utf8 = bits & 64, .utf8_bars = bits & 64, .dropdetail = bits & 128, .droptags = bits & 128, .demangle = more & 1,
		.aggsortkey = more & 2, .aggsortrev = more & 4, .aggsortpos = more >> 3 & 1, .aggsortkeypos = more >> 4 & 1,
		.bufpolicy = (enum consume_bufpolicy)(more >> 5 & 3), .bufsize = 4096, .printsize = more & 128 ? 8 : 1024,
		.stackindent = 14, .obj = no_symbols, .set_option = set_option };
}

/* Where an area of the shared memory begins, and its bytes. */
static uint8_t *area(struct mkshm *m, enum fuzz_area a, uint64_t *ret_bytes)
{
	uint8_t *shm = (uint8_t *)m->shm;
	const struct wire_shm *s = m->shm;
	struct wire_thread *t = mkshm_thread(m, 0);
	switch (a) {
	case AREA_RING_HEAD: *ret_bytes = sizeof(t->ring); return (uint8_t *)&t->ring;
	case AREA_AGGS: *ret_bytes = s->geom.agg_bytes; return (uint8_t *)t + s->geom.agg_off;
	case AREA_SPECS: *ret_bytes = s->spec_cnt * sizeof(struct wire_spec); return shm + s->spec_off;
	case AREA_SITES: *ret_bytes = SITE_CNT * sizeof(struct wire_site); return shm + s->site_off;
	case AREA_STRS: *ret_bytes = s->str_cap; return shm + s->str_off;
	case AREA_THREAD: *ret_bytes = s->geom.ring_off; return (uint8_t *)t;
	case AREA_PROC: *ret_bytes = offsetof(struct wire_proc, hash_key); return (uint8_t *)mkshm_proc(m, 0);
	case AREA_TAIL_OF_HEAD: *ret_bytes = sizeof(*s) - WIRE_PAGE; return shm + WIRE_PAGE;
	default: *ret_bytes = s->geom.ring_bytes; return (uint8_t *)t + s->geom.ring_off;
	}
}

/* A whole record of the input's bytes at the ring's end. */
static void add_record(struct mkshm *m, unsigned site, const uint8_t *p, size_t bytes)
{
	struct wire_thread *t = mkshm_thread(m, 0);
	uint8_t *ring = (uint8_t *)t + m->shm->geom.ring_off;
	uint32_t total = (uint32_t)align_up(sizeof(struct wire_rec) + bytes, 8);
	struct wire_rec *r = ring_reserve(&t->ring, ring, m->shm->geom.ring_bytes, 0, total);
	if (!r)
		return;
	r->type = bytes & 1 ? WIRE_REC_ERROR : WIRE_REC_DATA;
	r->clause = (uint16_t)(site >> 8);
	r->site = site & 0xff;
	r->cpu = 0;
	r->tsc = rt_now_tsc();
	memset(r->payload, 0, total - sizeof(*r));
	memcpy(r->payload, p, bytes);
	ring_commit(&t->ring, ring, m->shm->geom.ring_bytes, 0, r, total);
}

static void patch(struct mkshm *m, const uint8_t *p, size_t cnt)
{
	while (cnt > 4) {
		enum fuzz_area a = (enum fuzz_area)(p[0] % AREA_CNT);
		size_t off = p[1] | (size_t)p[2] << 8, len = p[3], room = cnt - 4;
		uint64_t bytes;
		uint8_t *to = area(m, a, &bytes);
		len = len < room ? len : room;
		if (a == AREA_RECORD)
			add_record(m, (unsigned)off, p + 4, len);
		else if (off < bytes)
			memcpy(to + off, p + 4, len < bytes - off ? len : bytes - off);
		p += 4 + len;
		cnt -= 4 + len;
	}
}

static void fire(struct mkshm *m, const struct ir_image *img)
{
	const struct ir_prog *progs[16];
	struct exec_input in;
	uint32_t cnt = 0;
	for (; cnt < img->prog_cnt && cnt < ARRAY_CNT(progs); cnt++)
		progs[cnt] = &img->progs[cnt];
	exec_input_init(&in);
	for (int i = 0; i < FIRINGS; i++) {
		exec_interp(NULL, m, mkshm_site(m, i ? WIRE_SITE_ENTRY : WIRE_SITE_TOOL), &in, progs, cnt);
		m->shm->exiting = 0;
	}
}

static void consume_all(struct consume *c)
{
	struct err e = { 0 };
	int status;
	if (consume_drain(c, false, &e) < 0 || consume_drain(c, true, &e) < 0)
		return;
	consume_print_aggs(c, &e);
	consume_fold_thread(c, 0, &e);
	consume_print_aggs(c, &e);
	consume_report_drops(c);
	consume_exited(c, &status);
}

static void run(struct d_program *prog, const uint8_t *data, const uint8_t *patches, size_t cnt)
{
	struct consume_opts opts = options(data[0], data[1]);
	struct consume *c;
	struct mkshm m;
	struct err e;
	mkshm_init(&m, &prog->image, &(struct mkshm_opts){ .agg_bytes = 16 << 10, .dyn_bytes = 16 << 10, .ring_bytes = 16 << 10 }, 0);
	if (!consume_create(m.shm, &prog->plan, &prog->image, &opts, &c, &e)) {
		fire(&m, &prog->image);
		patch(&m, patches, cnt);
		consume_all(c);
		consume_destroy(c);
	}
	mkshm_deinit(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const uint8_t *end = bytes > 2 && bytes < 8192 ? memchr(data + 2, 0, bytes - 2) : NULL;
	struct d_program prog = { 0 };
	if (!end || compile((const char *)data + 2, &prog))
		return 0;
	const struct ir_image *im = &prog.image;
	if (!prog.plan.destructive && fuzz_is_harmless(im) && im->global_bytes < 1 << 16 && im->self_bytes < 1 << 16 &&
	    im->strsize <= 4096)
		run(&prog, data, end + 1, bytes - (size_t)(end + 1 - data));
	d_program_deinit(&prog);
	return 0;
}
