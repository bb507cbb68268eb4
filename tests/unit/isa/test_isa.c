/* SPDX-License-Identifier: MIT */
#include "isa/isa.h"

#include "../tap.h"

#include <errno.h>

#define AT 0x401000

static struct isa_insn dec(const char *bytes, size_t cnt)
{
	struct isa_insn in = { 0 };
	CHECK_EQ(isa_decode((const uint8_t *)bytes, cnt, AT, &in), 0);
	CHECK_EQ(in.len, cnt);
	return in;
}
#define DEC(s) dec(s, sizeof(s) - 1)

static void flow(void)
{
	CHECK_EQ(DEC("\xc3").flow, ISA_RET);
	CHECK_EQ(DEC("\xc2\x08\0").flow, ISA_RET);
	CHECK_EQ(DEC("\xf3\xc3").flow, ISA_RET);
	CHECK_EQ(DEC("\xeb\x10").flow, ISA_JMP);
	CHECK_EQ(DEC("\xeb\x10").target, AT + 0x12);
	CHECK_EQ(DEC("\x0f\x84\x10\0\0\0").flow, ISA_JCC);
	CHECK_EQ(DEC("\x0f\x84\x10\0\0\0").target, AT + 0x16);
	CHECK_EQ(DEC("\xe3\xfe").target, AT);
	CHECK_EQ(DEC("\xc7\xf8\x10\0\0\0").flow, ISA_JCC); /* xbegin */
	CHECK_EQ(DEC("\xe8\x10\0\0\0").flow, ISA_CALL);
	CHECK_EQ(DEC("\xff\xd0").flow, ISA_CALL);
	CHECK_EQ(DEC("\xff\xd0").target, 0);
	CHECK_EQ(DEC("\xff\xe0").flow, ISA_JMP_IND);
	CHECK_EQ(DEC("\xff\x25\0\0\0\0").flow, ISA_JMP_IND);
	CHECK_EQ(DEC("\x0f\x05").flow, ISA_SYSCALL);
	CHECK_EQ(DEC("\xcd\x80").flow, ISA_SYSCALL);
	CHECK_EQ(DEC("\xcc").flow, ISA_TRAP);
	CHECK_EQ(DEC("\x0f\x0b").flow, ISA_TRAP);
	CHECK_EQ(DEC("\xf4").flow, ISA_TRAP);
	struct isa_insn in;
	CHECK_EQ(isa_decode((const uint8_t *)"\x06", 1, AT, &in), -EINVAL);
	CHECK_EQ(isa_decode((const uint8_t *)"\xe8\0", 2, AT, &in), -EINVAL);
}

static void operands(void)
{
	struct isa_insn in = DEC("\x48\x8b\x05\x10\0\0\0");
	CHECK(in.rip_rel && in.rip_target == AT + 0x17 && in.op == ISA_OP_LOAD && in.reg == 0);
	in = DEC("\x48\x83\x3d\x10\0\0\0\x05");
	CHECK(in.rip_rel && in.rip_target == AT + 0x18);
	in = DEC("\x3e\xff\x24\xc5\0\x20\x40\0"); /* notrack jmp *0x402000(,%rax,8) */
	CHECK(in.notrack && in.abs_ref == 0x402000 && in.index == 0 && in.scale == 8 && in.base == ISA_REG_NONE);
	in = DEC("\x4a\x63\x04\xb2"); /* movslq (%rdx,%r14,4),%rax */
	CHECK(in.op == ISA_OP_LOAD && in.base == 2 && in.index == 14 && in.scale == 4 && in.reg == 0);
	in = DEC("\x49\x01\xd4"); /* add %rdx,%r12 */
	CHECK(in.op == ISA_OP_ADD && in.reg == 12);
	in = DEC("\xbf\0\x20\x40\0");
	CHECK(in.op == ISA_OP_MOV && in.abs_ref == 0x402000 && in.reg == 7);
	in = DEC("\x41\xff\xe4");
	CHECK(in.reg == 12 && !in.has_mem);
	CHECK(DEC("\x89\x7c\x24\xfc").touches_rsp_below);
	CHECK(!DEC("\x89\x7c\x24\x04").touches_rsp_below);
	CHECK(!DEC("\x48\x8d\x64\x24\x80").touches_rsp_below);
	CHECK(DEC("\xc5\xfa\x7f\x44\x24\xf0").touches_rsp_below); /* vmovdqu: VEX inverts its bits */
	CHECK(!DEC("\xc4\xc1\x7a\x7f\x44\x24\xf0").touches_rsp_below); /* -16(%r12) */
}

