/* SPDX-License-Identifier: MIT */
/* Notes of USDT probes: this program's own, and those of programs that readelf knows too. */
#include "../tap.h"
#include "obj/obj.h"
#include "spawn.h"


extern volatile unsigned short note_semaphore;
volatile unsigned short note_semaphore __attribute__((section(".probes"))) = 0;
extern int64_t note_symbol;
int64_t note_symbol = 77;

#define NOTE(where, prov, name, sema, args) \
	__asm__ volatile( \
		".globl " #where "\n" #where ": nop\n" \
		".pushsection .note.stapsdt,\"?\",\"note\"\n.balign 4\n" \
		".4byte 992f-991f, 994f-993f, 3\n991: .asciz \"stapsdt\"\n992: .balign 4\n" \
		"993: .8byte " #where ", _.stapsdt.base, " #sema "\n" \
		".asciz \"" prov "\"\n.asciz \"" name "\"\n.asciz \"" args "\"\n994: .balign 4\n.popsection\n" \
		".ifndef _.stapsdt.base\n" \
		".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n" \
		".weak _.stapsdt.base\n.hidden _.stapsdt.base\n_.stapsdt.base: .space 1\n.size _.stapsdt.base, 1\n" \
		".popsection\n.endif\n")
#define DECLARE(prov, name, types) \
	__asm__(".pushsection .note.dyntrace,\"\",\"note\"\n.balign 4\n" \
		".4byte 992f-991f, 994f-993f, 1\n991: .asciz \"dyntrace\"\n992: .balign 4\n" \
		"993: .asciz \"" prov "\"\n.asciz \"" name "\"\n" types "994: .balign 4\n.popsection\n")

DECLARE("unit", "turned", ".asciz \"1 int\"\n.asciz \"0 char *\"\n.asciz \"1 int\"\n.asciz \"7 long\"\n");

extern const char note_first[], note_second[];
static void __attribute__((noinline, noclone)) places(void)
{
	NOTE(note_first, "unit", "plain", 0, "-4@%edi 8@note_symbol(%rip)");
	NOTE(note_second, "unit", "turned", note_semaphore, "8@%rsi -4@$-5");
}

static struct obj_proc *me;
static struct obj_module *exe;

static bool open_me(void)
{
	struct err e;
	places();
	if (!me && !CHECK_MSG(!obj_proc_open(getpid(), &me, &e), "%s", e.msg))
		return false;
	for (uint32_t i = 0; i < obj_module_cnt(me) && !exe; i++)
		exe = obj_module_at(me, i)->is_exe ? obj_module_at(me, i) : NULL;
	return CHECK(exe != NULL);
}

static const struct obj_usdt *by_name(const char *name)
{
	const struct obj_usdt *u;
	uint32_t cnt;
	if (!open_me() || !CHECK(!obj_module_usdt(me, exe, &u, &cnt, NULL)))
		return NULL;
	CHECK_EQ(cnt, 2);
	for (uint32_t i = 0; i < cnt; i++)
		if (!strcmp(u[i].name, name))
			return &u[i];
	return NULL;
}

static void places_are_found(void)
{
	const struct obj_usdt *u = by_name("plain");
	if (!CHECK(u != NULL))
		return;
	CHECK_EQ(u->addr, (uint64_t)(uintptr_t)note_first);
	CHECK_EQ(u->sema, 0);
	CHECK(!strcmp(u->prov, "unit") && !strcmp(u->args, "-4@%edi 8@note_symbol(%rip)") && !u->types);
	u = by_name("turned");
	CHECK_EQ(u->addr, (uint64_t)(uintptr_t)note_second);
	CHECK_EQ(u->sema, (uint64_t)(uintptr_t)&note_semaphore);
}

