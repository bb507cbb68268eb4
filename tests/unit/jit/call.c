/* SPDX-License-Identifier: MIT */
#include "call.h"

#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

const uint16_t call_sp_adj[CALL_VARIANT_CNT] = { 16, 24, 144, 152 };

/* Not thread-local: there may be no fs base. */
struct call *call_cur;
uint64_t call_rax, call_site;
const void *call_body, *call_to; /* the body; what is jumped to in its trampoline: that, or a call of it */
void call_asm(struct call *);
/* Labels within it. */
void call_to_plain(void), call_to_flags(void), call_to_red(void), call_to_red_flags(void);
void call_back_plain(void), call_back_flags(void), call_back_red(void), call_back_red_flags(void);

/* Offsets in struct call, as text for the assembler. */
#define N_R15 "0"
#define N_R14 "1"
#define N_R13 "2"
#define N_R12 "3"
#define N_RBP "4"
#define N_RBX "5"
#define N_R11 "6"
#define N_R10 "7"
#define N_R9 "8"
#define N_R8 "9"
#define N_RAX "10"
#define N_RCX "11"
#define N_RDX "12"
#define N_RSI "13"
#define N_RDI "14"
#define N_EFLAGS "18"
#define N_RSP "19"
#define IN(r) "8*" N_##r
#define OUT(r) "168+8*" N_##r
#define AT_VARIANT "344"
#define AT_NO_FS "360"
#define AT_HOST_RSP "376"
#define AT_FS "384"
_Static_assert(offsetof(struct call, out) == 168 && offsetof(struct call, variant) == 344 && offsetof(struct call, no_fs) == 360 &&
	       offsetof(struct call, host_rsp) == 376 && offsetof(struct call, fs) == 384, "as above");
_Static_assert(WIRE_R15 == 0 && WIRE_RBX == 5 && WIRE_RAX == 10 && WIRE_RDI == 14 && WIRE_EFLAGS == 18 && WIRE_RSP == 19, "as above");

#define LOAD(name, r) "mov " IN(r) "(%rax), %" name "\n\t"
#define SAVE(name, r) "mov %" name ", " OUT(r) "(%rax)\n\t"
#define ALL(X) X("r15", R15) X("r14", R14) X("r13", R13) X("r12", R12) X("rbp", RBP) X("rbx", RBX) X("r11", R11) \
	X("r10", R10) X("r9", R9) X("r8", R8) X("rcx", RCX) X("rdx", RDX) X("rsi", RSI) X("rdi", RDI)

/* Flags stay: programs may read them. */
#define BODY(name) \
	"jmp *call_to(%rip)\n" \
	".hidden call_to_" name "\ncall_to_" name ":\n\t" \
	"mov call_site(%rip), %eax\n\tcall *call_body(%rip)\n" \
	".hidden call_back_" name "\ncall_back_" name ":\n\t"

