/* SPDX-License-Identifier: MIT */
/*
 * Bytes in, bytes out: cases/NAME.txt holds a function and what is wanted of it;
 * below "----" stands what patch makes of it, with disassembly.
 *
 *	at ADDR            where the function stands (hex)
 *	code HEX           its bytes; may be repeated
 *	slack HEX          what follows it
 *	target OFFSET      something else jumps there
 *	data ADDR HEX      memory that can be read
 *	starts | frag      the part is entered by a call (as usual) | not
 *	anchor KIND OFFSET entry, return or offset; `anchor returns` takes all returns
 *	filter HEX         of the last anchor
 *	body HEX           of the last anchor: what stands in the trampoline for the call
 *	tramp ADDR         where trampolines stand (one every 256 bytes)
 *
 * usage: cases [--bless] FILE...
 */
#include "patch/patch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX = 4096 };

struct data {
	uint64_t addr;
	uint8_t bytes[512];
	uint32_t cnt;
};

struct kase {
	struct patch_func f;
	uint8_t code[MAX];
	uint64_t targets[16], tramp;
	struct data data[4];
	uint32_t data_cnt;
	struct patch_anchor anchor[32];
	uint8_t body[32][64];
	uint32_t body_bytes[32];
	uint32_t anchor_cnt;
	char input[MAX * 4];
};

static uint32_t hex(const char *s, uint8_t *ret)
{
	uint32_t n = 0;
	unsigned v;
	int used;
	while (sscanf(s, " %2x%n", &v, &used) == 1 && n < 512) {
		ret[n++] = (uint8_t)v;
		s += used;
	}
	return n;
}

static int read_data(void *arg, uint64_t addr, void *buf, size_t bytes)
{
	const struct kase *k = arg;
	for (uint32_t i = 0; i < k->data_cnt; i++) {
		const struct data *d = &k->data[i];
		if (addr >= d->addr && bytes <= d->cnt && addr - d->addr <= d->cnt - bytes) {
			memcpy(buf, d->bytes + (addr - d->addr), bytes);
			return 0;
		}
	}
	return -1;
}

static void add_anchor(struct kase *k, const char *kind, uint32_t offset)
{
	enum wire_site_kind s = *kind == 'e' ? WIRE_SITE_ENTRY : *kind == 'r' ? WIRE_SITE_RETURN : WIRE_SITE_OFFSET;
	struct patch_anchor *a = &k->anchor[k->anchor_cnt];
	*a = (struct patch_anchor){ .offset = offset, .kind = s, .site = 100 + k->anchor_cnt };
	k->anchor_cnt++;
}

static void add_returns(struct kase *k)
{
	uint32_t offs[32];
	int n = patch_find_returns(&k->f, offs, 32, NULL);
	for (int i = 0; i < n; i++)
		add_anchor(k, "return", offs[i]);
}

static void line_in(struct kase *k, const char *line)
{
	unsigned long long a;
	unsigned n;
	char word[32];
	int used = 0;
	if (sscanf(line, "at %llx", &a) == 1) {
		k->f.addr = a;
	} else if (sscanf(line, "tramp %llx", &a) == 1) {
		k->tramp = a;
	} else if (!strncmp(line, "code ", 5)) {
		k->f.bytes += hex(line + 5, k->code + k->f.bytes);
	} else if (!strncmp(line, "slack ", 6)) {
		k->f.slack = hex(line + 6, k->code + k->f.bytes);
	} else if (sscanf(line, "target %u", &n) == 1) {
		k->targets[k->f.target_cnt++] = k->f.addr + n;
	} else if (sscanf(line, "data %llx %n", &a, &used) == 1 && used) {
		struct data *d = &k->data[k->data_cnt++];
		d->addr = a;
		d->cnt = hex(line + used, d->bytes);
	} else if (!strncmp(line, "anchor returns", 14)) {
		add_returns(k);
	} else if (sscanf(line, "anchor %31s %u", word, &n) == 2) {
		add_anchor(k, word, n);
	} else if (!strncmp(line, "filter ", 7) && k->anchor_cnt && strlen(line) < 7 + 3 * PATCH_FILTER_MAX) {
		struct patch_anchor *last = &k->anchor[k->anchor_cnt - 1];
		last->filter_bytes = (uint8_t)hex(line + 7, last->filter);
	} else if (!strncmp(line, "body ", 5) && k->anchor_cnt && strlen(line) < 5 + 3 * sizeof(k->body[0])) {
		k->body_bytes[k->anchor_cnt - 1] = hex(line + 5, k->body[k->anchor_cnt - 1]);
	} else if (!strncmp(line, "frag", 4)) {
		k->f.is_frag = true;
	}
}

