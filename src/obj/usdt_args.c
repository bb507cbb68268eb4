/* SPDX-License-Identifier: MIT */
/*
 * The argument string of a USDT note: operands as the assembler prints them,
 * each with the size of its value in front, negative for signed ones:
 *
 *   -4@%eax  8@$17  1@%ah  8f@%xmm1  4@-20(%rbp,%rax,4)  8@counter+8(%rip)  8@counter
 */
#include "obj/obj_int.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct reg {
	uint8_t reg, bytes, shift;
};

static const struct {
	const char name[4];
	uint8_t reg;
} old_regs[] = {
	{ "ax", WIRE_RAX }, { "cx", WIRE_RCX }, { "dx", WIRE_RDX }, { "bx", WIRE_RBX },
	{ "sp", WIRE_RSP }, { "bp", WIRE_RBP }, { "si", WIRE_RSI }, { "di", WIRE_RDI }, { "ip", WIRE_RIP },
};

/* rax eax ax */
static bool old_reg(const char *s, size_t len, struct reg *ret)
{
	uint8_t bytes = len == 3 && s[0] == 'r' ? 8 : len == 3 && s[0] == 'e' ? 4 : len == 2 ? 2 : 0;
	for (size_t i = 0; bytes && i < ARRAY_CNT(old_regs); i++)
		if (!memcmp(s + len - 2, old_regs[i].name, 2)) {
			*ret = (struct reg){ old_regs[i].reg, bytes, 0 };
			return true;
		}
	return false;
}

/* al ah, sil */
static bool byte_reg(const char *s, size_t len, struct reg *ret)
{
	char pair[3] = { s[0], len == 3 ? s[1] : 'x', 0 };
	struct reg whole;
	bool high = len == 2 && s[1] == 'h';
	if ((len != 2 && len != 3) || (s[len - 1] != 'l' && !high) || (len == 2 && !strchr("abcd", s[0])) ||
	    !old_reg(pair, 2, &whole))
		return false;
	*ret = (struct reg){ whole.reg, 1, high ? 8 : 0 };
	return true;
}

/* r8 r8d r8w r8b */
static bool new_reg(const char *s, size_t len, struct reg *ret)
{
	char *end;
	if (len < 2 || s[0] != 'r' || !isdigit((unsigned char)s[1]))
		return false;
	unsigned long n = strtoul(s + 1, &end, 10);
	size_t left = len - (size_t)(end - s);
	uint8_t bytes = !left ? 8 : *end == 'd' ? 4 : *end == 'w' ? 2 : *end == 'b' || *end == 'l' ? 1 : 0;
	if (n < 8 || n > 15 || left > 1 || !bytes)
		return false;
	static const uint8_t regs[] = { WIRE_R8, WIRE_R9, WIRE_R10, WIRE_R11, WIRE_R12, WIRE_R13, WIRE_R14, WIRE_R15 };
	*ret = (struct reg){ regs[n - 8], bytes, 0 };
	return true;
}

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '$' || c == '@'; }

static size_t word_len(const char *s)
{
	size_t n = 0;
	while (is_word(s[n]))
		n++;
	return n;
}

/* %name at @p; moves it behind. */
static bool parse_reg(const char **p, struct reg *ret)
{
	const char *s = *p + 1;
	size_t len = word_len(s);
	if (**p != '%' || !(new_reg(s, len, ret) || byte_reg(s, len, ret) || old_reg(s, len, ret)))
		return false;
	*p = s + len;
	return true;
}

/* ---- displacements: numbers and symbols, added and subtracted ---- */

struct where {
	struct obj_proc *proc;
	struct obj_module *mod;
};

static bool symbol(const struct where *w, const char *s, size_t len, uint64_t *ret)
{
	char name[256];
	uint64_t bytes;
	if (!len || len >= sizeof(name) || memchr(s, '@', len))
		return false;
	memcpy(name, s, len);
	name[len] = 0;
	return !obj_module_find(w->proc, w->mod, name, ret, &bytes);
}

static bool term(const struct where *w, const char **p, uint64_t *ret, bool *ret_is_addr)
{
	if (isdigit((unsigned char)**p)) {
		char *end;
		*ret = strtoull(*p, &end, 0);
		*p = end;
		return true;
	}
	size_t len = word_len(*p);
	*ret_is_addr = true;
	if (!symbol(w, *p, len, ret))
		return false;
	*p += len;
	return true;
}

static bool sum(const struct where *w, const char **p, uint64_t *ret, bool *ret_is_addr)
{
	uint64_t all = 0, v;
	while (**p && **p != '(') {
		bool minus = **p == '-';
		*p += **p == '-' || **p == '+';
		if (!term(w, p, &v, ret_is_addr))
			return false;
		all += minus ? -v : v;
		if (**p && **p != '(' && **p != '+' && **p != '-')
			return false;
	}
	*ret = all;
	return true;
}

/* ---- operands ---- */

static bool parse_scale(const char *p, uint8_t *ret)
{
	*ret = (uint8_t)(p[0] == '1' ? 0 : p[0] == '2' ? 1 : p[0] == '4' ? 2 : 3);
	return p[0] && strchr("1248", p[0]) && p[1] == ')' && !p[2];
}

