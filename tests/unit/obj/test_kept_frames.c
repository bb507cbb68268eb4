/* SPDX-License-Identifier: MIT */
/* Tables of frames that are kept from one run to the next are those that the files have, whatever became of what was kept. */
#include "../kept.h"
#include "obj/obj_int.h"

/* As many as are worth it; each frame begins in one of three ways. */
__asm__(".pushsection .text\n"
	".macro framed\n"
	".cfi_startproc\n"
	"push %rbx\n"
	".cfi_adjust_cfa_offset 8\n"
	".cfi_offset %rbx, -16\n"
	"ret\n"
	".cfi_endproc\n"
	".cfi_startproc\n"
	".cfi_def_cfa %rbp, 16\n"
	"ret\n"
	".cfi_endproc\n"
	".cfi_startproc\n"
	".cfi_signal_frame\n"
	"ret\n"
	".cfi_endproc\n"
	".endm\n"
	".rept 9000\n"
	"framed\n"
	".endr\n"
	".popsection\n");

static uint64_t mix(uint64_t sum, uint64_t v) { return (sum ^ v) * 1099511628211ull; }

static int on_row(void *arg, const struct obj_cfa_row *row)
{
	uint64_t *sum = arg;
	*sum = mix(mix(mix(*sum, row->start), row->end), (uint64_t)row->cfa_off << 32 | row->cfa_reg);
	*sum = mix(*sum, (uint64_t)row->rbx.off << 8 | row->rbx.kind);
	return 0;
}

static uint64_t sum_of(const struct obj_frames *f)
{
	uint64_t sum = mix(f->fde_cnt, f->vaddr);
	for (uint32_t i = 0; i < f->fde_cnt; i++) {
		const struct obj_fde *d = &f->fdes[i];
		sum = mix(mix(mix(sum, d->start), d->end), d->lsda);
		sum = mix(sum, (uint64_t)d->is_cold | (uint64_t)d->is_plt << 1 | (uint64_t)f->cies[d->cie].is_signal << 2);
		obj_cfa_rows(f, d, on_row, &sum);
	}
	return sum;
}

/* This program's; *ret_cnt FDEs. */
static uint64_t frames(uint32_t *ret_cnt)
{
	struct obj_proc *p;
	struct err e;
	uint64_t sum = 0;
	*ret_cnt = 0;
	if (obj_proc_open(getpid(), &p, &e))
		return 0;
	for (uint32_t i = 0; i < obj_module_cnt(p); i++) {
		struct obj_mod *m = obj_mod(obj_module_at(p, i));
		if (!m->pub.is_exe || !CHECK(!obj_mod_frames(p, m, &e)) || !CHECK(!obj_mod_rows(p, m, &e)))
			continue;
		*ret_cnt = m->frames.fde_cnt;
		sum = sum_of(&m->frames);
	}
	obj_proc_close(p);
	return sum;
}

static bool same(void)
{
	uint32_t a, b;
	obj_keep_tables(false);
	uint64_t x = frames(&a);
	obj_keep_tables(true);
	uint64_t y = frames(&b);
	CHECK(a >= 27000);
	return x == y && a == b;
}

static bool begin(void)
{
	kept_begin();
	return CHECK(!kept_find("frames") && same() && kept_find("frames"));
}

static void end(void)
{
	kept_end();
	obj_keep_tables(false);
}

static void kept(void)
{
	if (kept_is_exposed())
		SKIP("others may write to this program");
	begin();
	ino_t was = kept_inode();
	CHECK(same() && kept_inode() == was);
	end();
}

/* Who asks for no rows does not read the table. */
static void rows_are_read_late(void)
{
	struct obj_proc *p;
	struct err e;
	if (kept_is_exposed())
		SKIP("others may write to this program");
	begin();
	CHECK(!obj_proc_open(getpid(), &p, &e));
	for (uint32_t i = 0; i < obj_module_cnt(p); i++) {
		struct obj_mod *m = obj_mod(obj_module_at(p, i));
		if (!m->pub.is_exe)
			continue;
		CHECK(!obj_mod_frames(p, m, &e) && !m->frames.data);
		CHECK(!obj_mod_rows(p, m, &e) && m->frames.data);
	}
	obj_proc_close(p);
	end();
}

static void damaged(void)
{
	if (kept_is_exposed())
		SKIP("others may write to this program");
	if (begin())
		kept_damage(same);
	end();
}

struct head {
	uint64_t bytes, vaddr;
	uint32_t cie_cnt, fde_cnt;
};
struct cie {
	uint64_t off, code_align, data_align;
	uint32_t insns_off, insns_bytes;
	uint8_t rest[8];
};
struct fde {
	uint32_t start, bytes, lsda, insns_off, insns_bytes;
	uint16_t cie;
	uint8_t flags, zero;
};

enum wrong { NOT_WRONG, ORDER, NO_START, NO_BYTES, CIE, INSNS, INSNS_BYTES, CIE_INSNS, CIE_OFF, OTHER_TABLE, OTHER_PLACE, NONE, MORE, NO_CIES,
	     SHORT, NO_HEAD, WRONG_CNT };

static uint64_t make_wrong(int w, uint8_t *data, uint64_t bytes)
{
	struct head *h = (struct head *)data;
	struct cie *c = (struct cie *)(h + 1);
	struct fde *f = (struct fde *)(c + h->cie_cnt);
	switch (w) {
	case ORDER: f[7].start = f[h->fde_cnt - 1].start; break;
	case NO_START: f[0].start = 0; break;
	case NO_BYTES: f[7].bytes = 0; break;
	case CIE: f[7].cie = (uint16_t)h->cie_cnt; break;
	case INSNS: f[7].insns_off = (uint32_t)h->bytes + 1; break;
	case INSNS_BYTES: f[7].insns_bytes = UINT32_MAX; break;
	case CIE_INSNS: c[0].insns_bytes = (uint32_t)h->bytes; break;
	case CIE_OFF: c[0].off = h->bytes; break;
	case OTHER_TABLE: h->bytes -= 8; break;
	case OTHER_PLACE: h->vaddr += 8; break;
	case NONE: h->fde_cnt = 0; break;
	case MORE: h->fde_cnt++; break;
	case NO_CIES: h->cie_cnt = 0; break;
	case SHORT: return bytes - 1;
	case NO_HEAD: return sizeof(*h) - 1;
	default: break;
	}
	return bytes;
}

static void wrong(void)
{
	if (kept_is_exposed())
		SKIP("others may write to this program");
	if (begin())
		kept_wrong("frames", make_wrong, WRONG_CNT, same);
	end();
}

static void of_another_file(void)
{
	if (kept_is_exposed())
		SKIP("others may write to this program");
	begin();
	ino_t was = kept_inode();
	kept_of_another_file();
	CHECK(same() && kept_inode() != was);
	end();
}

TAP_MAIN(TEST(kept), TEST(rows_are_read_late), TEST(damaged), TEST(wrong), TEST(of_another_file))
