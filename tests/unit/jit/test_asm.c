/* SPDX-License-Identifier: MIT */
/* Every form for every register, read back by the decoder, which is not ours. */
#include "isa/isa.h"
#include "jit/x86_64/asm.h"

#include "../tap.h"

#include <ctype.h>
#include <errno.h>

#define ADDR 0x10000000ULL

static const char *const r64[] = { "%rax", "%rcx", "%rdx", "%rbx", "%rsp", "%rbp", "%rsi", "%rdi", "%r8", "%r9", "%r10",
	"%r11", "%r12", "%r13", "%r14", "%r15" };
static const char *const r32[] = { "%eax", "%ecx", "%edx", "%ebx", "%esp", "%ebp", "%esi", "%edi", "%r8d", "%r9d", "%r10d",
	"%r11d", "%r12d", "%r13d", "%r14d", "%r15d" };
static const char *const r16[] = { "%ax", "%cx", "%dx", "%bx", "%sp", "%bp", "%si", "%di", "%r8w", "%r9w", "%r10w", "%r11w",
	"%r12w", "%r13w", "%r14w", "%r15w" };
static const char *const r8[] = { "%al", "%cl", "%dl", "%bl", "%spl", "%bpl", "%sil", "%dil", "%r8b", "%r9b", "%r10b", "%r11b",
	"%r12b", "%r13b", "%r14b", "%r15b" };

static uint8_t buf[64];
static struct x64_asm as;

static struct x64_asm *begin(void)
{
	x64_deinit(&as);
	memset(buf, 0xcc, sizeof(buf));
	x64_init(&as, buf, sizeof(buf), ADDR);
	return &as;
}

/* Without spaces, capitals and the leading zeros of hexadecimal numbers. */
static void normalize(const char *from, char *to)
{
	for (const char *start = from; *from; from++) {
		if (*from == ' ')
			continue;
		*to++ = (char)tolower((unsigned char)*from);
		if (*from == 'x' && from > start && from[-1] == '0')
			while (from[1] == '0' && isxdigit((unsigned char)from[2]))
				from++;
	}
	*to = 0;
}

/* What was emitted since begin() must be one instruction that reads so. */
__attribute__((format(printf, 1, 2)))
static void expect(const char *fmt, ...)
{
	char text[128], want[128], got[128];
	struct isa_insn in = { 0 };
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	normalize(text, want);
	CHECK(x64_finish(&as) >= 0);
	isa_decode(buf, sizeof(buf), ADDR, &in);
	text[0] = 0;
	isa_format(buf, sizeof(buf), ADDR, text, sizeof(text));
	normalize(text, got);
	CHECK_MSG(in.len == as.len, "%s: %zu bytes, the decoder sees %u: %s", want, as.len, in.len, got);
	CHECK_STR(got, want);
}

static void registers(void)
{
	for (unsigned d = 0; d < 16; d++)
		for (unsigned s = 0; s < 16; s++) {
			enum x64_reg rd = (enum x64_reg)d, rs = (enum x64_reg)s;
			x64_rr(begin(), X64_ADD, rd, rs);
			expect("add %s, %s", r64[s], r64[d]);
			x64_rr(begin(), X64_IMUL, rd, rs);
			expect("imul %s, %s", r64[s], r64[d]);
			x64_rr(begin(), X64_CMP32, rd, rs);
			expect("cmp %s, %s", r32[s], r32[d]);
			x64_rr(begin(), X64_TEST, rs, rd);
			expect("test %s, %s", r64[s], r64[d]);
			x64_rr(begin(), X64_MOVZX8, rd, rs);
			expect("movzx %s, %s", r8[s], r32[d]);
			x64_rr(begin(), X64_MOVZX16, rd, rs);
			expect("movzx %s, %s", r16[s], r32[d]);
			x64_rr(begin(), X64_MOVSX8, rd, rs);
			expect("movsx %s, %s", r8[s], r64[d]);
			x64_rr(begin(), X64_MOVSX16, rd, rs);
			expect("movsx %s, %s", r16[s], r64[d]);
			x64_rr(begin(), X64_MOVSX32, rd, rs);
			expect("movsxd %s, %s", r32[s], r64[d]);
			if (d != s) {
				x64_mov(begin(), rd, rs);
				expect("mov %s, %s", r64[s], r64[d]);
			}
			x64_imul_imm(begin(), rd, rs, 1000);
			expect("imul $0x3e8, %s, %s", r64[s], r64[d]);
		}
}

