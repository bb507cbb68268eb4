/* SPDX-License-Identifier: MIT */
/*
 * What Zydis said once of instructions that look alike.  Prefix, opcode, ModRM's reg field and whether rm is a register
 * make a *shape*: all but lengths, addresses and immediates is the same for all instructions of one, and those are read
 * here.  Compiled code has some hundreds of shapes, so that nearly nothing of it goes through the decoder's tree: an
 * eighth of the time.
 *
 * A shape is learnt from the first instruction that has it; what depends on more than the shape (extension spaces, moves
 * to special registers, opcodes that go on in rm) is never learnt, and decoded each time.
 */
#include "isa/x86_64/x86_64_int.h"

#include "base/base.h"

#include <string.h>

enum { NEW, CLAIMED, KNOWN };

struct shape { /* 16 bytes: most of the time goes into fetching these */
	const ZydisAccessedFlags *flags;
	uint16_t mnemonic;
	uint8_t category, operand_width;
	uint8_t imm_bits;
	bool imm_signed : 1, imm_relative : 1, has_modrm : 1, has_rep : 1;
	uint8_t state;
};

/* prefix, REX.W, opcode map, opcode, ModRM.reg where it goes on there, ModRM.mod == 3 */
static struct shape shapes[4][2][2][256][8][2];

#define REP (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)

/* An instruction taken apart as far as that is the same for all. */
struct parts {
	const uint8_t *bytes;
	uint32_t cnt, at; /* at: behind the opcode */
	/* Words: bytes that are written one by one would be read together again, which takes long. */
	uint32_t rex, prefix, opcode;
	uint32_t wide, two_bytes, has_space; /* has_space: a prefix that means nothing stands before it */
};

static bool is_prefix(uint8_t b)
{
	switch (b) {
	case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x66: case 0x67: case 0xf0: case 0xf2: case 0xf3:
		return true;
	default:
		return (b & 0xf0) == 0x40;
	}
}

/* False: by the decoder. */
static bool take_apart(struct parts *p)
{
	uint32_t i = 0;
	for (; i < p->cnt; i++) {
		uint8_t b = p->bytes[i];
		if (b == 0x66 && (p->prefix == 0 || p->prefix == 1))
			p->prefix = 1;
		else if ((b == 0xf3 || b == 0xf2) && !p->prefix)
			p->prefix = b == 0xf3 ? 2 : 3;
		else if (b == 0x2e)
			p->has_space = true;
		else if (b != 0x64 && b != 0x65)
			break;
	}
	if (i < p->cnt && (p->bytes[i] & 0xf0) == 0x40)
		p->rex = p->bytes[i++];
	if (i + 1 >= p->cnt || is_prefix(p->bytes[i]))
		return false;
	p->two_bytes = p->bytes[i] == 0x0f;
	i += p->two_bytes;
	p->opcode = p->bytes[i++];
	p->wide = p->rex >> 3 & 1;
	p->at = i;
	/* Padding only: elsewhere that prefix may be a hint. */
	return !p->has_space || (p->two_bytes && p->opcode == 0x1f);
}

/* Those that go on in ModRM's reg field (Intel SDM volume 2, table A-6), a bit for each opcode. */
static bool is_group(const struct parts *p)
{
	static const uint64_t one[4] = { 0, 0, 0x800full, 0xc0c00000ff0f00c3ull };
	static const uint64_t two[4] = { 0xff002003ull, 0x30e000000000000ull, 0x600400000000000ull, 0x8000000000000080ull };
	const uint64_t *bits = p->two_bytes ? two : one;
	return bits[p->opcode / 64] >> p->opcode % 64 & 1;
}

/* Opcodes of which the shape does not say all. */
static bool depends_on_more(const struct parts *p, uint8_t reg, bool by_reg)
{
	if (!p->two_bytes)
		switch (p->opcode) {
		case 0x62: case 0xc4: case 0xc5: case 0x8f: /* extension spaces */
		case 0x8c: case 0x8e: /* segment registers */
		case 0xa0 ... 0xa3: /* an address in full */
		case 0xc8: /* two immediates */
			return true;
		case 0x90: /* with an extended register an xchg */
			return p->rex & 1;
		case 0xc6: case 0xc7:
			return reg == 7;
		case 0xd8 ... 0xdf:
			return by_reg;
		default:
			return false;
		}
	switch (p->opcode) {
	case 0x01: case 0x0f: case 0x38: case 0x3a: case 0xa6: case 0xa7:
	case 0x1a: case 0x1b: case 0x20 ... 0x27: /* bound, control and debug registers */
		return true;
	case 0x1e: /* endbr64 and its kin */
	case 0xae:
		return by_reg;
	default:
		return false;
	}
}