static void declarations_turn_arguments(void)
{
	const struct obj_usdt *u = by_name("turned");
	struct wire_uargs a;
	uint32_t native;
	if (!CHECK(u && u->type_cnt == 4))
		return;
	CHECK(!strcmp(obj_usdt_type(u, 1, &native), "char *"));
	CHECK_EQ(native, 0);
	obj_usdt_args(me, exe, u, &a);
	CHECK_EQ(a.cnt, 4);
	CHECK(a.v[0].kind == WIRE_UARG_CONST && a.v[0].val == (uint64_t)-5 && a.v[0].is_signed && a.v[0].bytes == 4);
	CHECK(a.v[1].kind == WIRE_UARG_REG && a.v[1].reg == WIRE_RSI && a.v[1].reg_bytes == 8);
	CHECK(!memcmp(&a.v[0], &a.v[2], sizeof(a.v[0])));
	CHECK(a.v[3].kind == WIRE_UARG_NONE);
}

static struct wire_uarg parse(const char *text)
{
	const struct obj_usdt u = { .prov = "p", .name = "n", .args = text };
	struct wire_uargs a = { 0 };
	if (open_me())
		obj_usdt_args(me, exe, &u, &a);
	CHECK_MSG(a.cnt == 1, "%s: %u arguments", text, a.cnt);
	return a.v[0];
}

static void registers(void)
{
	static const struct {
		const char *text;
		uint8_t reg, bytes, shift;
	} cases[] = {
		{ "%rax", WIRE_RAX, 8, 0 }, { "%ecx", WIRE_RCX, 4, 0 }, { "%dx", WIRE_RDX, 2, 0 }, { "%bl", WIRE_RBX, 1, 0 },
		{ "%ah", WIRE_RAX, 1, 8 }, { "%dh", WIRE_RDX, 1, 8 }, { "%sil", WIRE_RSI, 1, 0 }, { "%bpl", WIRE_RBP, 1, 0 },
		{ "%rsp", WIRE_RSP, 8, 0 }, { "%r8", WIRE_R8, 8, 0 }, { "%r9d", WIRE_R9, 4, 0 }, { "%r15w", WIRE_R15, 2, 0 },
		{ "%r10b", WIRE_R10, 1, 0 }, { "%edi", WIRE_RDI, 4, 0 },
	};
	for (size_t i = 0; i < ARRAY_CNT(cases); i++) {
		char text[32];
		snprintf(text, sizeof(text), "-2@%s", cases[i].text);
		struct wire_uarg a = parse(text);
		CHECK_MSG(a.kind == WIRE_UARG_REG && a.reg == cases[i].reg && a.reg_bytes == cases[i].bytes &&
			  a.shift == cases[i].shift && a.bytes == 2 && a.is_signed, "%s", text);
		a = parse(cases[i].text);
		CHECK_MSG(a.bytes == cases[i].bytes && !a.is_signed, "%s without a size", cases[i].text);
	}
	struct wire_uarg x = parse("8f@%xmm11");
	CHECK(x.kind == WIRE_UARG_XMM && x.reg == 11 && x.is_float);
}

static void check_mem(const char *text, uint8_t reg, uint8_t index, uint8_t shift, uint64_t val)
{
	struct wire_uarg a = parse(text);
	CHECK_MSG(a.kind == WIRE_UARG_MEM && a.reg == reg && a.index == index && a.shift == shift && a.val == val,
		  "%s: kind %u base %u index %u shift %u displacement %llx", text, a.kind, a.reg, a.index, a.shift,
		  (unsigned long long)a.val);
}