static void dump(FILE *out, const char *indent, const uint8_t *bytes, uint32_t cnt, uint64_t addr)
{
	char text[160], raw[64];
	for (uint32_t at = 0, len; at < cnt; at += len) {
		int n = isa_format(bytes + at, cnt - at, addr + at, text, sizeof(text));
		len = n < 0 ? 1 : (uint32_t)n;
		for (uint32_t i = 0; i < len; i++)
			snprintf(raw + 3 * i, 4, "%02x ", bytes[at + i]);
		fprintf(out, "%s%6llx  %-30s %s\n", indent, (unsigned long long)(addr + at), raw, text);
	}
}

/* The jump, if nothing behind it changes and the lowest place it can lead to is taken. */
static int pun_bytes(const struct kase *k, const struct patch_window *w, uint64_t *ret_lo, uint64_t *ret_hi, uint8_t *ret,
		     struct err *err)
{
	const uint8_t *behind = k->code + (w->addr + w->bytes - k->f.addr); /* zeros follow the code */
	patch_pun_range(w, behind, ret_lo, ret_hi);
	return patch_pun_bytes(w, behind, *ret_lo, ret, err);
}

/* patch_body_fn */
static int put_body(void *arg, struct patch_anchor *an, uint64_t addr, uint8_t *buf, size_t cap)
{
	const struct kase *k = arg;
	uint32_t n = k->body_bytes[an - k->anchor];
	(void)addr;
	if (n > cap)
		return -ENOSPC;
	memcpy(buf, k->body[an - k->anchor], n);
	return (int)n;
}

static void dump_window(FILE *out, struct kase *k, const struct patch_window *w, uint32_t i)
{
	struct patch_move moves[PATCH_MOVES(PATCH_WINDOW_MAX)];
	uint8_t buf[1024], bytes[PATCH_WINDOW_MAX], hole[5];
	uint32_t move_cnt = 0;
	struct err err;
	uint64_t at = k->tramp + 256 * i;
	const struct patch_bodies bodies = { put_body, k };
	uint32_t room = patch_near_max(&w[i], i, k->anchor, k->anchor_cnt); /* the trampoline is near */
	for (uint32_t a = 0; a < k->anchor_cnt; a++)
		room += k->body_bytes[a];
	int n = patch_emit(&w[i], i, k->f.addr, k->anchor, k->anchor_cnt, &bodies, at, buf, room, moves, &move_cnt, &err);
	bool pun = w[i].form == PATCH_PUN;
	uint64_t lo, hi;
	if (n < 0 || (pun ? pun_bytes(k, &w[i], &lo, &hi, bytes, &err) : patch_jump_bytes(&w[i], at, bytes, hole, &err))) {
		fprintf(out, "window %u: %s\n", i, err.msg);
		return;
	}
	fprintf(out, "window %u at %llx, %u bytes\n", i, (unsigned long long)w[i].addr, w[i].bytes);
	if (pun)
		fprintf(out, "  pun that can lead to %llx..%llx\n", (unsigned long long)lo, (unsigned long long)hi);
	dump(out, "    ", bytes, w[i].write_bytes, w[i].addr);
	if (w[i].form == PATCH_HOLE) {
		fprintf(out, "  hole%s\n", w[i].hole_inside ? " in a host" : "");
		dump(out, "    ", hole, 5, w[i].hole_addr);
	}
	fprintf(out, "  trampoline\n");
	dump(out, "    ", buf, (uint32_t)n, at);
	fprintf(out, "  moves");
	for (uint32_t m = 0; m < move_cnt; m++)
		fprintf(out, " %llx:%llx", (unsigned long long)moves[m].from, (unsigned long long)moves[m].to);
	fprintf(out, "\n");
}