static void learn(struct shape *s, const struct parts *p, const ZydisDecodedInstruction *z)
{
	uint8_t now = NEW;
	if (z->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || z->raw.imm[1].size ||
	    z->opcode_map != (p->two_bytes ? ZYDIS_OPCODE_MAP_0F : ZYDIS_OPCODE_MAP_DEFAULT) || z->opcode != p->opcode)
		return;
	if (!__atomic_compare_exchange_n(&s->state, &now, CLAIMED, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return;
	s->flags = z->cpu_flags;
	s->has_rep = z->attributes & REP;
	s->mnemonic = (uint16_t)z->mnemonic;
	s->category = (uint8_t)z->meta.category;
	s->operand_width = z->operand_width;
	s->imm_bits = z->raw.imm[0].size;
	s->imm_signed = z->raw.imm[0].is_signed;
	s->imm_relative = z->raw.imm[0].is_relative;
	s->has_modrm = z->attributes & ZYDIS_ATTRIB_HAS_MODRM;
	STORE_RELEASE(&s->state, (uint8_t)KNOWN);
}

static int64_t read_signed(const uint8_t *at, uint32_t bits)
{
	int16_t w;
	int32_t d;
	int64_t q;
	switch (bits) {
	case 8:
		return (int8_t)*at;
	case 16:
		memcpy(&w, at, sizeof(w));
		return w;
	case 32:
		memcpy(&d, at, sizeof(d));
		return d;
	default:
		memcpy(&q, at, sizeof(q));
		return q;
	}
}

/* Intel SDM volume 2, 2.1.3: ModRM, SIB and displacement at @at; where they end. */
static uint32_t read_modrm(const struct parts *p, ZydisDecodedInstruction *z)
{
	uint32_t at = p->at;
	uint8_t m = p->bytes[at++];
	z->raw.modrm.mod = m >> 6;
	z->raw.modrm.reg = m >> 3 & 7;
	z->raw.modrm.rm = m & 7;
	z->raw.disp.size = 0;
	if (m >> 6 == 3)
		return at;
	uint8_t base = m & 7;
	if (base == 4 && at < p->cnt) {
		uint8_t sib = p->bytes[at++];
		z->raw.sib.scale = sib >> 6;
		z->raw.sib.index = sib >> 3 & 7;
		z->raw.sib.base = sib & 7;
		base = sib & 7;
	} else if (base == 4) {
		return UINT32_MAX;
	}
	uint8_t bits = m >> 6 == 1 ? 8 : m >> 6 == 2 || base == 5 ? 32 : 0;
	if (!bits)
		return at;
	if (at + bits / 8 > p->cnt)
		return UINT32_MAX;
	z->raw.disp.size = bits;
	z->raw.disp.value = read_signed(p->bytes + at, bits);
	return at + bits / 8;
}

static bool fill(const struct shape *s, const struct parts *p, ZydisDecodedInstruction *z)
{
	uint32_t at = p->at;
	z->raw.disp.size = 0;
	if (s->has_modrm)
		at = read_modrm(p, z);
	uint32_t imm = s->imm_bits / 8u;
	if (at > ISA_INSN_MAX || at + imm > p->cnt || at + imm > ISA_INSN_MAX)
		return false;
	z->raw.imm[0].size = s->imm_bits;
	z->raw.imm[0].is_relative = s->imm_relative;
	z->raw.imm[0].value.s = 0;
	if (imm) {
		z->raw.imm[0].value.s = read_signed(p->bytes + at, s->imm_bits);
		if (!s->imm_signed && s->imm_bits < 64)
			z->raw.imm[0].value.u &= (1ull << s->imm_bits) - 1;
	}
	z->length = (uint8_t)(at + imm);
	z->raw.rex.W = p->rex >> 3 & 1;
	z->raw.rex.R = p->rex >> 2 & 1;
	z->raw.rex.X = p->rex >> 1 & 1;
	z->raw.rex.B = p->rex & 1;
	z->encoding = ZYDIS_INSTRUCTION_ENCODING_LEGACY;
	z->opcode_map = p->two_bytes ? ZYDIS_OPCODE_MAP_0F : ZYDIS_OPCODE_MAP_DEFAULT;
	z->opcode = (uint8_t)p->opcode;
	z->mnemonic = s->mnemonic;
	z->attributes = (s->has_modrm ? ZYDIS_ATTRIB_HAS_MODRM : 0) | (s->has_rep ? REP : 0);
	z->cpu_flags = s->flags;
	z->operand_width = s->operand_width;
	z->meta.category = s->category;
	return true;
}

int isa_parts(const uint8_t *bytes, size_t cnt, ZydisDecodedInstruction *ret)
{
	struct parts p = { .bytes = bytes, .cnt = cnt < ISA_INSN_MAX ? (uint32_t)cnt : ISA_INSN_MAX };
	if (!take_apart(&p) || p.at >= p.cnt)
		return isa_zydis(bytes, cnt, ret);
	uint8_t modrm = bytes[p.at], reg = modrm >> 3 & 7;
	bool by_reg = modrm >> 6 == 3;
	struct shape *s = &shapes[p.prefix][p.wide][p.two_bytes][p.opcode][is_group(&p) ? reg : 0][by_reg];
	bool known = LOAD_ACQUIRE(&s->state) == KNOWN;
	if (known && (p.two_bytes || p.opcode != 0x90 || !(p.rex & 1)) && fill(s, &p, ret))
		return 0;
	int r = isa_zydis(bytes, cnt, ret);
	if (!r && !known && !depends_on_more(&p, reg, by_reg))
		learn(s, &p, ret);
	return r;
}
