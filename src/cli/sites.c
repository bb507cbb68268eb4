/* SPDX-License-Identifier: MIT */
/*
 * The symbols carry all that is known of a site, so that -G may see an object again, or one that ld -r made of several:
 *
 *   __dyntrace_site.HASH.N.ARGS[t].PROV___NAME
 *
 * Appending them needs no room in the file: the symbol table and its strings move to the end.
 */
#include "cli/sites.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CALL_PREFIX "__dtrace_"
#define SITE_PREFIX "__dyntrace_site."

struct object {
	const char *path;
	unsigned char *data;
	size_t bytes;
	Elf64_Ehdr *eh;
	Elf64_Shdr *sh, *symtab, *strtab;
	Elf64_Sym *syms;	/* grows at the end */
	uint32_t sym_cnt, old_cnt;
	char *strs;
	size_t strs_bytes;
	uint64_t hash;
	struct cli *cli;
};

char *cli_c_name(const char *name)
{
	char *s = malloc(2 * strlen(name) + 1), *p = s;
	for (; s && *name; name++) {
		*p++ = *name == '-' ? '_' : *name;
		if (*name == '-')
			*p++ = '_';
	}
	if (s)
		*p = 0;
	return s;
}

/* ---- reading ---- */

static int read_file(struct object *o)
{
	FILE *fp = fopen(o->path, "re");
	size_t got, room = 0;
	if (!fp)
		return -errno;
	do {
		unsigned char *p = realloc(o->data, room += 1u << 20);
		if (!p) {
			fclose(fp);
			return -ENOMEM;
		}
		o->data = p;
		got = fread(p + o->bytes, 1, room - o->bytes, fp);
		o->bytes += got;
	} while (o->bytes == room);
	bool bad = ferror(fp);
	fclose(fp);
	return bad ? -EIO : 0;
}

static bool inside(const struct object *o, uint64_t off, uint64_t bytes)
{
	return off <= o->bytes && bytes <= o->bytes - off;
}

static bool section_inside(const struct object *o, const Elf64_Shdr *sh)
{
	return sh->sh_type == SHT_NOBITS || inside(o, sh->sh_offset, sh->sh_size);
}

/* False: not an x86-64 object that we understand. */
static bool find_tables(struct object *o)
{
	o->eh = (Elf64_Ehdr *)o->data;
	if (o->bytes < sizeof(*o->eh) || o->eh->e_ident[EI_CLASS] != ELFCLASS64 || o->eh->e_machine != EM_X86_64 ||
	    o->eh->e_type != ET_REL || o->eh->e_shentsize != sizeof(Elf64_Shdr) || !o->eh->e_shnum || o->eh->e_shoff % 8 ||
	    !inside(o, o->eh->e_shoff, o->eh->e_shnum * sizeof(Elf64_Shdr)))
		return false;
	o->sh = (Elf64_Shdr *)(o->data + o->eh->e_shoff);
	for (uint32_t i = 0; i < o->eh->e_shnum; i++) {
		if (!section_inside(o, &o->sh[i]))
			return false;
		if (o->sh[i].sh_type == SHT_SYMTAB && o->sh[i].sh_link < o->eh->e_shnum)
			o->symtab = &o->sh[i];
	}
	if (!o->symtab)
		return false;
	o->strtab = &o->sh[o->symtab->sh_link];
	return o->strtab->sh_type == SHT_STRTAB && o->strtab->sh_size && !o->data[o->strtab->sh_offset + o->strtab->sh_size - 1];
}

static int copy_tables(struct object *o)
{
	o->sym_cnt = o->old_cnt = (uint32_t)(o->symtab->sh_size / sizeof(Elf64_Sym));
	o->strs_bytes = o->strtab->sh_size;
	o->syms = malloc(o->symtab->sh_size + 1);
	o->strs = malloc(o->strs_bytes);
	if (!o->syms || !o->strs)
		return -ENOMEM;
	memcpy(o->syms, o->data + o->symtab->sh_offset, o->symtab->sh_size);
	memcpy(o->strs, o->data + o->strtab->sh_offset, o->strs_bytes);
	o->hash = 14695981039346656037ull;
	for (size_t i = 0; i < o->bytes; i++)
		o->hash = (o->hash ^ o->data[i]) * 1099511628211ull;
	for (const char *p = o->path; *p; p++)
		o->hash = (o->hash ^ (unsigned char)*p) * 1099511628211ull;
	return 0;
}