static void memory(void)
{
	const uint8_t none = WIRE_UARG_NO_REG;
	uint64_t symbol = (uint64_t)(uintptr_t)&note_symbol;
	check_mem("4@(%rsi)", WIRE_RSI, none, 0, 0);
	check_mem("-8@-0x10(%rbp)", WIRE_RBP, none, 0, (uint64_t)-16);
	check_mem("8@8(%rsp,%r12,8)", WIRE_RSP, WIRE_R12, 3, 8);
	check_mem("8@(%rax,%rbx)", WIRE_RAX, WIRE_RBX, 0, 0);
	check_mem("1@-4(,%rcx,2)", none, WIRE_RCX, 1, (uint64_t)-4);
	check_mem("8@note_symbol", none, none, 0, symbol);
	check_mem("8@note_symbol(%rip)", none, none, 0, symbol);
	check_mem("8@note_symbol+8-4(%rip)", none, none, 0, symbol + 4);
	check_mem("8@16+note_symbol(,%rdx,4)", none, WIRE_RDX, 2, symbol + 16);
	check_mem("8@12(%rip)", WIRE_RIP, none, 0, 12);
	check_mem("4@%fs:-8", WIRE_UARG_FS, none, 0, (uint64_t)-8);
	check_mem("8@4096", none, none, 0, 4096);
}

static void constants(void)
{
	CHECK_EQ(parse("-4@$-7").val, (uint64_t)-7);
	CHECK_EQ(parse("8@$0xffffffffffffffff").val, UINT64_MAX);
	CHECK_EQ(parse("8@$note_symbol+1").val, (uint64_t)(uintptr_t)&note_symbol + 1);
}

static void what_nobody_can_tell(void)
{
	static const char *const bad[] = { "8@%zax", "8@nowhere_at_all(%rip)", "8@", "8@4(%rax", "8@(%al)", "16@%rax", "8@%xmm16",
		"8@(%rax,%rbx,3)", "8@$", "8@4(%rax)x", "8@--1", "8@%st", "8@foo@GOTPCREL(%rip)", "@%rax", "8@%fs:foo@tpoff" };
	for (size_t i = 0; i < ARRAY_CNT(bad); i++)
		CHECK_MSG(parse(bad[i]).kind == WIRE_UARG_NONE, "%s", bad[i]);
	struct wire_uargs a;
	const struct obj_usdt many = { .args = " 1@$1 2@$2  4@$3 8@$4 8@$5 8@$6 8@$7 8@$8 8@$9 8@$10 8@$11 8@$12 8@$13 " };
	obj_usdt_args(me, exe, &many, &a);
	CHECK_EQ(a.cnt, WIRE_UARG_MAX);
	CHECK_EQ(a.v[11].val, 12);
}

/* readelf's lines "Location: 0x.., Base: 0x.., Semaphore: 0x.." in order of addresses. */
static uint32_t readelf_places(const char *path, uint64_t *ret, uint32_t cap)
{
	char cmd[512];
	uint32_t n = 0;
	snprintf(cmd, sizeof(cmd), "readelf -n '%s' 2>/dev/null | sed -n 's/.*Location: \\(0x[0-9a-f]*\\),.*/\\1/p' | sort", path);
	FILE *f = popen(cmd, "r");
	while (f && n < cap && fscanf(f, "%llx", (unsigned long long *)&ret[n]) == 1)
		n++;
	if (f)
		pclose(f);
	return n;
}

static void as_readelf_has_them(void)
{
	uint32_t compared = 0;
	if (!open_me())
		return;
	for (uint32_t i = 0; i < obj_module_cnt(me); i++) {
		struct obj_module *m = obj_module_at(me, i);
		const struct obj_usdt *u;
		uint64_t want[512];
		uint32_t cnt, n = m->is_vdso ? 0 : readelf_places(m->path, want, ARRAY_CNT(want));
		if (!n || !CHECK(!obj_module_usdt(me, m, &u, &cnt, NULL)) ||
		    !CHECK_MSG(cnt == n, "%s: %u places, not %u", m->name, cnt, n))
			continue;
		for (uint32_t k = 0; k < n; k++)
			CHECK_EQ(u[k].addr - m->bias, want[k]);
		compared++;
	}
	CHECK(compared > 0);
}

TAP_MAIN(TEST(places_are_found), TEST(declarations_turn_arguments), TEST(registers), TEST(memory), TEST(constants),
	 TEST(what_nobody_can_tell), TEST(as_readelf_has_them))
