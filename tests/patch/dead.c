/* SPDX-License-Identifier: MIT */
/* The beginnings of programs' functions, run twice: whatever is in a register that patch_dead() calls dead, the same comes out. */
#include "elf_funcs.h"

#include "../unit/tap.h"

#include <sys/mman.h>

enum { STACK = 4096, CODE_MAX = 64, RSP = 4 };

struct state {
	uint64_t reg[16]; /* in the order of the encoding */
	uint64_t flags, exit;
};
void run_at(const void *code, struct state *);
extern const char run_exit_0[];

static const char *const files[] = { "/bin/bash", "/usr/bin/python3.11", "/lib/x86_64-linux-gnu/libc.so.6" };
static uint8_t stack[STACK] __attribute__((aligned(64)));
static uint8_t *page;
static uint64_t seed = 88172645463325252ull;
static uint32_t ran, with_dead, with_rax;

static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* How many bytes of @code can be run elsewhere as patch_dead() has walked through them. */
static uint32_t can_run(const uint8_t *code, size_t bytes)
{
	struct isa_regs regs;
	struct isa_insn in;
	uint32_t at = 0, len;
	for (; at < bytes && (len = isa_plain_regs(code + at, bytes - at, &regs)); at += len)
		if (isa_decode(code + at, bytes - at, 0, &in) || (in.has_mem && in.op != ISA_OP_LEA && in.base != RSP) || in.rip_rel ||
		    in.sp > ISA_SP_ADD || in.disp > STACK / 8 || in.disp < -STACK / 8 || in.sp_delta < -STACK / 8)
			break;
	return at;
}

static void put(const uint8_t *code, uint32_t bytes)
{
	const char *exit = run_exit_0;
	memcpy(page, code, bytes);
	memcpy(page + bytes, "\xff\x25\0\0\0\0", 6); /* jmp *0(%rip) */
	memcpy(page + bytes + 6, &exit, sizeof(exit));
}

static bool same(const uint8_t *code, uint32_t bytes, uint16_t dead)
{
	uint8_t before[STACK], after[STACK];
	struct state a = { .flags = 0x202 }, b;
	for (int i = 0; i < STACK; i++)
		before[i] = (uint8_t)any();
	for (int r = 0; r < 16; r++)
		a.reg[r] = any();
	a.reg[RSP] = (uint64_t)(uintptr_t)(stack + STACK / 2);
	b = a;
	for (int r = 0; r < 16; r++)
		b.reg[r] = dead >> r & 1 ? any() : a.reg[r];
	put(code, bytes);
	memcpy(stack, before, STACK);
	run_at(page, &a);
	memcpy(after, stack, STACK);
	memcpy(stack, before, STACK);
	run_at(page, &b);
	return !memcmp(a.reg, b.reg, sizeof(a.reg)) && a.flags == b.flags && !memcmp(after, stack, STACK);
}

static void check_file(const char *path)
{
	struct elf_funcs elf;
	if (!CHECK_MSG(!elf_funcs_open(&elf, path), "%s cannot be read", path))
		return;
	for (uint32_t i = 0; i < elf.cnt; i++) {
		const uint8_t *code = elf.image + elf.func[i].start;
		uint64_t left = elf.func[i].end - elf.func[i].start;
		uint32_t bytes = can_run(code, left < CODE_MAX ? left : CODE_MAX);
		uint16_t dead = bytes ? patch_dead(code, bytes) : 0;
		ran += !!bytes;
		with_dead += !!dead;
		with_rax += dead & 1;
		CHECK_MSG(!dead || same(code, bytes, dead), "%s, at %#llx: %x", path, (unsigned long long)elf.func[i].start, dead);
	}
	elf_funcs_close(&elf);
}