__asm__(
	".pushsection .text\n\t"
	".globl call_asm\n\t.hidden call_asm\n\t.type call_asm, @function\n"
	"call_asm:\n\t"
	"push %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\t"
	"mov %rdi, %rax\n\t"
	"mov %rsp, " AT_HOST_RSP "(%rax)\n\t"
	"cmpq $0, " AT_NO_FS "(%rax)\n\t"
	"je 1f\n\t"
	"rdfsbase %rcx\n\t"
	"mov %rcx, " AT_FS "(%rax)\n\t"
	"xor %ecx, %ecx\n\t"
	"wrfsbase %rcx\n"
	"1:\n\t"
	ALL(LOAD)
	/* What happens at the probed instruction: one of four trampolines. */
	"cmpq $1, " AT_VARIANT "(%rax)\n\t"
	"lea 12f(%rip), %r8\n\t"
	"jb 2f\n\t"
	"lea 13f(%rip), %r8\n\t"
	"je 2f\n\t"
	"lea 14f(%rip), %r8\n\t"
	"cmpq $2, " AT_VARIANT "(%rax)\n\t"
	"je 2f\n\t"
	"lea 15f(%rip), %r8\n"
	"2:\n\t"
	"mov %r8, call_rax(%rip)\n\t"
	"mov " IN(R8) "(%rax), %r8\n\t"
	"pushq " IN(EFLAGS) "(%rax)\n\tpopfq\n\t"
	"mov " IN(RSP) "(%rax), %rsp\n\t"
	"mov " IN(RAX) "(%rax), %rax\n\t"
	"jmp *call_rax(%rip)\n"
	"12:\n\t"
	"push %rax\n\t" BODY("plain") "pop %rax\n\tjmp 20f\n"
	"13:\n\t"
	"push %rax\n\tpushfq\n\tcld\n\t" BODY("flags") "popfq\n\tpop %rax\n\tjmp 20f\n"
	"14:\n\t"
	"lea -128(%rsp), %rsp\n\tpush %rax\n\t" BODY("red") "pop %rax\n\tlea 128(%rsp), %rsp\n\tjmp 20f\n"
	"15:\n\t"
	"lea -128(%rsp), %rsp\n\tpush %rax\n\tpushfq\n\tcld\n\t" BODY("red_flags")
	"popfq\n\tpop %rax\n\tlea 128(%rsp), %rsp\n"
	"20:\n\t"
	"mov %rax, call_rax(%rip)\n\t"
	"mov call_cur(%rip), %rax\n\t"
	ALL(SAVE)
	"mov %rsp, " OUT(RSP) "(%rax)\n\t"
	"mov call_rax(%rip), %rcx\n\t"
	"mov %rcx, " OUT(RAX) "(%rax)\n\t"
	"mov " AT_HOST_RSP "(%rax), %rsp\n\t"
	"pushfq\n\tpopq " OUT(EFLAGS) "(%rax)\n\t"
	"cld\n\t"
	"cmpq $0, " AT_NO_FS "(%rax)\n\t"
	"je 3f\n\t"
	"mov " AT_FS "(%rax), %rcx\n\t"
	"wrfsbase %rcx\n"
	"3:\n\t"
	"pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\tpop %rbx\n\tret\n\t"
	".popsection");

/* A body may call a function that runs another. */
void call_run(struct call *c)
{
	static void (*const calls[])(void) = { call_to_plain, call_to_flags, call_to_red, call_to_red_flags };
	const void *body = call_body, *to = call_to;
	uint64_t site = call_site;
	c->prev = call_cur;
	call_cur = c;
	call_body = c->body;
	call_site = c->site * sizeof(struct wire_site);
	call_to = c->is_spot ? c->body : (const void *)(uintptr_t)calls[c->variant];
	call_asm(c);
	call_cur = c->prev;
	call_body = body;
	call_site = site;
	call_to = to;
}

int64_t call_spot(const struct jit_env *env, enum wire_site_kind kind, const struct ir_prog *const *progs, uint32_t prog_cnt,
		  uint32_t site, enum call_variant variant, uint16_t dead, uint8_t *code, size_t bytes, struct err *reterr)
{
	static void (*const back[])(void) = { call_back_plain, call_back_flags, call_back_red, call_back_red_flags };
	static const uint8_t drop[] = { 0x48, 0x8d, 0x64, 0x24, 8 }, undrop[] = { 0x48, 0x8d, 0x64, 0x24, 0xf8 }; /* lea 8(%rsp),%rsp; lea -8(%rsp),%rsp */
	bool rax = !(dead & 1) || variant == CALL_FLAGS || variant == CALL_RED_ZONE_FLAGS || env->geometry->rate_off;
	size_t before = rax ? 0 : sizeof(drop);
	struct jit_spot spot = { .site = site, .sp_adj = call_sp_adj[variant] - (rax ? 0 : 8), .dead = rax ? dead & 0xfffe : dead,
				 .addr = (uint64_t)(uintptr_t)code + before, .cold_addr = (uint64_t)(uintptr_t)code + bytes / 2,
				 .body = (uint64_t)(uintptr_t)code + bytes / 4 * 3 };
	uint64_t to = (uint64_t)(uintptr_t)back[variant];
	uint32_t hot;
	int64_t n = env->geometry->rate_off ?
		jit_body(env, kind, progs, prog_cnt, spot.body, code + bytes / 4 * 3, bytes / 4, reterr) : 1;
	if (n < 0)
		return n;
	n = jit_spot_body(env, kind, progs, prog_cnt, &spot, code + before, bytes / 2 - 14 - 2 * sizeof(drop), &hot, reterr);
	if (n <= 0)
		return n;
	memcpy(code + bytes / 2, code + before + hot, (size_t)n - hot);
	uint8_t *end = code + before + hot;
	memcpy(code, drop, before);
	memcpy(end, undrop, before);
	end += before;
	memcpy(end, "\xff\x25\0\0\0\0", 6); /* jmp *0(%rip) */
	memcpy(end + 6, &to, sizeof(to));
	return n;
}