static void padding(void)
{
	CHECK(DEC("\x90").is_nop);
	CHECK(DEC("\x66\x90").is_nop);
	CHECK(DEC("\x66\x2e\x0f\x1f\x84\0\0\0\0\0").is_nop);
	CHECK(!DEC("\xf3\x90").is_nop); /* pause */
	CHECK(!DEC("\xcc").is_nop);
	CHECK(DEC("\xf3\x0f\x1e\xfa").is_endbr);
	CHECK(!DEC("\xf3\x0f\x1e\xfa").is_nop);
}

static void flags(void)
{
	CHECK(DEC("\x48\x83\xc0\x01").writes_flags);       /* add */
	CHECK(DEC("\x85\xc0").writes_flags);               /* test */
	CHECK(!DEC("\xff\xc0").writes_flags);              /* inc leaves CF */
	CHECK(!DEC("\xd3\xe0").writes_flags);              /* shl %cl: perhaps by 0 */
	CHECK(DEC("\xc1\xe0\x03").writes_flags);           /* shl $3 */
	CHECK(!DEC("\xc1\xe0\x20").writes_flags);          /* shl $32 is by 0 */
	CHECK(DEC("\xd1\xe0").writes_flags);
	CHECK(!DEC("\xf3\xa6").writes_flags);              /* repe cmpsb: perhaps never */
	CHECK(!DEC("\x48\x8d\x40\x01").writes_flags);      /* lea */
	CHECK(DEC("\x11\xd8").reads_flags);                /* adc */
	CHECK(DEC("\x0f\x44\xc3").reads_flags);            /* cmove */
	CHECK(DEC("\x74\x00").reads_flags);
	CHECK(DEC("\x9c").reads_flags);                    /* pushfq */
	CHECK(!DEC("\x01\xd8").reads_flags);
}

static void stack(void)
{
	CHECK(DEC("\x53").sp == ISA_SP_ADD && DEC("\x53").sp_delta == -8);
	CHECK(DEC("\x41\x5c").sp_delta == 8 && DEC("\x41\x5c").op == ISA_OP_POP);
	CHECK(DEC("\x5c").sp == ISA_SP_LOST); /* pop %rsp */
	CHECK_EQ(DEC("\x48\x83\xec\x18").sp_delta, -24);
	CHECK_EQ(DEC("\x48\x81\xc4\0\x01\0\0").sp_delta, 256);
	CHECK_EQ(DEC("\x48\x8d\x64\x24\x08").sp_delta, 8);
	CHECK(DEC("\xc9").sp == ISA_SP_FRAME && DEC("\xc9").sp_delta == 8);
	CHECK(DEC("\x48\x89\xec").sp == ISA_SP_FRAME);
	CHECK(DEC("\x48\x8d\x65\xd8").sp == ISA_SP_FRAME && DEC("\x48\x8d\x65\xd8").sp_delta == -40);
	CHECK_EQ(DEC("\x48\x83\xe4\xf0").sp, ISA_SP_LOST); /* and $-16,%rsp */
	CHECK_EQ(DEC("\x48\x29\xc4").sp, ISA_SP_LOST);     /* sub %rax,%rsp */
	CHECK_EQ(DEC("\x48\x89\xe5").sp, ISA_SP_SAME);     /* mov %rsp,%rbp */
	CHECK_EQ(DEC("\x48\x39\xe0").sp, ISA_SP_SAME);     /* cmp %rsp,%rax */
	CHECK_EQ(DEC("\xe8\0\0\0\0").sp, ISA_SP_SAME);
	CHECK(isa_writes_reg((const uint8_t *)"\x48\x98", 2, 0));  /* cltq */
	CHECK(!isa_writes_reg((const uint8_t *)"\x48\x39\xd8", 3, 0));
	CHECK(isa_writes_reg((const uint8_t *)"\x48\xf7\xe1", 3, 2)); /* mul writes rdx */
}

static int reloc(const char *bytes, size_t cnt, uint64_t to, uint8_t *buf, struct err *err)
{
	struct isa_insn in = dec(bytes, cnt);
	return isa_relocate((const uint8_t *)bytes, &in, AT, to, buf, ISA_RELOC_MAX, err);
}
#define RELOC(s, to) reloc(s, sizeof(s) - 1, to, buf, &err)
#define BYTES(s) (!memcmp(buf, s, sizeof(s) - 1))

