/* SPDX-License-Identifier: MIT */
/* How a probe would be placed, in words and bytes.  Only reads. */
#include "session/arm_int.h"
#include "session/kern_int.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static void print_bytes(FILE *out, const uint8_t *b, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		fprintf(out, " %02x", b[i]);
	fputc('\n', out);
}

static void print_code(FILE *out, const uint8_t *code, uint32_t cnt, uint64_t addr)
{
	for (uint32_t at = 0; at < cnt;) {
		char text[128];
		int n = isa_format(code + at, cnt - at, addr + at, text, sizeof(text));
		if (n <= 0)
			n = 1;
		fprintf(out, "      0x%llx  %s\n", (unsigned long long)(addr + at), text);
		at += (uint32_t)n;
	}
}

static const char *form_text(const struct patch_window *w)
{
	if (w->form == PATCH_JMP5)
		return "a 5-byte jump";
	if (w->form == PATCH_PUN)
		return "a jump that ends in the code behind it (a pun; refused if memory is taken where it leads)";
	if (w->hole_borrowed)
		return "a 2-byte jump to room made by displacing code of a neighbouring function";
	return w->hole_inside ? "a 2-byte jump to room made by displacing code nearby" : "a 2-byte jump to padding";
}

/* Findings: an empty trampoline about 0.3 ns, flags about 5, the rest by the body. */
static const char *cost_text(const struct patch_anchor *a)
{
	return a->save_flags ? "a few ns, about 5 more for the flags" : "a few ns";
}

/* What would be written, for a trampoline at @at. */
static int jump_at(const struct func *fn, const struct patch_window *w, uint64_t at, uint8_t *ret, struct err *reterr)
{
	uint8_t hole[5], behind[4];
	uint64_t lo, hi;
	if (w->form != PATCH_PUN)
		return patch_jump_bytes(w, at, ret, hole, reterr);
	int r = fn->pf.read(fn->pf.read_arg, w->addr + w->bytes, behind, sizeof(behind));
	if (r)
		return err_setf(reterr, r, "what follows cannot be read");
	patch_pun_range(w, behind, &lo, &hi);
	return patch_pun_bytes(w, behind, lo, ret, reterr);
}

/* The trampoline as it would be near the function, with a body beside it. */
static void print_tramp(FILE *out, const struct func *fn, const struct patch_window *wins, struct patch_anchor *a)
{
	uint8_t code[1024], bytes[PATCH_WINDOW_MAX];
	struct patch_move moves[PATCH_MOVES(PATCH_WINDOW_MAX)];
	const struct patch_window *w = &wins[a->window];
	uint64_t at = align_down(fn->pf.addr, 1u << 20) - (1u << 20);
	uint32_t move_cnt;
	struct err why;
	a->body = at + sizeof(code);
	int n = patch_emit(w, a->window, fn->pf.addr, a, 1, NULL, at, code, sizeof(code), moves, &move_cnt, &why);
	if (n < 0 || jump_at(fn, w, at, bytes, &why)) {
		fprintf(out, "    refused: %s\n", why.msg);
		return;
	}
	fprintf(out, "    bytes before:");
	print_bytes(out, w->old, w->bytes);
	fprintf(out, "    bytes after (trampoline at 0x%llx, say):", (unsigned long long)at);
	print_bytes(out, bytes, w->bytes);
	fprintf(out, "    displaced:\n");
	print_code(out, w->old, w->bytes, w->addr);
	fprintf(out, "    trampoline (where a predicate begins with a comparison, that stands in the place of the call, which then comes last; of at most %u places, the body in the place of its call):\n",
		SPOTS_MAX);
	print_code(out, code, (uint32_t)n, at);
}

static void print_anchor(FILE *out, const struct func *fn, const struct patch_window *wins, struct patch_anchor *a)
{
	fprintf(out, "  0x%llx (+0x%x): ", (unsigned long long)(fn->pf.addr + a->offset), a->offset);
	if (a->refusal) {
		fprintf(out, "refused: %s (%s a uprobe: in a process that runs, or with -x backend=auto)\n", patch_refusal_text(a->refusal),
			geteuid() ? "as root it is" : "it is");
		return;
	}
	if (a->by_sources) {
		fprintf(out, "in the jumps of what leads there, no trap; the instruction stays; %s a hit\n", cost_text(a));
		return;
	}
	fprintf(out, "%s, no trap; %u bytes displaced at 0x%llx; saves%s%s rax; %s a hit\n", form_text(&wins[a->window]),
		wins[a->window].bytes, (unsigned long long)wins[a->window].addr, a->save_flags ? " flags," : "",
		a->skip_redzone ? " the red zone," : "", cost_text(a));
	print_tramp(out, fn, wins, a);
}

/* At most @cap; how many there are, or -errno. */
static int offsets_of(const struct func *fn, const struct probe *p, uint32_t *ret, uint32_t cap, struct err *reterr)
{
	if (p->kind == WIRE_SITE_RETURN)
		return patch_find_returns(&fn->pf, ret, cap, reterr);
	if (p->kind == WIRE_SITE_USDT)
		return usdt_offsets(fn->t, p, ret, cap);
	if (cap)
		ret[0] = p->kind == WIRE_SITE_ENTRY ? patch_entry_offset(&fn->pf) : p->offset;
	return 1;
}

static int anchors_of(const struct func *fn, const struct probe *p, struct patch_anchor **ret, struct err *reterr)
{
	int n = offsets_of(fn, p, NULL, 0, reterr);
	if (n < 0)
		return n;
	*ret = calloc((size_t)n + 1, sizeof(**ret));
	uint32_t *offs = calloc((size_t)n + 1, sizeof(*offs));
	if (*ret && offs)
		offsets_of(fn, p, offs, (uint32_t)n, NULL);
	for (int i = 0; i < n && *ret && offs; i++)
		(*ret)[i] = (struct patch_anchor){ .offset = offs[i], .kind = p->kind };
	bool ok = *ret && offs;
	free(offs);
	return ok ? n : err_setf(reterr, -ENOMEM, "out of memory");
}

int session_explain(struct session *s, uint32_t proc, const struct probe *p, FILE *out, struct err *reterr)
{
	if (p->kind == WIRE_SITE_KERNEL) {
		explain_kernel(p, out);
		return 0;
	}
	struct func fn;
	struct patch_anchor *anchors = NULL;
	fprintf(out, "%s:%s:%s:%s\n", p->prov, p->mod, p->func, p->name);
	if (!proc || !p->module) {
		fprintf(out, "  runs in the tool itself; no process is touched\n");
		return 0;
	}
	int r = func_init(&fn, s->targets[proc], p->module, p->func_addr, p->func_bytes, reterr);
	if (r)
		return r;
	int n = anchors_of(&fn, p, &anchors, reterr);
	struct patch_window *wins = calloc(PATCH_WINDOW_CNT((size_t)(n > 0 ? n : 0)) + 1, sizeof(*wins));
	if (n >= 0 && wins && patch_plan(&fn.pf, anchors, (uint32_t)n, wins) >= 0) {
		for (int i = 0; i < n; i++)
			print_anchor(out, &fn, wins, &anchors[i]);
		if (!n)
			fprintf(out, "  " FUNC_NO_RETURN "\n");
	}
	free(wins);
	free(anchors);
	func_deinit(&fn);
	return n < 0 ? n : 0;
}
