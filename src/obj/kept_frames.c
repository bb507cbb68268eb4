/* SPDX-License-Identifier: MIT */
/*
 * What large tables of frames say of where code begins and ends, kept like symbols (kept.c).  An entry has all FDEs as they were
 * parsed, but not .eh_frame itself, which only who asks for rows of the CFA needs (obj_mod_rows()).
 */
#include "obj/obj_int.h"

#include <stdlib.h>
#include <string.h>

#define VERSION 1
#define WORTH (512u << 10) /* bytes of .eh_frame: less is read sooner than looked up */

struct kept_head {
	uint64_t bytes, vaddr; /* of .eh_frame */
	uint32_t cie_cnt, fde_cnt;
};

enum { HAS_AUG = 1, IS_SIGNAL = 2, IS_OK = 4, IS_COLD = 8, IS_PLT = 16 };

struct kept_cie {
	uint64_t off, code_align;
	int64_t data_align;
	uint32_t insns_off, insns_bytes;
	uint8_t fde_enc, lsda_enc, flags, zero[5];
};

struct kept_fde {
	uint32_t start, bytes, lsda; /* vaddrs: tables with larger ones are not kept */
	uint32_t insns_off, insns_bytes;
	uint16_t cie;
	uint8_t flags, zero;
};

bool obj_kept_frames_key(const struct obj_img *img, struct obj_kept *ret)
{
	uint64_t off, vaddr, bytes;
	return !obj_frames_locate(img, &off, &vaddr, &bytes) && bytes >= WORTH && bytes <= UINT32_MAX &&
	       obj_kept_file(img, "frames", VERSION, ret);
}

/* ---- reading, as if a stranger had written it ---- */

static bool is_within(uint32_t off, uint32_t bytes, uint64_t all)
{
	return off <= all && bytes <= all - off;
}

static bool take_cies(struct obj_frames *f, const struct kept_cie *k)
{
	for (uint32_t i = 0; i < f->cie_cnt; i++) {
		if (!is_within(k[i].insns_off, k[i].insns_bytes, f->bytes) || k[i].off >= f->bytes)
			return false;
		f->cies[i] = (struct obj_cie){ .off = k[i].off, .code_align = k[i].code_align, .data_align = k[i].data_align,
			.insns_off = k[i].insns_off, .insns_bytes = k[i].insns_bytes, .fde_enc = k[i].fde_enc, .lsda_enc = k[i].lsda_enc,
			.has_aug = k[i].flags & HAS_AUG, .is_signal = k[i].flags & IS_SIGNAL, .is_ok = k[i].flags & IS_OK,
			.is_cold = k[i].flags & IS_COLD };
	}
	return true;
}

static bool take_fdes(struct obj_frames *f, const struct kept_fde *k)
{
	for (uint32_t i = 0; i < f->fde_cnt; i++) {
		if (!k[i].start || !k[i].bytes || (i && k[i].start < k[i - 1].start) || k[i].cie >= f->cie_cnt ||
		    !is_within(k[i].insns_off, k[i].insns_bytes, f->bytes))
			return false;
		f->fdes[i] = (struct obj_fde){ .start = k[i].start, .end = (uint64_t)k[i].start + k[i].bytes, .lsda = k[i].lsda,
			.insns_off = k[i].insns_off, .insns_bytes = k[i].insns_bytes, .cie = k[i].cie,
			.is_cold = k[i].flags & IS_COLD, .is_plt = k[i].flags & IS_PLT };
	}
	return true;
}

static bool take(struct obj_frames *f, const struct obj_img *img, const uint8_t *data, uint64_t bytes)
{
	struct kept_head h;
	uint64_t off, vaddr, all;
	if (bytes < sizeof(h) || obj_frames_locate(img, &off, &vaddr, &all))
		return false;
	memcpy(&h, data, sizeof(h));
	if (h.bytes != all || h.vaddr != vaddr || !h.cie_cnt || h.cie_cnt > UINT16_MAX || !h.fde_cnt ||
	    bytes != sizeof(h) + h.cie_cnt * sizeof(struct kept_cie) + h.fde_cnt * sizeof(struct kept_fde))
		return false;
	const struct kept_cie *cies = (const struct kept_cie *)(data + sizeof(h));
	*f = (struct obj_frames){ .bytes = all, .vaddr = vaddr, .cie_cnt = h.cie_cnt, .fde_cnt = h.fde_cnt };
	f->cies = malloc(h.cie_cnt * sizeof(*f->cies));
	f->fdes = malloc(h.fde_cnt * sizeof(*f->fdes));
	return f->cies && f->fdes && take_cies(f, cies) && take_fdes(f, (const struct kept_fde *)(cies + h.cie_cnt));
}

bool obj_kept_frames_load(const struct obj_img *img, const struct obj_kept *k, struct obj_frames *ret)
{
	struct obj_frames f = { 0 };
	uint64_t bytes;
	uint8_t *data = host_cache_load(&k->key, &bytes);
	bool ok = data && take(&f, img, data, bytes);
	free(data);
	if (ok)
		*ret = f;
	else
		obj_frames_deinit(&f);
	return ok;
}

/* ---- writing ---- */

static void fill_cies(const struct obj_frames *f, struct kept_cie *ret)
{
	for (uint32_t i = 0; i < f->cie_cnt; i++) {
		const struct obj_cie *c = &f->cies[i];
		ret[i] = (struct kept_cie){ .off = c->off, .code_align = c->code_align, .data_align = c->data_align,
			.insns_off = c->insns_off, .insns_bytes = c->insns_bytes, .fde_enc = c->fde_enc, .lsda_enc = c->lsda_enc,
			.flags = (uint8_t)((c->has_aug ? HAS_AUG : 0) | (c->is_signal ? IS_SIGNAL : 0) | (c->is_ok ? IS_OK : 0) |
					   (c->is_cold ? IS_COLD : 0)) };
	}
}

static bool fill_fdes(const struct obj_frames *f, struct kept_fde *ret)
{
	for (uint32_t i = 0; i < f->fde_cnt; i++) {
		const struct obj_fde *d = &f->fdes[i];
		if (d->start > UINT32_MAX || d->end - d->start > UINT32_MAX || d->lsda > UINT32_MAX)
			return false;
		ret[i] = (struct kept_fde){ .start = (uint32_t)d->start, .bytes = (uint32_t)(d->end - d->start), .lsda = (uint32_t)d->lsda,
			.insns_off = d->insns_off, .insns_bytes = d->insns_bytes, .cie = d->cie,
			.flags = (uint8_t)((d->is_cold ? IS_COLD : 0) | (d->is_plt ? IS_PLT : 0)) };
	}
	return true;
}

void obj_kept_frames_store(const struct obj_frames *f, const struct obj_kept *k)
{
	const struct kept_head h = { .bytes = f->bytes, .vaddr = f->vaddr, .cie_cnt = f->cie_cnt, .fde_cnt = f->fde_cnt };
	uint64_t bytes = sizeof(h) + h.cie_cnt * sizeof(struct kept_cie) + h.fde_cnt * sizeof(struct kept_fde);
	uint8_t *data = h.fde_cnt ? malloc(bytes) : NULL;
	if (!data)
		return;
	struct kept_cie *cies = (struct kept_cie *)(data + sizeof(h));
	memcpy(data, &h, sizeof(h));
	fill_cies(f, cies);
	if (fill_fdes(f, (struct kept_fde *)(cies + h.cie_cnt)))
		host_cache_store(&k->key, data, bytes);
	free(data);
}
