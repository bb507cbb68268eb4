/* SPDX-License-Identifier: MIT */
/*
 * Relocated instructions against the originals: both run from the same random
 * registers, flags and memory, and have to leave the same.
 */
#include "isa/isa.h"

#include "../tap.h"

#include <sys/mman.h>

struct state {
	uint64_t reg[16]; /* in the order of the encoding */
	uint64_t flags, exit;
};
void run_at(const void *code, struct state *);
extern const char run_exit_0[], run_exit_1[];

enum { PAGE = 4096, DATA = 1024, ROUNDS = 24, RSP = 4 };
#define HOME 0x20000000UL  /* original: code, then data, then stack */
#define NEAR 0x20100000UL
#define FAR 0x7e0000000000UL

static uint8_t *home, *near_by, *far_off;
static uint64_t seed = 88172645463325252ULL;

static uint64_t next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

static uint8_t *map(uint64_t at)
{
	void *p = mmap((void *)at, 4 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static bool maps(void)
{
	if (!home) {
		home = map(HOME);
		near_by = map(NEAR);
		far_off = map(FAR);
	}
	return home && near_by && far_off;
}

static uint8_t *put_exit(uint8_t *at, const char *exit)
{
	memcpy(at, "\xff\x25\0\0\0\0", 6);
	memcpy(at + 6, &exit, 8);
	return at + 14;
}

/* The target of direct branches is 64 bytes behind the instruction; indirect ones find it in memory. */
static uint8_t *target_of(void)
{
	return home + 64;
}

static void fill(uint8_t *data)
{
	uint64_t t = (uint64_t)(uintptr_t)target_of();
	for (int i = 0; i < DATA; i += 8)
		memcpy(data + i, &t, 8); /* any aligned word is a good target */
}

/* Every register is a good base for 8-byte operands, and rcx (loop, jrcxz) small now and then. */
static void random_state(struct state *s, const struct isa_insn *in)
{
	uint64_t data = HOME + PAGE;
	for (int i = 0; i < 16; i++)
		s->reg[i] = data + 128 + (next() % 16) * 8;
	if (in->index != ISA_REG_NONE && in->index != in->base)
		s->reg[in->index] = next() % 4;
	if (in->flow == ISA_JCC && !in->has_mem)
		s->reg[1] = next() % 3 ? next() % 3 : (next() << 32) | (next() % 2);
	if (in->reg != ISA_REG_NONE && (in->flow == ISA_CALL || in->flow == ISA_JMP_IND))
		s->reg[in->reg] = (uint64_t)(uintptr_t)target_of();
	s->reg[RSP] = HOME + PAGE + 400; /* nobody calls through the word below it */
	s->flags = 0x202 | (next() & 0x8d5);
}

struct result {
	struct state s;
	uint8_t data[DATA];
};

static void run(const void *code, const struct state *in, struct result *ret)
{
	fill(home + PAGE);
	ret->s = *in;
	run_at(code, &ret->s);
	memcpy(ret->data, home + PAGE, DATA);
}

static void describe(const char *what, const uint8_t *code, uint32_t cnt)
{
	char text[128];
	for (uint32_t at = 0; at < cnt;) {
		int n = isa_format(code + at, cnt - at, (uint64_t)(uintptr_t)code + at, text, sizeof(text));
		printf("# %s %s\n", what, text);
		at += n < 0 ? cnt : (uint32_t)n;
	}
}

/* Relocates to @place and compares; returns whether it could be moved. */
static bool compare(const struct isa_insn *in, uint8_t *place)
{
	uint64_t from = (uint64_t)(uintptr_t)home, to = (uint64_t)(uintptr_t)place;
	int n = isa_relocate(home, in, from, to, place, ISA_RELOC_MAX, NULL);
	if (n < 0)
		return false;
	put_exit(place + n, run_exit_0);
	for (int i = 0; i < ROUNDS; i++) {
		struct state s;
		struct result a, b;
		random_state(&s, in);
		run(home, &s, &a);
		run(place, &s, &b);
		if (CHECK(!memcmp(&a, &b, sizeof(a))))
			continue;
		describe("original:", home, in->len);
		describe("moved:", place, (uint32_t)n);
		break;
	}
	return true;
}

/* @bytes with 44332211 for a rip-relative displacement; a branch's displacement is set to reach the target. */
static void form(const uint8_t *bytes, uint32_t cnt, bool far_too)
{
	struct isa_insn in;
	memset(home, 0xcc, 256);
	memcpy(home, bytes, cnt);
	put_exit(home + cnt, run_exit_0);
	put_exit(target_of(), run_exit_1);
	uint8_t *disp = memmem(home, cnt, "\x44\x33\x22\x11", 4);
	if (disp) {
		int32_t d = (int32_t)(PAGE + 64 - cnt);
		memcpy(disp, &d, 4);
	}
	if (!CHECK_MSG(!isa_decode(home, cnt, HOME, &in) && in.len == cnt, "%02x %02x %02x...", home[0], home[1], home[2]))
		return;
	if (in.target) {
		int32_t d = (int32_t)(64 - cnt);
		bool byte = cnt == 2 || (home[0] == 0x67 && cnt == 3);
		memcpy(home + cnt - (byte ? 1 : 4), &d, byte ? 1 : 4);
		isa_decode(home, cnt, HOME, &in);
	}
	if (!CHECK(compare(&in, near_by)) || !CHECK(compare(&in, far_off) == far_too))
		describe("form:", home, cnt);
}

#define FORM(s, far) form((const uint8_t *)(s), sizeof(s) - 1, far)
#define D "\x44\x33\x22\x11"

static void rip_relative(void)
{
	if (!maps())
		SKIP("no memory at the addresses that the test needs");
	FORM("\x8b\x05" D, true);              /* mov m,%eax */
	FORM("\x48\x8b\x1d" D, true);
	FORM("\x4c\x8b\x25" D, true);          /* r12 and r13 need SIB and displacement bytes */
	FORM("\x4c\x8b\x2d" D, true);
	FORM("\x44\x8b\x05" D, true);
	FORM("\x48\x63\x0d" D, true);          /* movslq */
	FORM("\x48\x8d\x05" D, true);          /* lea */
	FORM("\x4c\x8d\x3d" D, true);
	FORM("\x66\x8b\x05" D, false);
	FORM("\x8a\x05" D, false);
	FORM("\x0f\xb6\x05" D, false);         /* movzbl */
	FORM("\x89\x05" D, false);
	FORM("\x48\x03\x05" D, false);
	FORM("\x48\x83\x05" D "\x07", false);  /* immediates behind the displacement */
	FORM("\x48\x81\x05" D "\x01\x02\x03\x04", false);
	FORM("\x66\xc7\x05" D "\x01\x02", false);
	FORM("\x80\x3d" D "\x05", false);
	FORM("\xf0\x48\x0f\xc1\x05" D, false); /* lock xadd */
	FORM("\x0f\x28\x05" D, false);         /* movaps */
	FORM("\x66\x0f\x70\x05" D "\x1b", false);
	FORM("\xf2\x0f\x10\x0d" D, false);
	FORM("\xff\x35" D, false);             /* push m */
	FORM("\x8f\x05" D, false);
	FORM("\x48\x0f\x44\x05" D, false);     /* cmove */
	FORM("\x0f\x94\x05" D, false);         /* sete m */
	FORM("\x48\xd1\x25" D, false);         /* shl m */
	FORM("\x48\x0f\xba\x2d" D "\x03", false); /* bts */
	FORM("\xc5\xfa\x6f\x05" D, false);     /* vmovdqu */
	FORM("\xc4\xe2\x79\x59\x05" D, false); /* vpbroadcastq */
	FORM("\x48\x69\x05" D "\x03\x00\x00\x00", false);
	FORM("\xff\x15" D, false);             /* call *m */
	FORM("\xff\x25" D, false);             /* jmp *m */
}

static void direct_branches(void)
{
	if (!maps())
		SKIP("no memory at the addresses that the test needs");
	for (int cc = 0; cc < 16; cc++) {
		uint8_t b8[2] = { 0x70 | cc, 0 }, b32[6] = { 0x0f, 0x80 | cc };
		form(b8, 2, true);
		form(b32, 6, true);
	}
	for (int op = 0xe0; op < 0xe4; op++) { /* loopne, loope, loop, jrcxz */
		uint8_t b[2] = { op, 0 }, addr32[3] = { 0x67, op, 0 };
		form(b, 2, true);
		form(addr32, 3, true);
	}
	FORM("\xeb\0", true);
	FORM("\xe9\0\0\0\0", true);
	FORM("\xe8\0\0\0\0", true);
	FORM("\x2e\x0f\x84\0\0\0\0", true);
	FORM("\xf2\xe9\0\0\0\0", true); /* bnd */
	FORM("\x66\x66\x48\xe8\0\0\0\0", true); /* as linkers write calls of __tls_get_addr */
}

static void by_register(int r)
{
	uint8_t call[3] = { 0x40 | r >> 3, 0xff, 0xd0 | (r & 7) }, jmp[3] = { 0x40 | r >> 3, 0xff, 0xe0 | (r & 7) };
	if (r == RSP)
		return;
	form(call, 3, true);
	form(jmp, 3, true);
}

static void by_memory(int r, int op)
{
	uint8_t rex = 0x40 | r >> 3, lo = r & 7;
	if (lo != RSP && lo != 5)
		form((uint8_t[]){ rex, 0xff, op | lo }, 3, true);
	if (lo != RSP) {
		form((uint8_t[]){ rex, 0xff, 0x40 | op | lo, 0x10 }, 4, true);
		form((uint8_t[]){ rex, 0xff, 0x80 | op | lo, 0x20, 0, 0, 0 }, 7, true);
	} else {
		form((uint8_t[]){ rex, 0xff, op | lo, 0x24 }, 4, true);
		form((uint8_t[]){ rex, 0xff, 0x40 | op | lo, 0x24, 0x78 }, 5, true);
		form((uint8_t[]){ rex, 0xff, 0x80 | op | lo, 0x24, 0x80, 0, 0, 0 }, 8, true);
		form((uint8_t[]){ rex, 0xff, op | lo, 0xc4 }, 4, true);       /* (base,%rax,8) */
		form((uint8_t[]){ rex, 0xff, 0x40 | op | lo, 0xf4, 0x08 }, 5, true); /* 8(base,%rsi,8) */
	}
}

static void indirect_branches(void)
{
	if (!maps())
		SKIP("no memory at the addresses that the test needs");
	for (int r = 0; r < 16; r++) {
		by_register(r);
		by_memory(r, 0x10);
		by_memory(r, 0x20);
	}
	FORM("\x3e\xff\xe0", true); /* notrack */
}

TAP_MAIN(TEST(rip_relative), TEST(direct_branches), TEST(indirect_branches))