static const char *sym_name(const struct object *o, const Elf64_Sym *s)
{
	return s->st_name < o->strs_bytes ? o->strs + s->st_name : "";
}

/* ---- calls to sites ---- */

struct wanted {
	const char *prov, *probe, *call;
	uint32_t arg_cnt;
	bool found;
};

static int compare(void *arg, const char *prov, const char *probe, const struct d_probe_arg *args, uint32_t cnt)
{
	struct wanted *w = arg;
	char *p = cli_c_name(prov), *q = cli_c_name(probe);
	size_t n = p ? strlen(p) : 0;
	(void)args;
	if (!w->found && p && q && !strncmp(w->call, p, n) && !strncmp(w->call + n, "___", 3) && !strcmp(w->call + n + 3, q)) {
		w->found = true;
		w->arg_cnt = cnt;
	}
	free(p);
	free(q);
	return 0;
}

static int append(struct object *o, uint16_t section, uint64_t value, const char *call, uint32_t arg_cnt, bool is_tail)
{
	char *name = NULL;
	Elf64_Sym *syms = realloc(o->syms, (o->sym_cnt + 1ul) * sizeof(*syms));
	if (syms)
		o->syms = syms;
	int n = syms ? asprintf(&name, SITE_PREFIX "%016llx.%u.%u%s.%s", (unsigned long long)o->hash, o->sym_cnt - o->old_cnt,
				arg_cnt, is_tail ? "t" : "", call) : -1;
	char *strs = n < 0 ? NULL : realloc(o->strs, o->strs_bytes + (size_t)n + 1);
	if (strs) {
		o->strs = strs;
		memcpy(strs + o->strs_bytes, name, (size_t)n + 1);
		syms[o->sym_cnt++] = (Elf64_Sym){ .st_name = (Elf64_Word)o->strs_bytes, .st_shndx = section, .st_value = value,
						  .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE), .st_other = STV_HIDDEN };
		o->strs_bytes += (size_t)n + 1;
	}
	free(n < 0 ? NULL : name);
	return strs ? 0 : -ENOMEM;
}

/* The call or jump whose operand is at @off: where it begins, or NULL. */
static unsigned char *insn_of(const struct object *o, const Elf64_Shdr *text, uint64_t off, bool *ret_is_tail, bool *ret_is_long)
{
	if (off > text->sh_size || text->sh_size - off < 4)
		return NULL;
	unsigned char *operand = o->data + text->sh_offset + off;
	*ret_is_long = off >= 2 && operand[-2] == 0xff && (operand[-1] == 0x15 || operand[-1] == 0x25);
	*ret_is_tail = off && (operand[-1] == 0xe9 || (*ret_is_long && operand[-1] == 0x25));
	if (*ret_is_long)
		return operand - 2;
	return off && (operand[-1] == 0xe8 || *ret_is_tail) ? operand - 1 : NULL;
}

/* A call becomes a nop with room for a jump; a tail call a return, with as much room. */
static int convert(struct object *o, const Elf64_Shdr *text, uint16_t index, Elf64_Rela *r, const char *call)
{
	static const unsigned char nop[] = { 0x66, 0x0f, 0x1f, 0x44, 0, 0 }, ret[] = { 0xc3, 0x0f, 0x1f, 0x40, 0, 0x90 };
	struct wanted w = { .call = call };
	bool is_tail, is_long;
	unsigned char *insn = insn_of(o, text, r->r_offset, &is_tail, &is_long);
	if (!insn)
		return -EINVAL;
	d_providers_each(o->cli->d, compare, &w);
	if (!w.found)
		return -ENOENT;
	memcpy(insn, is_tail ? ret : nop + !is_long, sizeof(nop) - !is_long);
	r->r_info = ELF64_R_INFO(0, R_X86_64_NONE);
	return append(o, index, r->r_offset - 1 - is_long, call, w.arg_cnt, is_tail);
}