static void single_registers(void)
{
	for (unsigned i = 0; i < 16; i++) {
		enum x64_reg r = (enum x64_reg)i;
		x64_push(begin(), r);
		expect("push %s", r64[i]);
		x64_pop(begin(), r);
		expect("pop %s", r64[i]);
		x64_zero(begin(), r);
		expect("xor %s, %s", r32[i], r32[i]);
		x64_setcc(begin(), X64_CC_BE, r);
		expect("setbe %s", r8[i]);
		x64_shift_imm(begin(), X64_SAR, r, 7);
		expect("sar $0x07, %s", r64[i]);
		x64_shift_cl(begin(), X64_SHL, r);
		expect("shl %%cl, %s", r64[i]);
		x64_unary(begin(), X64_IDIV, r);
		expect("idiv %s", r64[i]);
		x64_unary(begin(), X64_NOT, r);
		expect("not %s", r64[i]);
		x64_bts(begin(), r, 61);
		expect("bts $0x3D, %s", r64[i]);
		x64_rdfsbase(begin(), r);
		expect("rdfsbase %s", r64[i]);
		x64_fs(begin(), X64_LOAD, r, 0);
		expect("mov %%fs:0x00, %s", r64[i]);
		x64_imul32_fs(begin(), r, 8, 77);
		expect("imul $0x4D, %%fs:0x08, %s", r32[i]);
		x64_imul32_imm(begin(), r, X64_R9, 77);
		expect("imul $0x4D, %%r9d, %s", r32[i]);
		x64_mov_ss(begin(), r);
		expect("mov %%ss, %s", r32[i]);
	}
}

static void immediates(void)
{
	for (unsigned i = 0; i < 16; i++) {
		enum x64_reg r = (enum x64_reg)i;
		x64_mov_imm(begin(), r, 0x80000000);
		expect("mov $-0x80000000, %s", r32[i]);
		CHECK_EQ(as.len, i < 8 ? 5 : 6);
		x64_mov_imm(begin(), r, (uint64_t)-2);
		expect("mov $-0x2, %s", r64[i]);
		CHECK_EQ(as.len, 7);
		x64_mov_imm(begin(), r, 0x123456789abcdefULL);
		expect("mov $0x123456789ABCDEF, %s", r64[i]);
		CHECK_EQ(as.len, 10);
		x64_group_imm(begin(), X64_G_SUB, r, -128);
		expect("sub $-0x80, %s", r64[i]);
		CHECK_EQ(as.len, 4);
		x64_group_imm(begin(), X64_G_AND, r, 128);
		expect("and $0x80, %s", r64[i]);
		CHECK_EQ(as.len, 7);
	}
}

static void memory(void)
{
	static const int32_t disps[] = { 0, 8, 0x12345 };
	for (unsigned r = 0; r < 16; r++)
		for (unsigned b = 0; b < 16; b++)
			for (unsigned d = 0; d < ARRAY_CNT(disps); d++) {
				struct x64_mem m = x64_at((enum x64_reg)b, disps[d]);
				char at[40];
				if (disps[d])
					snprintf(at, sizeof(at), "0x%02x(%s)", (unsigned)disps[d], r64[b]);
				else
					snprintf(at, sizeof(at), "(%s)", r64[b]);
				x64_rm(begin(), X64_LOAD, (enum x64_reg)r, m);
				expect("mov %s, %s", at, r64[r]);
				x64_rm(begin(), X64_STORE8, (enum x64_reg)r, m);
				expect("mov %s, %s", r8[r], at);
				x64_rm(begin(), X64_STORE16, (enum x64_reg)r, m);
				expect("mov %s, %s", r16[r], at);
				x64_rm(begin(), X64_LEA, (enum x64_reg)r, m);
				expect("lea %s, %s", at, r64[r]);
			}
}

