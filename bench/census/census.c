/* SPDX-License-Identifier: MIT */
/*
 * How much of ELF files can be traced without a trap: function entries, returns,
 * and single instructions, by the form of the jump and by the reason of a
 * refusal.  No process is touched.
 * usage: census [-v] [-k N] FILE...
 *   -v    list what is refused
 *   -k N  instructions tried in each function, spread evenly, each on its own (0: all of them; default 16)
 */
#include "elf_funcs.h"
#include "space.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NEIGHBOURS = 8, LOANS = 4 };
enum what { ENTRIES, RETURNS, INSNS, WHAT_CNT };
static const struct {
	const char *name;
	double bar;
} whats[] = { { "entries", 99.9 }, { "returns", 99.0 }, { "instructions", 99.0 } };

struct tally {
	uint32_t total, jmp5, pad, host, sources, pun, refused[PATCH_REFUSAL_CNT];
};

struct census {
	bool verbose;
	uint32_t sample;
	const struct elf_funcs *elf;
	struct space space;
	uint32_t index; /* of the function at hand */
	uint32_t funcs, frags, entry_loops;
	struct tally tally[WHAT_CNT];
};

static void show(const struct patch_func *f, const struct elf_func *ef, const struct patch_anchor *an)
{
	static const char *const kinds[] = { [WIRE_SITE_ENTRY] = "entry", [WIRE_SITE_RETURN] = "return", [WIRE_SITE_OFFSET] = "instruction" };
	struct isa_insn in;
	printf("  %s %#llx %s+%u: %s\n", kinds[an->kind], (unsigned long long)f->addr, ef->name, an->offset,
	       patch_refusal_text(an->refusal));
	uint32_t off = 0, lines[4096], n = 0;
	for (; off < f->bytes && n < 4096 && off < an->offset + 8; n++) {
		lines[n] = off;
		off += isa_decode(f->code + off, f->bytes - off, f->addr + off, &in) ? 1 : in.len;
	}
	for (uint32_t i = n > 8 ? n - 8 : 0; i < n; i++) {
		char text[160];
		isa_format(f->code + lines[i], f->bytes - lines[i], f->addr + lines[i], text, sizeof(text));
		printf("      %5u: %s\n", lines[i], text);
	}
}

static void count(struct tally *t, const struct patch_anchor *an, const struct patch_window *w)
{
	t->total++;
	if (an->refusal)
		t->refused[an->refusal]++;
	else if (an->by_sources)
		t->sources++;
	else if (w[an->window].form == PATCH_JMP5)
		t->jmp5++;
	else if (w[an->window].form == PATCH_PUN)
		t->pun++;
	else if (w[an->window].hole_inside)
		t->host++;
	else
		t->pad++;
}

/* A pun whose landing cannot be mapped is none. */
static void refuse_puns(const struct census *c, const struct patch_func *f, struct patch_anchor *an, uint32_t cnt,
			const struct patch_window *w)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (!an[i].refusal && !an[i].by_sources && w[an[i].window].form == PATCH_PUN && !space_can_land(&c->space, f, &w[an[i].window]))
			an[i].refusal = PATCH_NO_LANDING;
}

#define JUMP_BYTES 5

static bool meet(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
	return a < b + b_bytes && b < a + a_bytes;
}

/* Whether two windows would write the same bytes: a mistake of the planner, and the end of all that is told here. */
static void check_writes(const struct patch_func *f, const struct patch_window *w, int cnt)
{
	for (int i = 0; i < cnt; i++)
		for (int k = 0; k < cnt; k++) {
			bool hole = w[i].form == PATCH_HOLE && !w[i].hole_borrowed;
			bool bad = i < k && meet(w[i].addr, w[i].write_bytes, w[k].addr, w[k].write_bytes);
			bad |= hole && meet(w[i].hole_addr, JUMP_BYTES, w[k].addr, w[k].write_bytes);
			bad |= hole && i < k && w[k].form == PATCH_HOLE && meet(w[i].hole_addr, JUMP_BYTES, w[k].hole_addr, JUMP_BYTES);
			if (!bad)
				continue;
			fprintf(stderr, "census: function 0x%llx: windows at 0x%llx and 0x%llx write the same bytes\n",
				(unsigned long long)f->addr, (unsigned long long)w[i].addr, (unsigned long long)w[k].addr);
			exit(1);
		}
}