bool call_is_dead(uint16_t dead, unsigned wire_reg)
{
	static const uint8_t of[] = { WIRE_RAX, WIRE_RCX, WIRE_RDX, WIRE_RBX, WIRE_RSP, WIRE_RBP, WIRE_RSI, WIRE_RDI, WIRE_R8, WIRE_R9,
				      WIRE_R10, WIRE_R11, WIRE_R12, WIRE_R13, WIRE_R14, WIRE_R15 };
	for (unsigned r = 0; r < ARRAY_CNT(of); r++)
		if (of[r] == wire_reg)
			return dead >> r & 1;
	return false;
}

uint64_t call_fs_base(void)
{
	uint64_t v;
	__asm__("mov %%fs:0, %0" : "=r"(v));
	return v;
}

uint32_t call_tid_off(void)
{
	const char *block = (const char *)(uintptr_t)call_fs_base();
	pid_t tid = gettid();
	for (uint32_t off = 4; off < 2048; off += 4) /* in glibc's it is */
		if (!memcmp(block + off, &tid, sizeof(tid)))
			return off;
	return 0;
}

bool call_has_fsgsbase(void)
{
	return getauxval(AT_HWCAP2) & 2; /* HWCAP2_FSGSBASE */
}

static bool has_rdpid(void)
{
	unsigned a, b, c, d;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && c >> 22 & 1;
}

void call_env_init(struct jit_env *env, const struct wire_shm *geometry)
{
	*env = (struct jit_env){
		.geometry = geometry,
		.aggs = (const struct wire_agg *)((const uint8_t *)geometry + geometry->agg_desc_off),
		.shm_addr = (uint64_t)(uintptr_t)geometry,
		.proc_flags = (call_has_fsgsbase() ? WIRE_PROC_FSGSBASE : 0) | (has_rdpid() ? WIRE_PROC_RDPID : 0),
		.fn_thread_find = (uint64_t)(uintptr_t)rt_thread_find,
		.fn_enter = (uint64_t)(uintptr_t)rt_enter,
		.fn_leave = (uint64_t)(uintptr_t)rt_leave,
		.fn_rec_open = (uint64_t)(uintptr_t)rt_rec_open,
		.fn_rec_commit = (uint64_t)(uintptr_t)rt_rec_commit,
		.fn_fault = (uint64_t)(uintptr_t)rt_fault,
		.fn_agg = (uint64_t)(uintptr_t)rt_agg,
		.fn_agg_plain = (uint64_t)(uintptr_t)rt_agg_plain,
		.fn_agg_key = (uint64_t)(uintptr_t)rt_agg_key,
		.fn_agg_ustack = (uint64_t)(uintptr_t)rt_agg_ustack,
		.fn_vfork_id_at = (uint64_t)(uintptr_t)rt_vfork_id_at,
		.fn_rec_put = (uint64_t)(uintptr_t)rt_rec_put,
		.fn_rec_publish = (uint64_t)(uintptr_t)rt_rec_publish,
		.fn_env = (uint64_t)(uintptr_t)rt_env,
		.fn_site_args = (uint64_t)(uintptr_t)rt_site_args, .fn_child = (uint64_t)(uintptr_t)rt_child_enter,
	};
	for (unsigned h = 0; h < IR_HELPER_CNT; h++)
		env->helper_addr[h] = (uint64_t)(uintptr_t)rt_helpers[h];
}

void *call_code_map(const void *hint, size_t bytes)
{
	uintptr_t base = (uintptr_t)hint & ~0xfffffUL;
	for (uintptr_t off = 0; hint && off < 1UL << 30; off += 1UL << 20) {
		void *p = mmap((void *)(base + off), bytes, PROT_READ | PROT_WRITE | PROT_EXEC,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		if (p == (void *)(base + off))
			return p;
		if (p != MAP_FAILED)
			munmap(p, bytes);
	}
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		abort();
	return p;
}

void *call_must_not_enter(void)
{
	fprintf(stderr, "the body has a context\n");
	abort();
}