static int report(const struct object *o, int rc, const char *call)
{
	if (rc == -ENOENT)
		cli_error("%s: probe %s is not declared; a provider declaration of the script must name it", o->path, call);
	else if (rc == -EINVAL)
		cli_error("%s: what refers to the probe %s is no call; compile without -mcmodel=large", o->path, call);
	else
		cli_error("%s: out of memory", o->path);
	return CLI_ERROR;
}

static int convert_section(struct object *o, const Elf64_Shdr *rela)
{
	if (rela->sh_type != SHT_RELA || rela->sh_info >= o->eh->e_shnum || &o->sh[rela->sh_link % o->eh->e_shnum] != o->symtab)
		return CLI_OK;
	Elf64_Shdr *text = &o->sh[rela->sh_info];
	Elf64_Rela *r = (Elf64_Rela *)(o->data + rela->sh_offset);
	if (!(text->sh_flags & SHF_EXECINSTR) || text->sh_type != SHT_PROGBITS || rela->sh_offset % 8)
		return CLI_OK;
	for (uint64_t i = 0; i < rela->sh_size / sizeof(*r); i++) {
		uint64_t sym = ELF64_R_SYM(r[i].r_info);
		if (sym >= o->old_cnt || o->syms[sym].st_shndx != SHN_UNDEF)
			continue;
		char *name = strdup(sym_name(o, &o->syms[sym]));
		int rc = !name ? -ENOMEM : !strncmp(name, CALL_PREFIX, strlen(CALL_PREFIX)) && strstr(name, "___") ?
			convert(o, text, (uint16_t)rela->sh_info, &r[i], name + strlen(CALL_PREFIX)) : 0;
		int bad = rc < 0 ? report(o, rc, name ? name + strlen(CALL_PREFIX) : "") : CLI_OK;
		free(name);
		if (bad)
			return bad;
	}
	return CLI_OK;
}

/* Nobody refers to the called names any more: weak, they need no definition. */
static void forget_calls(struct object *o)
{
	for (uint32_t i = 0; i < o->old_cnt; i++)
		if (o->syms[i].st_shndx == SHN_UNDEF && !strncmp(sym_name(o, &o->syms[i]), CALL_PREFIX, strlen(CALL_PREFIX)) &&
		    strstr(sym_name(o, &o->syms[i]), "___"))
			o->syms[i].st_info = ELF64_ST_INFO(STB_WEAK, STT_NOTYPE);
}

static int write_object(struct object *o)
{
	uint64_t at = align_up(o->bytes, 8);
	uint64_t sym_bytes = o->sym_cnt * sizeof(Elf64_Sym);
	o->symtab->sh_offset = at;
	o->symtab->sh_size = sym_bytes;
	o->strtab->sh_offset = at + sym_bytes;
	o->strtab->sh_size = o->strs_bytes;
	FILE *fp = fopen(o->path, "r+e");
	if (!fp)
		return -errno;
	fwrite(o->data, o->bytes, 1, fp);
	fwrite("\0\0\0\0\0\0\0", at - o->bytes, 1, fp);
	fwrite(o->syms, sym_bytes, 1, fp);
	fwrite(o->strs, o->strs_bytes, 1, fp);
	errno = EIO;
	bool bad = ferror(fp);
	return fclose(fp) || bad ? -errno : 0;
}

/* ---- sites ---- */

static int add_site(struct sites *s, const char *name)
{
	struct site *v = realloc(s->v, (s->cnt + 1ul) * sizeof(*v)), new = { .sym = strdup(name) };
	const char *p = strchr(name + strlen(SITE_PREFIX), '.');
	p = p ? strchr(p + 1, '.') : NULL;
	if (v)
		s->v = v;
	if (v && new.sym && p) {
		char *end = NULL;
		new.arg_cnt = (uint32_t)strtoul(p + 1, &end, 10);
		new.is_tail = *end == 't';
		p = end + new.is_tail;
	}
	const char *cut = p && *p == '.' ? strstr(p + 1, "___") : NULL;
	if (cut && v && new.arg_cnt <= 32) {
		new.prov = strndup(p + 1, (size_t)(cut - p - 1));
		new.probe = strdup(cut + 3);
	}
	if (v)
		v[s->cnt++] = new;
	else
		free(new.sym);
	return v && new.sym && new.prov && new.probe ? 0 : -EINVAL;
}

