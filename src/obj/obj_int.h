/* SPDX-License-Identifier: MIT */
/*
 * Private to obj: what a module holds, file images, frame tables.
 */
#ifndef OBJ_INT_H
#define OBJ_INT_H

#include "obj/obj.h"

#include "host/cache.h"

#include <elf.h>

/* ---- file images (img.c) ---- */

/* An ELF file: on disk (fd >= 0), or bytes in memory (unpacked, or put together
 * from a process's segments).  Nothing in it is trusted. */
struct obj_mod;
struct obj_img {
	int fd;
	const struct obj_mod *owner; /* its module's file: kept for a while (pool.c) */
	uint8_t *mem; /* owned; NULL with a file */
	uint64_t bytes;
	bool from_proc; /* put together from a process: the loader has relocated the dynamic section */
	Elf64_Ehdr eh;
	Elf64_Phdr *ph;
	uint32_t ph_cnt;
	Elf64_Shdr *sh; /* NULL: none */
	uint32_t sh_cnt;
	char *shstr;
	uint64_t shstr_bytes;
};

/* Takes over @fd or @mem, on failure too. */
int obj_img_open_fd(int fd, struct obj_img *ret);
int obj_img_open_mem(uint8_t *mem, uint64_t bytes, struct obj_img *ret);
void obj_img_deinit(struct obj_img *);
int obj_img_read(const struct obj_img *, uint64_t off, void *buf, uint64_t bytes);
/* A malloc'ed copy with a NUL behind it; NULL if it is not all there. */
void *obj_img_load(const struct obj_img *, uint64_t off, uint64_t bytes);
/* NULL: none, or it has no contents in this file. */
const Elf64_Shdr *obj_img_section(const struct obj_img *, const char *name);
const Elf64_Shdr *obj_img_section_type(const struct obj_img *, uint32_t type);
const Elf64_Phdr *obj_img_segment(const struct obj_img *, uint32_t type);
/* File offset of a virtual address, and the bytes of the segment from there. 0 or -ENOENT. */
int obj_img_off(const struct obj_img *, uint64_t vaddr, uint64_t *ret_off, uint64_t *ret_bytes);
/* Value of a dynamic tag; addresses as vaddrs (@bias: where it runs). 0 or -ENOENT. */
int obj_img_dyn(const struct obj_img *, int64_t tag, uint64_t bias, uint64_t *ret);
#define OBJ_BUILD_ID_MAX 64
/* Bytes of the build-id, 0: none. */
uint32_t obj_img_build_id(const struct obj_img *, uint8_t ret[OBJ_BUILD_ID_MAX]);
/* Start and end of the code: executable segments. */
bool obj_img_is_code(const struct obj_img *, uint64_t vaddr, uint64_t *ret_end);

/* A symbol table with its strings, loaded. */
struct obj_symtab {
	Elf64_Sym *syms; /* owned */
	uint64_t cnt;
	char *str; /* owned, NUL-terminated; the symbols' versions are cut off */
	uint64_t str_bytes;
};
/* 0, -ENOENT: there is none. */
int obj_symtab_load(const struct obj_img *, uint32_t type /* SHT_SYMTAB, SHT_DYNSYM */, uint64_t bias,
		    struct obj_symtab *ret);
/* The dynamic symbol of that name by the file's own hash table.  0; -ENOENT: there is none; -ENOTSUP: there is no such table. */
int obj_symtab_lookup(const struct obj_img *, uint64_t bias, const char *name, Elf64_Sym *ret);
void obj_symtab_deinit(struct obj_symtab *);
const char *obj_symtab_name(const struct obj_symtab *, const Elf64_Sym *);

/* ---- frames (frame.c, cfi.c) ---- */

struct obj_cie {
	uint64_t off;          /* in .eh_frame */
	uint64_t code_align;
	int64_t data_align;
	uint32_t insns_off, insns_bytes; /* in .eh_frame */
	uint8_t fde_enc, lsda_enc;
	bool has_aug, is_signal, is_ok;
	bool is_cold; /* obj_fde.is_cold of those that begin with what it says */
};