/* The caller frees it. */
static struct patch_window *plan_once(const struct census *c, const struct patch_func *f, struct patch_anchor *an, uint32_t cnt)
{
	struct patch_window *w = calloc(PATCH_WINDOW_CNT((size_t)cnt) + f->lend_cnt + 1, sizeof(*w));
	check_writes(f, w, patch_plan(f, an, cnt, w));
	refuse_puns(c, f, an, cnt, w);
	return w;
}

static uint32_t refused_cnt(const struct patch_anchor *an, uint32_t cnt, uint32_t *ret_first)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < cnt; i++)
		if (an[i].refusal && !n++)
			*ret_first = i;
	return n;
}

static uint32_t all_anchors(const struct patch_func *f, struct patch_anchor **ret);

/* Whether function @n, with its own probes, can lend what is asked for. */
static bool lends(const struct census *c, uint32_t n, struct patch_lend *want)
{
	struct patch_func g;
	struct patch_anchor *an;
	uint32_t before, after, first;
	elf_funcs_get(c->elf, n, &g);
	uint32_t cnt = all_anchors(&g, &an);
	free(plan_once(c, &g, an, cnt));
	before = refused_cnt(an, cnt, &first);
	g.lends = want;
	g.lend_cnt = 1;
	free(plan_once(c, &g, an, cnt));
	after = refused_cnt(an, cnt, &first);
	free(an);
	free((void *)g.targets);
	return want->hole && after <= before;
}

/* As src/session/lend.c: room in neighbours for what has none. */
static struct patch_window *borrow(const struct census *c, struct patch_func *f, struct patch_anchor *an, uint32_t cnt,
				   struct patch_window *w, struct patch_lend *room)
{
	uint32_t self = (uint32_t)(c->index), first = 0, bad = refused_cnt(an, cnt, &first);
	for (uint32_t n = self > NEIGHBOURS ? self - NEIGHBOURS : 0; bad && n < c->elf->cnt && n <= self + NEIGHBOURS && f->borrowed_cnt < LOANS; n++) {
		uint64_t addr = f->addr + an[first].offset;
		const struct elf_func *g = &c->elf->func[n];
		struct patch_lend *want = &room[f->borrowed_cnt];
		*want = (struct patch_lend){ PATCH_REACH_LO(addr), PATCH_REACH_HI(addr) - ISA_INSN_MAX, 0 };
		bool apart = g->end <= f->addr || g->start >= f->addr + f->bytes;
		if (!apart || g->is_frag || g->start >= want->hi + 5 || g->end <= want->lo || !lends(c, n, want))
			continue;
		f->borrowed = room;
		f->borrowed_cnt++;
		free(w);
		w = plan_once(c, f, an, cnt);
		bad = refused_cnt(an, cnt, &first);
	}
	return w;
}

static void plan(struct census *c, struct patch_func *f, const struct elf_func *ef, struct patch_anchor *an, uint32_t cnt)
{
	struct patch_lend room[LOANS];
	struct patch_window *w = plan_once(c, f, an, cnt);
	if (!f->is_frag && !f->asks_where)
		w = borrow(c, f, an, cnt, w, room);
	f->borrowed_cnt = 0;
	for (uint32_t k = 0; k < cnt; k++) {
		enum what what = an[k].kind == WIRE_SITE_ENTRY ? ENTRIES : an[k].kind == WIRE_SITE_RETURN ? RETURNS : INSNS;
		count(&c->tally[what], &an[k], w);
		if (c->verbose && an[k].refusal)
			show(f, ef, &an[k]);
	}
	free(w);
}

