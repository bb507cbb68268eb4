/* SPDX-License-Identifier: MIT */
/*
 * Every form of an instruction that relocation rewrites and that occurs in the given ELF files: what is relative to its own
 * place, memory operands and branches.  Each is executed where it stands and relocated, near by and far off, on the same
 * random registers, flags and memory, and has to leave the same in all of them and in the vector registers, or to
 * end by the same signal.  All other instructions are copied as they are.
 * usage: test_forms FILE...   (files that are not there are passed over)
 */
#include "isa/x86_64/x86_64_int.h"

#include "../tap.h"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct state {
	uint64_t reg[16];
	uint64_t flags, exit;
};
void run_at(const void *code, struct state *);
extern const char run_exit_0[], run_exit_1[];

enum { PAGE = 4096, ROUNDS = 3, RSP = 4, OPERAND = 512, TARGET = 256, SHORT = 100, TABLE = 1 << 18 };
#define HOME 0x20000000UL /* code, then data, then vector registers */
#define NEAR 0x20100000UL
#define FAR 0x7e0000000000UL

struct form {
	uint8_t bytes[15], len;
};
static struct form *table; /* by hash */
static uint32_t form_cnt;
static uint8_t *home, *near_by, *far_off;
static struct result {
	struct state s;
	uint8_t memory[2 * PAGE];
} *results; /* shared with children */
static bool has_avx;

/* ---- which there are ---- */

static void add(const struct form *f)
{
	uint32_t h = 2166136261u;
	for (uint32_t i = 0; i < sizeof(f->bytes); i++)
		h = (h ^ f->bytes[i]) * 16777619u;
	for (h %= TABLE; table[h].len; h = (h + 1) % TABLE)
		if (!memcmp(&table[h], f, sizeof(*f)))
			return;
	if (form_cnt < TABLE / 2) {
		table[h] = *f;
		form_cnt++;
	}
}

/* Its bytes with displacement and immediate as zeros, but for what says which operation it is. */
static void note(const uint8_t *code, const struct isa_insn *in)
{
	ZydisDecodedInstruction z;
	struct form f = { .len = in->len };
	bool branch = in->flow == ISA_JMP || in->flow == ISA_JCC || (in->flow == ISA_CALL && in->target);
	if ((!in->rip_rel && !branch) || isa_zydis(code, in->len, &z))
		return;
	memcpy(f.bytes, code, in->len);
	if (z.raw.disp.size)
		memset(f.bytes + z.raw.disp.offset, 0, z.raw.disp.size / 8u);
	for (int i = 0; i < 2; i++)
		if (z.raw.imm[i].size)
			memset(f.bytes + z.raw.imm[i].offset, z.raw.imm[i].is_relative ? 0 : 1, z.raw.imm[i].size / 8u);
	add(&f);
}

static void sweep(const uint8_t *code, size_t bytes)
{
	struct isa_insn in;
	for (size_t at = 0; at < bytes; at += in.len) {
		if (isa_decode(code + at, bytes - at, HOME, &in))
			in.len = 1;
		else
			note(code + at, &in);
	}
}

static bool read_file(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *p = fd < 0 || fstat(fd, &st) ? MAP_FAILED : mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (fd >= 0)
		close(fd);
	if (p == MAP_FAILED)
		return false;
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)p;
	const Elf64_Shdr *sh = (const Elf64_Shdr *)(p + eh->e_shoff);
	for (int i = 0; i < eh->e_shnum; i++)
		if (sh[i].sh_type == SHT_PROGBITS && sh[i].sh_flags & SHF_EXECINSTR)
			sweep(p + sh[i].sh_offset, sh[i].sh_size);
	munmap(p, (size_t)st.st_size);
	return true;
}

/* ---- executed ---- */

static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	return *seed ^= *seed << 17;
}

static uint8_t *put_exit(uint8_t *at, const char *exit)
{
	memcpy(at, "\xff\x25\0\0\0\0", 6);
	memcpy(at + 6, &exit, 8);
	return at + 14;
}

/* Behind the instruction: its vector registers go to memory, at an address that has 32 bits. */
static uint8_t *put_end(uint8_t *at)
{
	for (uint32_t i = 0; i < 16; i++) {
		uint32_t to = (uint32_t)(HOME + 2 * PAGE + 32 * i);
		uint8_t reg = (uint8_t)(0x04 | (i & 7) << 3), sse[] = { i < 8 ? 0x40 : 0x44, 0x0f, 0x11, reg, 0x25 };
		uint8_t avx[] = { 0xc5, i < 8 ? 0xfc : 0x7c, 0x11, reg, 0x25 };
		memcpy(at, has_avx ? avx : sse, 5);
		memcpy(at + 5, &to, 4);
		at += 9;
	}
	return put_exit(at, run_exit_0);
}