struct obj_fde {
	uint64_t start, end; /* vaddrs */
	uint64_t lsda;       /* vaddr; 0: none */
	uint32_t insns_off, insns_bytes; /* in .eh_frame */
	uint16_t cie;
	bool is_cold; /* its first CFA is not rsp+8: never called */
	bool is_plt;
};

struct obj_frames {
	uint8_t *data; /* .eh_frame, owned; NULL: nobody has asked for rows yet (kept_frames.c) */
	uint64_t bytes, vaddr;
	struct obj_cie *cies;
	uint32_t cie_cnt;
	struct obj_fde *fdes; /* sorted by start */
	uint32_t fde_cnt;
};
int obj_frames_load(const struct obj_img *, struct obj_frames *ret);
/* Where .eh_frame is in the file.  0 or -ENOENT. */
int obj_frames_locate(const struct obj_img *, uint64_t *ret_off, uint64_t *ret_vaddr, uint64_t *ret_bytes);
void obj_frames_deinit(struct obj_frames *);
/* The one that covers @vaddr, or NULL. */
/* Index of the first that starts behind @vaddr, or fde_cnt. */
uint32_t obj_frames_after(const struct obj_frames *, uint64_t vaddr);
const struct obj_fde *obj_frames_find(const struct obj_frames *, uint64_t vaddr);

/* A rule of the CFA program (DWARF 5, section 6.4.1). */
enum obj_rule_kind { OBJ_RULE_SAME, OBJ_RULE_UNDEF, OBJ_RULE_OFFSET, OBJ_RULE_EXPR, OBJ_RULE_OTHER };
struct obj_rule {
	uint8_t kind;
	int64_t off;
	const uint8_t *expr;
	uint64_t expr_bytes;
};
struct obj_cfa_row {
	uint64_t start, end; /* vaddrs */
	bool cfa_is_expr;
	uint32_t cfa_reg;
	int64_t cfa_off;
	const uint8_t *cfa_expr;
	uint64_t cfa_expr_bytes;
	struct obj_rule rbp, rbx, ra;
};
/* Runs @fde's program; @cb gets each row, and ends it with nonzero (returned). */
typedef int obj_cfa_cb(void *arg, const struct obj_cfa_row *);
/* The frames have their data (obj_mod_rows()). */
int obj_cfa_rows(const struct obj_frames *, const struct obj_fde *, obj_cfa_cb *cb, void *arg);

/* Reading DWARF's forms; a cursor that never leaves [p, end): past it @bad is set. */
struct obj_cur {
	const uint8_t *p, *end;
	bool bad;
};
uint64_t obj_cur_u(struct obj_cur *, uint32_t bytes);
uint64_t obj_cur_uleb(struct obj_cur *);
int64_t obj_cur_sleb(struct obj_cur *);
/* A pointer encoded as DW_EH_PE_*; @vaddr: of c->p. 0 for an omitted one. */
uint64_t obj_cur_encoded(struct obj_cur *, uint8_t enc, uint64_t vaddr);

/* ---- files that are kept open for a while (pool.c) ---- */

/* False: there is none of that module. */
bool obj_pool_take(const struct obj_mod *, struct obj_img *ret);
/* Takes it over. */
void obj_pool_give(struct obj_img *);
void obj_pool_forget(const struct obj_mod *);

/* ---- modules and processes ---- */

struct obj_got {
	const char *name; /* NULL: IRELATIVE */
	uint64_t resolver; /* of an IRELATIVE: address in the process */
	uint64_t slot;     /* address in the process */
};

struct obj_mod {
	struct obj_module pub; /* first: they are cast to each other */
	uint64_t dev, inode;
	uint64_t load_start, load_end; /* also when it is gone */
	bool was_seen;
	uint8_t *note; /* ELF header and program headers as in memory, to know the file by */
	uint32_t note_bytes;