static void report(FILE *out, struct kase *k)
{
	static const char *const kinds[] = { "tool", "entry", "return", "offset" };
	struct patch_window w[PATCH_WINDOW_CNT(32)];
	int n = patch_plan(&k->f, k->anchor, k->anchor_cnt, w);
	dump(out, "", k->code, k->f.bytes, k->f.addr);
	if (k->f.slack)
		fprintf(out, "    padding: %u bytes\n", k->f.slack);
	for (uint32_t i = 0; i < k->anchor_cnt; i++) {
		struct patch_anchor *a = &k->anchor[i];
		a->body = k->tramp + 0x10000;
		a->dead = patch_dead(k->code + a->offset, k->f.bytes - a->offset);
		fprintf(out, "%s +%u: %s", kinds[a->kind], a->offset, patch_refusal_text(a->refusal));
		if (a->by_sources)
			fprintf(out, ", with what leads there, sp_adj %u", a->sp_adj);
		else if (!a->refusal)
			fprintf(out, ", window %u, sp_adj %u", a->window, a->sp_adj);
		fprintf(out, "\n");
	}
	for (int i = 0; i < n; i++)
		dump_window(out, k, w, (uint32_t)i);
}

/* Reads a case; what it expects is left in @ret_expect. */
static bool load(const char *path, struct kase *k, char *ret_expect, size_t cap)
{
	char line[2048];
	FILE *in = fopen(path, "r");
	if (!in)
		return false;
	*k = (struct kase){ .tramp = 0x500000 };
	k->f.code = k->code;
	k->f.targets = k->targets;
	k->f.read = read_data;
	k->f.read_arg = k;
	*ret_expect = 0;
	while (fgets(line, sizeof(line), in) && strcmp(line, "----\n")) {
		strcat(k->input, line);
		line_in(k, line);
	}
	size_t n = fread(ret_expect, 1, cap - 1, in);
	ret_expect[n] = 0;
	fclose(in);
	return k->f.bytes > 0;
}

static bool run(const char *path, bool bless)
{
	static struct kase k;
	static char expect[1 << 16];
	char *got = NULL;
	size_t bytes = 0;
	if (!load(path, &k, expect, sizeof(expect)))
		return false;
	FILE *out = open_memstream(&got, &bytes);
	report(out, &k);
	fclose(out);
	bool ok = !strcmp(got, expect);
	if (!ok && bless) {
		FILE *f = fopen(path, "w");
		fprintf(f, "%s----\n%s", k.input, got);
		fclose(f);
	} else if (!ok) {
		for (char *l = strtok(got, "\n"); l; l = strtok(NULL, "\n"))
			printf("# %s\n", l);
	}
	free(got);
	return ok || bless;
}

int main(int argc, char **argv)
{
	bool bless = argc > 1 && !strcmp(argv[1], "--bless");
	int bad = 0, n = 0;
	for (int i = 1 + bless; i < argc; i++) {
		bool ok = run(argv[i], bless);
		const char *name = strrchr(argv[i], '/');
		printf("%sok %d - %s\n", ok ? "" : "not ", ++n, name ? name + 1 : argv[i]);
		if (!ok)
			printf("# again: %s %s   (--bless after a look)\n", argv[0], argv[i]);
		bad += !ok;
	}
	printf("1..%d\n", n);
	return bad ? 1 : 0;
}