static void set_up(const struct isa_insn *in, uint64_t seed, struct state *s)
{
	uint64_t *data = (uint64_t *)(home + PAGE), target = HOME + TARGET;
	for (uint32_t i = 0; i < 2 * PAGE / 8; i++)
		data[i] = next(&seed);
	if (in->flow == ISA_CALL || in->flow == ISA_JMP_IND)
		data[OPERAND / 8] = target;
	for (int i = 0; i < 16; i++)
		s->reg[i] = next(&seed) % 3 ? next(&seed) : next(&seed) % 3;
	s->reg[RSP] = HOME + PAGE + 2048;
	s->flags = 0x202 | (next(&seed) & 0x8d5);
	s->exit = 9;
}

static uint32_t tried, far_cnt, unmovable, died;

/* In a child: it may be ended by a signal, which is the result then. */
static int run(const void *code, const struct isa_insn *in, uint64_t seed, struct result *ret)
{
	int status = -1;
	memset(ret, 0, sizeof(*ret));
	pid_t pid = fork();
	if (!pid) {
		alarm(5);
		set_up(in, seed, &ret->s);
		run_at(code, &ret->s);
		memcpy(ret->memory, home + PAGE, sizeof(ret->memory));
		_exit(0);
	}
	waitpid(pid, &status, 0);
	died += status != 0;
	return status;
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

/* Whether it can be there. */
static bool compare(const struct isa_insn *in, uint8_t *place, uint64_t seed)
{
	int n = isa_relocate(home, in, HOME, (uint64_t)(uintptr_t)place, place, ISA_RELOC_MAX, NULL);
	if (n < 0)
		return false;
	put_end(place + n);
	for (int i = 0; i < ROUNDS; i++) {
		int a = run(home, in, seed + (uint64_t)i, &results[0]), b = run(place, in, seed + (uint64_t)i, &results[1]);
		if (WIFSIGNALED(a) && WTERMSIG(a) == SIGILL)
			return true; /* this processor has it not: other bytes than code, mostly */
		if (CHECK(a == b && !memcmp(&results[0], &results[1], sizeof(results[0]))))
			continue;
		describe("original:", home, in->len);
		describe("moved:", place, (uint32_t)n);
		break;
	}
	return true;
}

/* As it stands: memory operands lead to the data, branches to the target. */
static bool build(const struct form *f, struct isa_insn *in)
{
	ZydisDecodedInstruction z;
	memset(home, 0xcc, PAGE);
	memcpy(home, f->bytes, f->len);
	if (isa_zydis(home, f->len, &z))
		return false;
	int32_t to_data = (int32_t)(PAGE + OPERAND - f->len), to_target = (int32_t)(TARGET - f->len);
	if (z.raw.disp.size == 32)
		memcpy(home + z.raw.disp.offset, &to_data, 4);
	if (z.raw.imm[0].is_relative && z.raw.imm[0].size == 8)
		home[z.raw.imm[0].offset] = SHORT;
	else if (z.raw.imm[0].is_relative)
		memcpy(home + z.raw.imm[0].offset, &to_target, z.raw.imm[0].size / 8u);
	return !isa_decode(home, f->len, HOME, in);
}

static void try_form(const struct form *f)
{
	struct isa_insn in;
	if (!build(f, &in))
		return;
	uint8_t *end = home + f->len;
	bool is_short = in.target && in.target == HOME + SHORT + f->len;
	/* A branch's target may be in the way of what is behind it, which begins elsewhere. */
	if (in.target) {
		*end = 0xe9;
		memcpy(end + 1, &(int32_t){ 2 * TARGET - f->len - 5 }, 4);
	}
	put_end(in.target ? home + 2 * TARGET : end);
	put_exit(home + (is_short ? SHORT + f->len : TARGET), run_exit_1);
	tried++;
	bool moved = compare(&in, near_by, 88172645463325252ULL + tried);
	if (!moved) {
		unmovable++;
		describe("not movable:", home, f->len);
	}
	far_cnt += compare(&in, far_off, 362436069ULL + tried);
}

static uint8_t *map(uint64_t at)
{
	void *p = mmap((void *)at, 4 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

int main(int argc, char **argv)
{
	int files = 0;
	home = map(HOME);
	near_by = map(NEAR);
	far_off = map(FAR);
	table = calloc(TABLE, sizeof(*table));
	results = mmap(NULL, align_up(2 * sizeof(*results), PAGE), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	has_avx = __builtin_cpu_supports("avx");
	if (!home || !near_by || !far_off || !table || results == MAP_FAILED) {
		printf("1..0 # SKIP no memory at the addresses that the test needs\n");
		return 0;
	}
	for (int i = 1; i < argc; i++)
		files += read_file(argv[i]);
	for (uint32_t i = 0; i < TABLE; i++)
		if (table[i].len)
			try_form(&table[i]);
	printf("# %d files, %u forms, of them %u far away too, %u refused near by; %u runs ended by a signal\n", files, tried, far_cnt,
	       unmovable, died);
	printf("%sok 1 - every form that occurs\n1..1\n", tap_failed || !tried ? "not " : "");
	return tap_failed || !tried;
}