static void whatever_they_hold(void)
{
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!CHECK(page != MAP_FAILED))
		return;
	for (size_t i = 0; i < ARRAY_CNT(files); i++)
		check_file(files[i]);
	printf("# %u functions: %u with dead registers, %u with rax\n", ran, with_dead, with_rax);
	CHECK(with_dead > 100 && with_rax > 100 && with_dead < ran);
	munmap(page, 4096);
}

#define DEAD(s) patch_dead((const uint8_t *)(s), sizeof(s) - 1)
enum { RAX = 1, RCX = 2, RDX = 4 };

static void shapes(void)
{
	CHECK_EQ(DEAD("\x48\x89\xf0\x48\x31\xf8"), RAX);             /* mov %rsi,%rax; xor %rdi,%rax */
	CHECK_EQ(DEAD("\x48\x01\xf0\x31\xc0"), 0);                     /* add %rsi,%rax; xor %eax,%eax */
	CHECK_EQ(DEAD("\x31\xc0\x31\xc9"), RAX | RCX);                  /* xor %eax,%eax; xor %ecx,%ecx */
	CHECK_EQ(DEAD("\xb0\x01\x31\xc0"), 0);                          /* mov $1,%al leaves the rest */
	CHECK_EQ(DEAD("\x66\xb8\x01\x00\x31\xc0"), 0);                /* mov $1,%ax */
	CHECK_EQ(DEAD("\x0f\xb6\xc0"), 0);                               /* movzbl %al,%eax */
	CHECK_EQ(DEAD("\x48\x8b\x07"), 0);                               /* mov (%rdi),%rax: may fault */
	CHECK_EQ(DEAD("\x64\x48\x8b\x04\x25\x28\x00\x00\x00"), RAX); /* mov %fs:0x28,%rax */
	CHECK_EQ(DEAD("\x48\x8b\x44\x24\x08"), RAX);                   /* mov 8(%rsp),%rax */
	CHECK_EQ(DEAD("\x48\x8b\x44\xc4\x08"), 0);                     /* mov 8(%rsp,%rax,8),%rax */
	CHECK_EQ(DEAD("\x48\x8d\x44\x08\x08"), 0);                     /* lea 8(%rax,%rcx),%rax */
	CHECK_EQ(DEAD("\x48\x0f\x44\xc7\x31\xc0"), 0);                /* cmove %rdi,%rax */
	CHECK_EQ(DEAD("\x75\x00\x31\xc0"), 0);                          /* jne: who knows what is there */
	CHECK_EQ(DEAD("\xe8\0\0\0\0\x31\xc0"), 0);                   /* call: likewise */
	CHECK_EQ(DEAD("\x50\x31\xc0"), 0);                               /* push %rax */
	CHECK_EQ(DEAD("\x53\x89\xf8\x99"), RAX);                        /* push %rbx; mov %edi,%eax; cltd is not looked at */
	CHECK_EQ(DEAD("\x31\xdb\x31\xed"), 0);                          /* rbx and rbp are their caller's */
	CHECK_EQ(DEAD("\x31\xd2\xf7\xf1"), RDX);                        /* xor %edx,%edx; div %ecx */
	CHECK_EQ(DEAD("\xc3"), 0);
	CHECK_EQ(DEAD("\x8e\xe8\x31\xc9"), 0);                          /* mov %eax,%gs may fault */
	CHECK_EQ(DEAD("\x0f\x20\xc0"), 0);                               /* mov %cr0,%rax */
	CHECK_EQ(DEAD("\x48\x89\xfc\x48\x8b\x04\x24"), 0);             /* mov %rdi,%rsp; mov (%rsp),%rax */
	CHECK_EQ(DEAD("\xa1\0\0\0\0\0\0\0\0\x31\xc9"), 0);             /* movabs 0,%eax */
	CHECK_EQ(DEAD("\x48\x83\xec\x18\x48\x8b\x04\x24"), RAX);      /* sub $24,%rsp; mov (%rsp),%rax */
}

TAP_MAIN(TEST(whatever_they_hold), TEST(shapes))