	bool is_go, knows_go;
	uint64_t go_lo, go_hi; /* addresses in the file of code that Go made; 0: not known, or none */
	bool has_go_entered, lacks_go_entered; /* its table was looked at, and told nothing */
	uint64_t *go_entered; /* addresses, sorted */
	uint32_t go_entered_cnt;
	bool has_syms, has_frames, has_ranges, has_gots;
	struct obj_sym *syms;
	uint64_t *max_end; /* greatest end of syms[0..i] */
	uint32_t sym_cnt;
	char *strs[4]; /* string tables that symbols point into */
	uint32_t str_cnt;
	struct obj_frames frames;
	struct obj_range *ranges;
	uint32_t range_cnt;
	struct obj_got *gots;
	uint32_t got_cnt;
	char *got_str;
	struct obj_usdt *usdts; /* sorted by address */
	uint32_t usdt_cnt;
	char *usdt_data, *usdt_decls; /* their strings */
	bool has_usdt;
	struct obj_img text; /* for obj_module_text() */
	bool has_text;
};

struct obj_proc {
	pid_t pid;
	int mem_fd;
	bool is_helped; /* the helper opened that */
	bool is_64bit;
	uint64_t at_base, at_phdr, at_execfn;
	struct obj_map *maps;
	uint64_t *devs; /* of maps */
	uint32_t map_cnt;
	struct obj_mod **mods;
	uint32_t mod_cnt;
	struct obj_mod **by_addr; /* live ones, by start */
	uint32_t live_cnt;
};

static inline struct obj_mod *obj_mod(struct obj_module *m) { return (struct obj_mod *)m; }
void obj_mod_destroy(struct obj_mod *);

/* Opens the module's file, whatever became of its name; its image in memory as a last resort. */
int obj_mod_image(struct obj_proc *, struct obj_mod *, struct obj_img *ret, struct err *reterr);
/* Separate debug file, or its embedded small one. 0 or -ENOENT. */
int obj_debug_image(struct obj_proc *, struct obj_mod *, const struct obj_img *main, struct obj_img *ret);
int obj_minidebug_image(const struct obj_img *main, struct obj_img *ret);
/* kept.c: the symbols of a module from last time; m->frames are known.  Key: false where they are not worth it or whose file
 * it is does not allow it.  Load: false where there are none. */
struct obj_kept {
	struct host_cache_key key;
	uint8_t id[OBJ_BUILD_ID_MAX];
};
bool obj_kept_file(const struct obj_img *, const char *kind, uint32_t version, struct obj_kept *ret); /* what depends on the file alone */
bool obj_kept_key(struct obj_proc *, struct obj_mod *, const struct obj_img *, struct obj_kept *ret);
bool obj_kept_load(struct obj_mod *, const struct obj_img *, const struct obj_kept *);
void obj_kept_store(const struct obj_mod *, const struct obj_kept *);
/* kept_frames.c: the same for frames, without their data. */
bool obj_kept_frames_key(const struct obj_img *, struct obj_kept *ret);
bool obj_kept_frames_load(const struct obj_img *, const struct obj_kept *, struct obj_frames *ret);
void obj_kept_frames_store(const struct obj_frames *, const struct obj_kept *);
int obj_mod_frames(struct obj_proc *, struct obj_mod *, struct err *reterr);
int obj_mod_rows(struct obj_proc *, struct obj_mod *, struct err *reterr); /* and their data, for obj_cfa_rows() */

/* gotab.c: adds the functions of a Go program's own table. 0, -ENOENT: it has none, or -ENOMEM. */
bool obj_go_has_table(const struct obj_img *);
int obj_go_syms(struct obj_mod *, const struct obj_img *, uint32_t *cap);

/* Finds OBJ_RANGE_COLD ones that no symbol and no frame shows (fragment.c). */
void obj_ranges_mark_fragments(struct obj_proc *, struct obj_mod *, struct obj_range *, uint32_t cnt);

/* *arr has room for *cap elements of @size: makes it room for at least @cnt. 0 or -ENOMEM. */
int obj_grow(void *arr, uint32_t *cap, uint64_t cnt, size_t size);
/* Sorts *arr, malloc'ed, by the uint64_t that each element has at @key; who has equal ones stays in order.  0, or -ENOMEM: it is as
 * it was. */
int obj_order(void *arr, uint32_t cnt, size_t size, size_t key);

#endif