static int compare_anchors(const void *a, const void *b)
{
	const struct patch_anchor *x = a, *y = b;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* All of a function together, as a glob asks for them. */
static uint32_t all_anchors(const struct patch_func *f, struct patch_anchor **ret)
{
	int n = patch_find_returns(f, NULL, 0, NULL);
	uint32_t *offs = calloc((size_t)n + 1, sizeof(*offs)), cnt = 0;
	struct patch_anchor *an = calloc((size_t)n + 1, sizeof(*an));
	patch_find_returns(f, offs, (uint32_t)n, NULL);
	if (!f->is_frag)
		an[cnt++] = (struct patch_anchor){ .kind = WIRE_SITE_ENTRY, .offset = patch_entry_offset(f) };
	for (int k = 0; k < n; k++)
		an[cnt++] = (struct patch_anchor){ .offset = offs[k], .kind = WIRE_SITE_RETURN };
	qsort(an, cnt, sizeof(*an), compare_anchors);
	free(offs);
	*ret = an;
	return cnt;
}

static void entry_and_returns(struct census *c, struct patch_func *f, const struct elf_func *ef)
{
	struct patch_anchor *an;
	uint32_t cnt = all_anchors(f, &an);
	plan(c, f, ef, an, cnt);
	free(an);
}

/* Where instructions begin that are no filler, and whether one jumps to the start. */
static uint32_t insn_offsets(const struct patch_func *f, uint32_t *ret, bool *ret_loops)
{
	struct isa_insn in;
	uint32_t n = 0;
	*ret_loops = false;
	for (uint32_t off = 0; off < f->bytes; off += in.len) {
		if (isa_decode(f->code + off, f->bytes - off, f->addr + off, &in)) {
			in.len = 1;
			continue;
		}
		*ret_loops |= in.flow != ISA_CALL && in.target == f->addr;
		if (!in.is_nop && in.op != ISA_OP_INT3)
			ret[n++] = off;
	}
	return n;
}

static void insns(struct census *c, struct patch_func *f, const struct elf_func *ef)
{
	uint32_t *offs = calloc(f->bytes + 1ul, sizeof(*offs));
	bool loops;
	uint32_t n = insn_offsets(f, offs, &loops), want = c->sample && c->sample < n ? c->sample : n;
	c->entry_loops += loops;
	for (uint32_t i = 0; i < want; i++) {
		struct patch_anchor an = { .kind = WIRE_SITE_OFFSET, .offset = offs[(uint64_t)i * n / want] };
		plan(c, f, ef, &an, 1);
	}
	free(offs);
}

static void one(struct census *c, uint32_t i)
{
	struct patch_func f;
	c->index = i;
	elf_funcs_get(c->elf, i, &f);
	entry_and_returns(c, &f, &c->elf->func[i]);
	insns(c, &f, &c->elf->func[i]);
	c->funcs += !f.is_frag;
	c->frags += f.is_frag;
	free((void *)f.targets);
}

static uint32_t refused(const struct tally *t)
{
	uint32_t n = 0;
	for (int i = 1; i < PATCH_REFUSAL_CNT; i++)
		n += t->refused[i];
	return n;
}

static double percent(const struct tally *t)
{
	return t->total ? 100.0 * (t->total - refused(t)) / t->total : 100.0;
}

static void print_tally(enum what what, const struct tally *t)
{
	static const char *const why[] = { "", "boundary", "undecodable", "short", "target", "unknown", "unmovable", "rseq", "no-landing",
		"needs-stop" };
	_Static_assert(ARRAY_CNT(why) == PATCH_REFUSAL_CNT, "a word for each");
	printf("  %-12s %8u  placed %7.3f %%%s  jmp5 %u  hole in padding %u  in a host %u  by sources %u  pun %u  refused:", whats[what].name,
	       t->total, percent(t), percent(t) < whats[what].bar ? " (below the bar)" : "", t->jmp5, t->pad, t->host, t->sources, t->pun);
	for (int i = 1; i < PATCH_REFUSAL_CNT; i++)
		if (t->refused[i])
			printf(" %s %u", why[i], t->refused[i]);
	printf("\n");
}

static int file(const char *path, bool verbose, uint32_t sample)
{
	struct elf_funcs elf;
	struct census c = { .verbose = verbose, .sample = sample, .elf = &elf };
	if (elf_funcs_open(&elf, path))
		return 1;
	space_init(&c.space, &elf);
	for (uint32_t k = 0; k < elf.cnt; k++)
		one(&c, k);
	printf("%s: %u functions, %u cold parts, %u functions jump to their start\n", path, c.funcs, c.frags, c.entry_loops);
	for (enum what w = 0; w < WHAT_CNT; w++)
		print_tally(w, &c.tally[w]);
	fflush(stdout);
	elf_funcs_close(&elf);
	return 0;
}

int main(int argc, char **argv)
{
	bool verbose = false;
	uint32_t sample = 16;
	int opt, bad = 0;
	while ((opt = getopt(argc, argv, "vk:")) != -1) {
		if (opt == 'v')
			verbose = true;
		else if (opt == 'k')
			sample = (uint32_t)strtoul(optarg, NULL, 10);
		else
			bad = 1;
	}
	if (bad || optind == argc) {
		fprintf(stderr, "usage: census [-v] [-k N] FILE...\n");
		return 2;
	}
	for (int i = optind; i < argc; i++)
		bad |= file(argv[i], verbose, sample);
	return bad;
}
