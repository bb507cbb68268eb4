/* SPDX-License-Identifier: MIT */
/*
 * .eh_frame as a sorted table of FDEs (LSB 5.0 Core, section 10.6; DWARF 5,
 * section 6.4.1).  libdw walks the entries; the augmentations, which it leaves
 * alone, are read here.
 */
#include "obj/obj_int.h"

#include "host/host.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define REG_RSP 7

/* ---- DWARF's forms ---- */

uint64_t obj_cur_u(struct obj_cur *c, uint32_t bytes)
{
	uint64_t v = 0;
	if ((size_t)(c->end - c->p) < bytes) {
		c->bad = true;
		c->p = c->end;
		return 0;
	}
	memcpy(&v, c->p, bytes);
	c->p += bytes;
	return v;
}

uint64_t obj_cur_uleb(struct obj_cur *c)
{
	uint64_t v = 0;
	for (uint32_t shift = 0;; shift += 7) {
		uint64_t b = obj_cur_u(c, 1);
		if (shift < 64)
			v |= (b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
}

int64_t obj_cur_sleb(struct obj_cur *c)
{
	uint64_t v = 0, b;
	uint32_t shift = 0;
	do {
		b = obj_cur_u(c, 1);
		if (shift < 64)
			v |= (b & 0x7f) << shift;
		shift += 7;
	} while (b & 0x80);
	if (shift < 64 && (b & 0x40))
		v |= ~0ULL << shift;
	return (int64_t)v;
}

static uint64_t encoded_value(struct obj_cur *c, uint8_t enc)
{
	switch (enc & 0x0f) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		return obj_cur_u(c, 8);
	case DW_EH_PE_uleb128:
		return obj_cur_uleb(c);
	case DW_EH_PE_sleb128:
		return (uint64_t)obj_cur_sleb(c);
	case DW_EH_PE_udata2:
		return obj_cur_u(c, 2);
	case DW_EH_PE_sdata2:
		return (uint64_t)(int64_t)(int16_t)obj_cur_u(c, 2);
	case DW_EH_PE_udata4:
		return obj_cur_u(c, 4);
	case DW_EH_PE_sdata4:
		return (uint64_t)(int64_t)(int32_t)obj_cur_u(c, 4);
	}
	c->bad = true;
	return 0;
}

uint64_t obj_cur_encoded(struct obj_cur *c, uint8_t enc, uint64_t vaddr)
{
	if (enc == DW_EH_PE_omit)
		return 0;
	uint64_t v = encoded_value(c, enc);
	/* Indirect ones go to data in the process; nobody needs those here. */
	if (!v || (enc & DW_EH_PE_indirect))
		return v;
	switch (enc & 0x70) {
	case DW_EH_PE_absptr:
		return v;
	case DW_EH_PE_pcrel:
		return v + vaddr;
	}
	c->bad = true;
	return v;
}

/* ---- CIEs ---- */

static void parse_augmentation(struct obj_cie *cie, const char *aug, const uint8_t *data, size_t bytes)
{
	struct obj_cur c = { data, data + bytes, false };
	cie->lsda_enc = DW_EH_PE_omit;
	cie->is_ok = true;
	if (*aug && *aug != 'z') {
		cie->is_ok = false; /* "eh" of gcc 2 and the like */
		return;
	}
	cie->has_aug = *aug == 'z';
	for (; *aug; aug++) {
		switch (*aug) {
		case 'z':
		case 'B':
			break;
		case 'L':
			cie->lsda_enc = (uint8_t)obj_cur_u(&c, 1);
			break;
		case 'R':
			cie->fde_enc = (uint8_t)obj_cur_u(&c, 1);
			break;
		case 'P': {
			uint8_t enc = (uint8_t)obj_cur_u(&c, 1);
			encoded_value(&c, enc);
			break;
		}
		case 'S':
			cie->is_signal = true;
			break;
		default:
			cie->is_ok = false;
			return;
		}
	}
}

static int first_row(void *arg, const struct obj_cfa_row *row)
{
	struct obj_fde *fde = arg;
	fde->is_cold = row->cfa_is_expr || row->cfa_reg != REG_RSP || row->cfa_off != 8;
	return 1;
}

static int add_cie(struct obj_frames *f, uint32_t *cap, uint64_t off, const Dwarf_CIE *d)
{
	int rc = obj_grow(&f->cies, cap, f->cie_cnt + 1ULL, sizeof(*f->cies));
	if (rc)
		return rc;
	struct obj_cie *cie = &f->cies[f->cie_cnt];
	*cie = (struct obj_cie){ .off = off, .code_align = d->code_alignment_factor,
		.data_align = d->data_alignment_factor, .insns_off = (uint32_t)(d->initial_instructions - f->data),
		.insns_bytes = (uint32_t)(d->initial_instructions_end - d->initial_instructions) };
	parse_augmentation(cie, d->augmentation, d->augmentation_data, d->augmentation_data_size);
	struct obj_fde as_it_says = { .end = 1, .cie = (uint16_t)f->cie_cnt };
	obj_cfa_rows(f, &as_it_says, first_row, &as_it_says);
	cie->is_cold = as_it_says.is_cold;
	f->cie_cnt++;
	return 0;
}

static uint32_t find_cie(const struct obj_frames *f, uint64_t off)
{
	/* Nearly always the last: linkers keep a CIE before its FDEs. */
	for (uint32_t i = f->cie_cnt; i-- > 0;)
		if (f->cies[i].off == off)
			return i;
	return WIRE_NONE;
}

/* ---- FDEs ---- */

#define PCREL4 (DW_EH_PE_pcrel | DW_EH_PE_sdata4) /* what all compilers write */

/* Its first row, without its program where that only says when the second begins. */
static void look_at_first_row(const struct obj_frames *f, struct obj_fde *fde)
{
	const struct obj_cie *cie = &f->cies[fde->cie];
	const uint8_t *p = f->data + fde->insns_off, *end = p + fde->insns_bytes;
	while (p < end && *p == DW_CFA_nop)
		p++;
	uint64_t next = p < end && (*p & 0xc0) == DW_CFA_advance_loc ? (*p & 0x3f) * cie->code_align : 0;
	if (p == end || (next && next < fde->end - fde->start))
		fde->is_cold = cie->is_cold;
	else
		obj_cfa_rows(f, fde, first_row, fde);
}

/* The usual one, whose fields all have their usual sizes.  false: it is another. */
static bool parse_usual(const struct obj_frames *f, const struct obj_cie *cie, const Dwarf_FDE *d, struct obj_fde *fde)
{
	const uint8_t *p = d->start;
	int32_t start, bytes, lsda = 0;
	if (cie->fde_enc != PCREL4 || !cie->has_aug || d->end - p < 13 || p[8] > (p[8] == 4 && cie->lsda_enc == PCREL4 ? 4 : 0))
		return false;
	memcpy(&start, p, sizeof(start));
	memcpy(&bytes, p + 4, sizeof(bytes));
	if (!start)
		return false;
	if (p[8])
		memcpy(&lsda, p + 9, sizeof(lsda));
	uint64_t at = f->vaddr + (uint64_t)(p - f->data);
	fde->start = at + (uint64_t)(int64_t)start;
	fde->end = fde->start + (uint64_t)(int64_t)bytes;
	fde->lsda = lsda ? at + 9 + (uint64_t)(int64_t)lsda : 0;
	p += 9 + p[8];
	fde->insns_off = (uint32_t)(p - f->data);
	fde->insns_bytes = (uint32_t)(d->end - p);
	return fde->end > fde->start;
}

static bool parse_fde(const struct obj_frames *f, uint32_t cie_idx, const Dwarf_FDE *d, struct obj_fde *ret)
{
	const struct obj_cie *cie = &f->cies[cie_idx];
	struct obj_cur c = { d->start, d->end, false };
	struct obj_fde fde = { .cie = (uint16_t)cie_idx };
	*ret = fde;
	if (parse_usual(f, cie, d, ret))
		return true;
	fde.start = obj_cur_encoded(&c, cie->fde_enc, f->vaddr + (uint64_t)(c.p - f->data));
	fde.end = fde.start + encoded_value(&c, cie->fde_enc & 0x0f);
	if (cie->has_aug) {
		uint64_t n = obj_cur_uleb(&c);
		if (c.bad || n > (uint64_t)(c.end - c.p))
			return false;
		struct obj_cur aug = { c.p, c.p + n, false };
		fde.lsda = obj_cur_encoded(&aug, cie->lsda_enc, f->vaddr + (uint64_t)(aug.p - f->data));
		if (aug.bad)
			fde.lsda = 0;
		c.p += n;
	}
	if (c.bad || fde.end <= fde.start)
		return false;
	fde.insns_off = (uint32_t)(c.p - f->data);
	fde.insns_bytes = (uint32_t)(c.end - c.p);
	*ret = fde;
	return true;
}

static int add_fde(struct obj_frames *f, uint32_t *cap, const Dwarf_FDE *d)
{
	uint32_t cie = find_cie(f, d->CIE_pointer);
	struct obj_fde fde;
	/* Linkers leave FDEs of dropped functions behind, with start 0. */
	if (cie >= UINT16_MAX || !f->cies[cie].is_ok || !parse_fde(f, cie, d, &fde) || !fde.start)
		return 0;
	int rc = obj_grow(&f->fdes, cap, f->fde_cnt + 1ULL, sizeof(*f->fdes));
	if (rc)
		return rc;
	look_at_first_row(f, &fde);
	f->fdes[f->fde_cnt++] = fde;
	return 0;
}

/* An entry of which there is nothing to be asked: an FDE in the 32-bit form, all there.  false: libdw is asked. */
static bool is_plain_fde(const struct obj_frames *f, uint64_t off, Dwarf_FDE *ret, uint64_t *ret_next)
{
	uint32_t bytes, back;
	if (f->bytes - off < 8)
		return false;
	memcpy(&bytes, f->data + off, sizeof(bytes));
	memcpy(&back, f->data + off + 4, sizeof(back));
	if (bytes < 4 || bytes >= 0xfffffff0u || bytes > f->bytes - off - 4 || !back || back > off + 4)
		return false;
	*ret = (Dwarf_FDE){ .CIE_pointer = off + 4 - back, .start = f->data + off + 8, .end = f->data + off + 4 + bytes };
	*ret_next = off + 4 + bytes;
	return true;
}

static int parse_entries(struct obj_frames *f, const unsigned char *ident)
{
	Elf_Data data = { .d_buf = f->data, .d_size = f->bytes, .d_type = ELF_T_BYTE, .d_version = EV_CURRENT };
	uint32_t cie_cap = 0, fde_cap = 0;
	Dwarf_Off off = 0, next;
	Dwarf_CFI_Entry e;
	int rc = 0, got;
	while (!rc && off < f->bytes) {
		if (is_plain_fde(f, off, &e.fde, &next)) {
			rc = add_fde(f, &fde_cap, &e.fde);
			off = next;
			continue;
		}
		got = dwarf_next_cfi(ident, &data, true, off, &next, &e);
		if (got == 1)
			break;
		if (got == 0 && dwarf_cfi_cie_p(&e))
			rc = add_cie(f, &cie_cap, off, &e.cie);
		else if (got == 0)
			rc = add_fde(f, &fde_cap, &e.fde);
		else if (next <= off)
			break;
		off = next;
	}
	return rc ? rc : obj_order(&f->fdes, f->fde_cnt, sizeof(*f->fdes), offsetof(struct obj_fde, start));
}

/* By section, or by the header that the loader gives the unwinder (LSB 5.0 Core, 10.6.2). */
int obj_frames_locate(const struct obj_img *img, uint64_t *ret_off, uint64_t *ret_vaddr, uint64_t *ret_bytes)
{
	const Elf64_Shdr *sh = obj_img_section(img, ".eh_frame");
	if (sh) {
		*ret_off = sh->sh_offset;
		*ret_vaddr = sh->sh_addr;
		*ret_bytes = sh->sh_size;
		return 0;
	}
	const Elf64_Phdr *ph = obj_img_segment(img, PT_GNU_EH_FRAME);
	uint8_t hdr[16];
	if (!ph || ph->p_filesz < 12 || obj_img_read(img, ph->p_offset, hdr, 12) || hdr[0] != 1)
		return -ENOENT;
	struct obj_cur c = { hdr + 4, hdr + 12, false };
	*ret_vaddr = obj_cur_encoded(&c, hdr[1], ph->p_vaddr + 4);
	return c.bad ? -ENOENT : obj_img_off(img, *ret_vaddr, ret_off, ret_bytes);
}

static void mark_plt_section(struct obj_frames *f, uint64_t start, uint64_t end)
{
	uint32_t i = start ? obj_frames_after(f, start - 1) : 0;
	for (; i < f->fde_cnt && f->fdes[i].start < end; i++)
		f->fdes[i].is_plt = true;
}

static void mark_plt(const struct obj_img *img, struct obj_frames *f)
{
	static const char *const names[] = { ".plt", ".plt.got", ".plt.sec", ".iplt" };
	for (size_t i = 0; i < ARRAY_CNT(names); i++) {
		const Elf64_Shdr *sh = obj_img_section(img, names[i]);
		if (sh)
			mark_plt_section(f, sh->sh_addr, sh->sh_addr + sh->sh_size);
	}
}

int obj_frames_load(const struct obj_img *img, struct obj_frames *ret)
{
	struct obj_frames f = { 0 };
	uint64_t off;
	int rc = obj_frames_locate(img, &off, &f.vaddr, &f.bytes);
	if (rc)
		return rc;
	f.data = obj_img_load(img, off, f.bytes);
	rc = f.data ? parse_entries(&f, img->eh.e_ident) : -ENOENT;
	if (rc) {
		obj_frames_deinit(&f);
		return rc;
	}
	mark_plt(img, &f);
	*ret = f;
	return 0;
}

void obj_frames_deinit(struct obj_frames *f)
{
	if (!f)
		return;
	free(f->data);
	free(f->cies);
	free(f->fdes);
	*f = (struct obj_frames){ 0 };
}

uint32_t obj_frames_after(const struct obj_frames *f, uint64_t vaddr)
{
	return HOST_FIRST(f->fdes, f->fde_cnt, start, vaddr + 1);
}

const struct obj_fde *obj_frames_find(const struct obj_frames *f, uint64_t vaddr)
{
	uint32_t i = obj_frames_after(f, vaddr);
	return i && vaddr < f->fdes[i - 1].end ? &f->fdes[i - 1] : NULL;
}