static void indexed(void)
{
	for (unsigned b = 0; b < 16; b++)
		for (unsigned i = 0; i < 16; i++) {
			if (i == X64_RSP)
				continue;
			x64_rm(begin(), X64_LOAD32, X64_R9, x64_at_index((enum x64_reg)b, (enum x64_reg)i, 0x4000));
			expect("mov 0x4000(%s,%s,1), %%r9d", r64[b], r64[i]);
		}
}

static void rip_relative(void)
{
	struct isa_insn in;
	const uint64_t target = ADDR + 0x1000;
	x64_rm(begin(), X64_LOAD, X64_R12, x64_at(X64_RIP, (int64_t)target));
	CHECK(!isa_decode(buf, sizeof(buf), ADDR, &in) && in.rip_rel && in.rip_target == target && in.len == as.len);
	for (unsigned bytes = 1; bytes <= 8; bytes *= 2) {
		x64_store_imm(begin(), bytes, x64_at(X64_RIP, (int64_t)target), -3);
		CHECK(!isa_decode(buf, sizeof(buf), ADDR, &in) && in.rip_rel && in.rip_target == target && in.len == as.len);
	}
	x64_cmp32_imm(begin(), x64_at(X64_RIP, (int64_t)target), 1000);
	CHECK(!isa_decode(buf, sizeof(buf), ADDR, &in) && in.rip_rel && in.rip_target == target && in.len == as.len);
}

static void calls(void)
{
	struct isa_insn in;
	x64_call(begin(), ADDR - 0x123456);
	CHECK(!isa_decode(buf, sizeof(buf), ADDR, &in) && in.flow == ISA_CALL && in.target == ADDR - 0x123456 && in.len == as.len);
	x64_call(begin(), ADDR + (1ULL << 40));
	CHECK_EQ(as.len, 12);
	CHECK(!isa_decode(buf, sizeof(buf), ADDR, &in) && in.len == 10);
	CHECK(!isa_decode(buf + 10, 2, ADDR, &in) && in.flow == ISA_CALL && in.len == 2);
}

static void branches(void)
{
	struct isa_insn in;
	struct x64_asm *a = begin();
	uint32_t back = x64_label(a), fwd = x64_label(a);
	x64_bind(a, back);
	x64_jcc(a, X64_CC_L, fwd);
	x64_jmp(a, back);
	x64_bind(a, fwd);
	x64_ret(a);
	CHECK_EQ(x64_finish(a), 12);
	CHECK(!isa_decode(buf, 12, ADDR, &in) && in.flow == ISA_JCC && in.target == ADDR + 11);
	CHECK(!isa_decode(buf + 6, 6, ADDR + 6, &in) && in.flow == ISA_JMP && in.target == ADDR);
}

static void counts_past_the_end(void)
{
	x64_deinit(&as);
	memset(buf, 0xcc, sizeof(buf));
	x64_init(&as, buf, 4, ADDR);
	x64_mov_imm(&as, X64_RAX, UINT64_MAX >> 1);
	CHECK_EQ(as.len, 10);
	CHECK_EQ(x64_finish(&as), -ENOSPC);
	CHECK_EQ(buf[4], 0xcc);
}

TAP_MAIN(TEST(registers), TEST(single_registers), TEST(immediates), TEST(memory), TEST(indexed), TEST(rip_relative), TEST(calls),
	 TEST(branches), TEST(counts_past_the_end))