static int collect_object(struct object *o, struct sites *s)
{
	int rc = read_file(o);
	if (rc < 0) {
		cli_error("failed to read %s: %s", o->path, strerror(-rc));
		return CLI_ERROR;
	}
	if (!find_tables(o))
		return CLI_OK;
	rc = copy_tables(o) ? report(o, -ENOMEM, "") : CLI_OK;
	for (uint32_t i = 0; !rc && i < o->eh->e_shnum; i++)
		rc = convert_section(o, &o->sh[i]);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < o->sym_cnt; i++)
		if (o->syms[i].st_shndx != SHN_UNDEF && !strncmp(sym_name(o, &o->syms[i]), SITE_PREFIX, strlen(SITE_PREFIX)) &&
		    add_site(s, sym_name(o, &o->syms[i]))) {
			cli_error("%s: symbol %s is not of -G's form", o->path, sym_name(o, &o->syms[i]));
			return CLI_ERROR;
		}
	if (o->sym_cnt == o->old_cnt)
		return CLI_OK;
	forget_calls(o);
	rc = write_object(o);
	if (rc < 0)
		cli_error("failed to write %s: %s", o->path, strerror(-rc));
	return rc < 0 ? CLI_ERROR : CLI_OK;
}

int cli_sites_collect(struct cli *cli, char *const *files, struct sites *ret)
{
	int rc = CLI_OK;
	for (uint32_t i = 0; !rc && files[i]; i++) {
		struct object o = { .path = files[i], .cli = cli };
		rc = collect_object(&o, ret);
		free(o.data);
		free(o.syms);
		free(o.strs);
	}
	return rc;
}

void cli_sites_free(struct sites *s)
{
	for (uint32_t i = 0; i < s->cnt; i++) {
		free(s->v[i].sym);
		free(s->v[i].prov);
		free(s->v[i].probe);
	}
	free(s->v);
}

/* ---- notes ---- */

/* Where the calling convention has the arguments of a call. */
static void put_args(FILE *fp, const struct site *s)
{
	static const char *const regs[] = { "rdi", "rsi", "rdx", "rcx", "r8", "r9" };
	for (uint32_t i = 0; i < s->arg_cnt; i++) {
		if (i < 6)
			fprintf(fp, "%s8@%%%s", i ? " " : "", regs[i]);
		else
			fprintf(fp, " 8@%u(%%rsp)", 8 * (i - 6 + s->is_tail));
	}
	putc(0, fp);
}

/* The offset of the addresses in @fp. */
static uint64_t put_site(FILE *fp, const struct site *s)
{
	const uint64_t addrs[3] = { 0 };
	char *text = NULL;
	size_t bytes = 0;
	FILE *to = open_memstream(&text, &bytes);
	if (!to)
		return 0;
	fprintf(to, "%s%c%s%c", s->prov, 0, s->probe, 0);
	put_args(to, s);
	fclose(to);
	const Elf64_Nhdr nh = { sizeof("stapsdt"), (Elf64_Word)(sizeof(addrs) + bytes), 3 };
	fwrite(&nh, sizeof(nh), 1, fp);
	fwrite("stapsdt", sizeof("stapsdt"), 1, fp);
	uint64_t at = (uint64_t)ftell(fp);
	fwrite(addrs, sizeof(addrs), 1, fp);
	fwrite(text, bytes, 1, fp);
	fwrite("\0\0\0", -bytes & 3, 1, fp);
	free(text);
	return at;
}

void *cli_sites_notes(const struct sites *s, uint64_t *offs, size_t *ret_bytes)
{
	char *notes = NULL;
	FILE *fp = open_memstream(&notes, ret_bytes);
	bool ok = fp;
	for (uint32_t i = 0; ok && i < s->cnt; i++) {
		offs[i] = put_site(fp, &s->v[i]);
		ok = offs[i];
	}
	if (fp && fclose(fp))
		ok = false;
	if (!ok) {
		free(notes);
		return NULL;
	}
	return notes;
}