static void relocate(void)
{
	uint8_t buf[ISA_RELOC_MAX];
	struct err err;
	CHECK_EQ(RELOC("\x48\x89\xf8", 0x500000), 3);
	CHECK(BYTES("\x48\x89\xf8"));
	CHECK_EQ(RELOC("\x74\x0e", 0x500000), 6); /* je 0x401010 */
	CHECK(BYTES("\x0f\x84\x0a\x10\xf0\xff"));
	CHECK_EQ(RELOC("\xe8\x0b\0\0\0", 0x500000), 10); /* push $0x401005; jmp 0x401010 */
	CHECK(BYTES("\x68\x05\x10\x40\x00\xe9\x06\x10\xf0\xff"));
	CHECK_EQ(RELOC("\xff\x14\x24", 0x500000), 12); /* call *(%rsp): the push moved it */
	CHECK(BYTES("\x68\x03\x10\x40\x00\xff\xa4\x24\x08\0\0\0"));
	CHECK_EQ(RELOC("\x48\x8d\x05\x09\0\0\0", 0x7f0000000000), 10); /* lea becomes movabs */
	CHECK(BYTES("\x48\xb8\x10\x10\x40\0\0\0\0\0"));
}

static void high_return_address(void)
{
	uint8_t buf[ISA_RELOC_MAX];
	struct isa_insn in;
	const uint8_t call[] = { 0xe8, 0, 0, 0, 0 };
	uint64_t at = 0x7f1234567000;
	CHECK_EQ(isa_decode(call, 5, at, &in), 0);
	CHECK_EQ(isa_relocate(call, &in, at, at + 0x1000, buf, sizeof(buf), NULL), 18);
	CHECK(BYTES("\x68\x05\x70\x56\x34\xc7\x44\x24\x04\x12\x7f\0\0\xe9"));
}

static void refused(void)
{
	uint8_t buf[ISA_RELOC_MAX];
	struct err err = { 0 };
	CHECK_EQ(RELOC("\x0f\x05", 0x500000), -EINVAL);
	CHECK(strstr(err.msg, "system call"));
	CHECK_EQ(RELOC("\xcc", 0x500000), -EINVAL);
	CHECK_EQ(RELOC("\xcb", 0x500000), -EINVAL);             /* lret */
	CHECK_EQ(RELOC("\xff\xd4", 0x500000), -EINVAL);         /* call *%rsp */
	CHECK_EQ(RELOC("\xff\x54\x24\xf8", 0x500000), -EINVAL); /* call *-8(%rsp) */
	CHECK_EQ(RELOC("\x66\xe9\0\0\0\0", 0x500000) < 0, 1);
	CHECK_EQ(RELOC("\x48\x89\x05\x10\0\0\0", 0x7f0000000000), -EINVAL); /* a store has no register to spare */
	CHECK(strstr(err.msg, "reach"));
	struct isa_insn in = DEC("\xe8\0\0\0\0");
	CHECK_EQ(isa_relocate((const uint8_t *)"\xe8\0\0\0\0", &in, AT, 0x500000, buf, 4, &err), -ENOSPC);
}

static void put(void)
{
	uint8_t buf[ISA_FAR_MAX];
	CHECK_EQ(isa_put_jmp(buf, 0x1000, 0x2000), 5);
	CHECK(BYTES("\xe9\xfb\x0f\0\0"));
	CHECK_EQ(isa_put_jmp(buf, 0x1000, 0x7f0000000000), 14);
	CHECK(BYTES("\xff\x25\0\0\0\0\0\0\0\0\0\x7f\0\0"));
	CHECK_EQ(isa_put_call(buf, 0x1000, 0x7f0000000000), 16);
	CHECK(BYTES("\xff\x15\x02\0\0\0\xeb\x08"));
	struct isa_insn in = DEC("\x75\x10");
	CHECK_EQ(isa_put_jcc_inverse(buf, (const uint8_t *)"\x75\x10", &in, 0x11), 6);
	CHECK(BYTES("\x0f\x84\x11\0\0\0"));
	in = DEC("\xe2\x10");
	CHECK_EQ(isa_put_jcc_inverse(buf, (const uint8_t *)"\xe2\x10", &in, 0x11), 0);
}

static void format(void)
{
	char text[80];
	CHECK_EQ(isa_format((const uint8_t *)"\xff\x54\x24\x78", 4, AT, text, sizeof(text)), 4);
	CHECK_STR(text, "call *0x78(%rsp)");
	isa_format((const uint8_t *)"\xff\xe0", 2, AT, text, sizeof(text));
	CHECK_STR(text, "jmp *%rax");
	isa_format((const uint8_t *)"\xe8\x0b\0\0\0", 5, AT, text, sizeof(text));
	CHECK_STR(text, "call 0x401010");
	CHECK_EQ(isa_format((const uint8_t *)"\x06", 1, AT, text, sizeof(text)), -EINVAL);
	CHECK_STR(text, "(bad)");
}

TAP_MAIN(TEST(flow), TEST(operands), TEST(padding), TEST(flags), TEST(stack), TEST(relocate),
	 TEST(high_return_address), TEST(refused), TEST(put), TEST(format))