/* (base,index,scale) */
static bool parse_brackets(const char *p, struct wire_uarg *a)
{
	struct reg r;
	p++;
	if (*p != ',') {
		if (!parse_reg(&p, &r) || r.bytes < 4)
			return false;
		a->reg = r.reg;
	}
	if (*p == ',') {
		p++;
		if (!parse_reg(&p, &r) || r.bytes < 4)
			return false;
		a->index = r.reg;
	}
	return *p == ',' ? parse_scale(p + 1, &a->shift) : *p == ')' && !p[1];
}

static bool parse_mem(const struct where *w, const char *p, struct wire_uarg *a)
{
	bool is_addr = false;
	a->kind = WIRE_UARG_MEM;
	a->reg = a->index = WIRE_UARG_NO_REG;
	bool in_fs = !strncmp(p, "%fs:", 4);
	p += in_fs ? 4 : 0;
	if (!*p || !sum(w, &p, &a->val, &is_addr) || (*p && (in_fs || !parse_brackets(p, a))))
		return false;
	if (in_fs) {
		a->reg = WIRE_UARG_FS;
		return !is_addr;
	}
	/* foo(%rip) is foo; the symbol's address is known. */
	if (a->reg == WIRE_RIP && is_addr)
		a->reg = WIRE_UARG_NO_REG;
	return true;
}

static bool parse_operand(const struct where *w, const char *p, struct wire_uarg *a)
{
	struct reg r;
	bool is_addr;
	if (*p == '$') {
		p++;
		a->kind = WIRE_UARG_CONST;
		return *p && sum(w, &p, &a->val, &is_addr) && !*p;
	}
	if (!strncmp(p, "%xmm", 4) && isdigit((unsigned char)p[4])) {
		char *end;
		unsigned long n = strtoul(p + 4, &end, 10);
		a->kind = WIRE_UARG_XMM;
		a->reg = (uint8_t)n;
		a->is_float = true;
		return n < 16 && !*end;
	}
	if (*p != '%' || !strncmp(p, "%fs:", 4))
		return parse_mem(w, p, a);
	a->kind = WIRE_UARG_REG;
	if (!parse_reg(&p, &r) || *p)
		return false;
	a->reg = r.reg;
	a->reg_bytes = r.bytes;
	a->shift = r.shift;
	return true;
}

/* "-4f@"; without it a value is as long as its register. Returns what follows. */
static const char *parse_size(const char *p, struct wire_uarg *a)
{
	char *end;
	long n = strtol(p, &end, 10);
	if (end == p || (*end != '@' && (end[0] != 'f' || end[1] != '@')))
		return p;
	a->is_float = *end == 'f';
	a->is_signed = n < 0;
	n = n < 0 ? -n : n;
	a->bytes = n == 1 || n == 2 || n == 4 || n == 8 ? (uint8_t)n : 0;
	return strchr(end, '@') + 1;
}

static void parse_arg(const struct where *w, const char *p, struct wire_uarg *ret)
{
	struct wire_uarg a = { .reg = WIRE_UARG_NO_REG, .index = WIRE_UARG_NO_REG };
	const char *operand = parse_size(p, &a);
	bool ok = (operand == p || a.bytes) && parse_operand(w, operand, &a);
	if (!a.bytes)
		a.bytes = a.kind == WIRE_UARG_REG && ok ? a.reg_bytes : 8;
	if (!ok)
		a = (struct wire_uarg){ .bytes = a.bytes, .is_signed = a.is_signed, .is_float = a.is_float };
	*ret = a;
}

/* A declaration may show them in another order, some twice or not at all. */
static void show_as_declared(const struct obj_usdt *u, struct wire_uargs *args)
{
	const struct wire_uargs native = *args;
	if (!u->type_cnt)
		return;
	args->cnt = u->type_cnt < WIRE_UARG_MAX ? u->type_cnt : WIRE_UARG_MAX;
	for (uint32_t i = 0; i < args->cnt; i++) {
		uint32_t from;
		obj_usdt_type(u, i, &from);
		args->v[i] = from < native.cnt ? native.v[from] : (struct wire_uarg){ .bytes = 8 };
	}
}

void obj_usdt_args(struct obj_proc *proc, struct obj_module *mod, const struct obj_usdt *u, struct wire_uargs *ret)
{
	const struct where w = { proc, mod };
	char text[512];
	*ret = (struct wire_uargs){ 0 };
	for (const char *p = u->args; ret->cnt < WIRE_UARG_MAX;) {
		p += strspn(p, " ");
		size_t len = strcspn(p, " ");
		if (!len)
			break;
		struct wire_uarg *a = &ret->v[ret->cnt++];
		if (len < sizeof(text)) {
			memcpy(text, p, len);
			text[len] = 0;
			parse_arg(&w, text, a);
		} else {
			*a = (struct wire_uarg){ .bytes = 8 };
		}
		p += len;
	}
	show_as_declared(u, ret);
}
