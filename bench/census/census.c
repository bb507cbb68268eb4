/* SPDX-License-Identifier: MIT */
/*
 * How many function entries and returns can be placed in ELF files, by form and
 * by reason of refusal.  usage: census [-v] FILE...   (-v: list what is refused)
 */
#include "elf_funcs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tally {
	uint32_t total, jmp5, pad, host, pun, refused[PATCH_REFUSAL_CNT];
};

struct census {
	bool verbose;
	const struct elf_funcs *elf;
	uint32_t funcs, frags, windows, hosts, entry_loops;
	struct tally entry, ret;
};

static void show(const struct patch_func *f, const struct elf_func *ef, const struct patch_anchor *an)
{
	struct isa_insn in;
	printf("  %s %#llx %s+%u: %s\n", an->kind == WIRE_SITE_ENTRY ? "entry" : "return", (unsigned long long)f->addr,
	       ef->name, an->offset, patch_refusal_text(an->refusal));
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
	else if (w[an->window].form == PATCH_JMP5)
		t->jmp5++;
	else if (w[an->window].form == PATCH_PUN)
		t->pun++;
	else if (w[an->window].hole_inside)
		t->host++;
	else
		t->pad++;
}

static int compare_anchors(const void *a, const void *b)
{
	const struct patch_anchor *x = a, *y = b;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void self_loops(struct census *c, const struct patch_func *f)
{
	struct isa_insn in;
	for (uint32_t off = 0; off < f->bytes; off += in.len) {
		if (isa_decode(f->code + off, f->bytes - off, f->addr + off, &in))
			in.len = 1;
		else if (in.flow != ISA_CALL && in.target == f->addr) {
			c->entry_loops++;
			return;
		}
	}
}

static void one(struct census *c, uint32_t i)
{
	struct patch_func f;
	elf_funcs_get(c->elf, i, &f);
	int n = patch_find_returns(&f, NULL, 0, NULL);
	uint32_t *offs = calloc((size_t)n + 1, sizeof(*offs));
	struct patch_anchor *an = calloc((size_t)n + 1, sizeof(*an));
	struct patch_window *w = calloc(PATCH_WINDOW_CNT((size_t)n + 1), sizeof(*w));
	patch_find_returns(&f, offs, (uint32_t)n, NULL);
	uint32_t cnt = 0;
	if (!f.is_frag)
		an[cnt++] = (struct patch_anchor){ .kind = WIRE_SITE_ENTRY };
	for (int k = 0; k < n; k++)
		an[cnt++] = (struct patch_anchor){ .offset = offs[k], .kind = WIRE_SITE_RETURN };
	qsort(an, cnt, sizeof(*an), compare_anchors);
	c->windows += (uint32_t)patch_plan(&f, an, cnt, w);
	for (uint32_t k = 0; k < cnt; k++) {
		count(an[k].kind == WIRE_SITE_ENTRY ? &c->entry : &c->ret, &an[k], w);
		if (c->verbose && an[k].refusal)
			show(&f, &c->elf->func[i], &an[k]);
	}
	self_loops(c, &f);
	c->funcs += !f.is_frag;
	c->frags += f.is_frag;
	free(offs);
	free(an);
	free(w);
	free((void *)f.targets);
}

static void print_tally(const char *what, const struct tally *t)
{
	static const char *const why[] = { "", "boundary", "undecodable", "short", "target", "unknown", "unmovable" };
	uint32_t ok = t->jmp5 + t->pad + t->host + t->pun;
	printf("  %-7s %6u  placed %7.3f %%  jmp5 %u  hole in padding %u  in a host %u  pun %u  refused:", what, t->total,
	       t->total ? 100.0 * ok / t->total : 100.0, t->jmp5, t->pad, t->host, t->pun);
	for (int i = 1; i < PATCH_REFUSAL_CNT; i++)
		if (t->refused[i])
			printf(" %s %u", why[i], t->refused[i]);
	printf("\n");
}

int main(int argc, char **argv)
{
	bool verbose = argc > 1 && !strcmp(argv[1], "-v");
	int bad = argc < 2 + verbose;
	if (bad)
		fprintf(stderr, "usage: census [-v] FILE...\n");
	for (int i = 1 + verbose; i < argc; i++) {
		struct elf_funcs elf;
		struct census c = { .verbose = verbose, .elf = &elf };
		if (elf_funcs_open(&elf, argv[i])) {
			bad = 1;
			continue;
		}
		for (uint32_t k = 0; k < elf.cnt; k++)
			one(&c, k);
		printf("%s: %u functions, %u cold parts, %u windows, %u functions jump to their start\n", argv[i], c.funcs,
		       c.frags, c.windows, c.entry_loops);
		print_tally("entries", &c.entry);
		print_tally("returns", &c.ret);
		elf_funcs_close(&elf);
	}
	return bad;
}
