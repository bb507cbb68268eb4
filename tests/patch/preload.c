/* SPDX-License-Identifier: MIT */
/*
 * For LD_PRELOAD: patches every function of the program and of the libraries
 * named in PATCH_LIBS at entry and returns, with bodies that count.  Whatever the
 * program does then must come out as without.  At exit, functions that were not
 * left as often as entered go to the file PATCH_REPORT.
 *
 * While text is written nothing of libc may be called: it may be libc's.
 */
#include "elf_funcs.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

uint64_t *patch_counters; /* by site */

/* A body: keeps all registers but rax and flags, and makes sure that those are spoilt. */
__asm__(".text\n.globl patch_count_body\n.hidden patch_count_body\npatch_count_body:\n"
	"	push %rcx\n"
	"	mov patch_counters@GOTPCREL(%rip), %rcx\n"
	"	mov (%rcx), %rcx\n"
	"	shr $3, %rax\n" /* of a struct wire_site */
	"	lock incq (%rcx,%rax)\n"
	"	movabs $0x5a5a5a5a5a5a5a5a, %rax\n"
	"	cmp $1, %rax\n"
	"	pop %rcx\n"
	"	ret\n");
extern const char patch_count_body[];

struct func {
	const struct elf_func *f;
	struct elf_funcs *elf;
	uint32_t entry, ret, ret_cnt, refused; /* sites */
};

struct module {
	struct elf_funcs elf;
	uint64_t bias;
	uint8_t *tramp;
	uint64_t tramp_used, tramp_bytes;
};

struct write {
	uint64_t addr;
	uint8_t cnt, bytes[5];
};

static struct func *funcs;
static uint32_t func_cnt, site_cnt;
static struct write *writes;
static uint64_t write_cnt;
static struct module *modules[64];
static uint32_t module_cnt;

static long raw(long nr, long a, long b, long c)
{
	long ret;
	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return ret;
}

static uint8_t *map_near(uint64_t lo, uint64_t hi, uint64_t bytes)
{
	for (uint64_t step = 1 << 20, at = hi + step; at + bytes < lo + (3ULL << 29); at += step) {
		void *p = mmap((void *)align_up(at, 4096), bytes, PROT_READ | PROT_WRITE | PROT_EXEC,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		if (p != MAP_FAILED)
			return p;
	}
	return NULL;
}

static void add_write(uint64_t addr, const uint8_t *bytes, uint32_t cnt)
{
	struct write *w = &writes[write_cnt++];
	w->addr = addr;
	w->cnt = (uint8_t)cnt;
	memcpy(w->bytes, bytes, cnt);
}

static void emit(struct module *m, const struct patch_func *f, const struct patch_window *w, uint32_t i,
		 struct patch_anchor *an, uint32_t cnt)
{
	struct patch_move moves[PATCH_MOVES(PATCH_WINDOW_MAX)];
	uint8_t bytes[PATCH_WINDOW_MAX], hole[5];
	uint32_t move_cnt;
	struct err err;
	uint64_t at = (uint64_t)(uintptr_t)m->tramp + m->tramp_used;
	int n = patch_emit(&w[i], i, f->addr, an, cnt, NULL, at, m->tramp + m->tramp_used, w[i].tramp_max, moves, &move_cnt, &err);
	if (n < 0 || patch_jump_bytes(&w[i], at, bytes, hole, &err)) {
		fprintf(stderr, "preload: %#llx: %s\n", (unsigned long long)w[i].addr, err.msg);
		abort();
	}
	m->tramp_used += (uint64_t)n;
	add_write(w[i].addr, bytes, w[i].write_bytes);
	if (w[i].form == PATCH_HOLE)
		add_write(w[i].hole_addr, hole, 5);
}

static void place(struct module *m, struct patch_func *f, struct func *fn, struct patch_anchor *an, uint32_t cnt)
{
	struct patch_window *w = calloc(PATCH_WINDOW_CNT(cnt) + 1, sizeof(*w));
	int n = patch_plan(f, an, cnt, w);
	for (uint32_t i = 0; i < cnt; i++) {
		bool entry = an[i].kind == WIRE_SITE_ENTRY;
		an[i].body = (uint64_t)(uintptr_t)patch_count_body;
		an[i].site = entry ? fn->entry : fn->ret;
		fn->refused += an[i].refusal || (!an[i].by_sources && w[an[i].window].form == PATCH_PUN); /* those are session's to place */
	}
	uint64_t sum = 0;
	for (int i = 0; i < n; i++)
		sum += w[i].tramp_max;
	if (m->tramp_used + sum <= m->tramp_bytes)
		for (int i = 0; i < n; i++)
			if (w[i].form != PATCH_PUN)
				emit(m, f, w, (uint32_t)i, an, cnt);
	free(w);
}

static int by_offset(const void *a, const void *b)
{
	const struct patch_anchor *x = a, *y = b;
	return x->offset != y->offset ? (x->offset < y->offset ? -1 : 1) : x->kind - y->kind;
}

static struct module *patching;

static int live_read(void *arg, uint64_t addr, void *buf, size_t bytes)
{
	const struct module *m = arg;
	if (addr - m->bias >= m->elf.image_bytes || bytes > m->elf.image_bytes - (addr - m->bias))
		return -1;
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	ssize_t n = pread(fd, buf, bytes, (off_t)addr);
	close(fd);
	return n == (ssize_t)bytes ? 0 : -1;
}

static bool live_fragment(void *arg, uint64_t addr)
{
	struct patch_func any;
	(void)arg;
	elf_funcs_get(&patching->elf, 0, &any);
	free((void *)any.targets);
	return any.is_fragment(any.fragment_arg, addr - patching->bias);
}

/* Addresses as they are in the process. */
static void rebase(struct module *m, struct patch_func *f)
{
	uint64_t *t = (uint64_t *)f->targets;
	f->addr += m->bias;
	for (uint32_t i = 0; i < f->target_cnt; i++)
		t[i] += m->bias;
	f->read = live_read;
	f->read_arg = m;
	f->is_fragment = live_fragment;
}

static void patch_one(struct module *m, uint32_t i)
{
	struct func *fn = &funcs[func_cnt];
	struct patch_func f;
	uint32_t cap = 4096, offs[4096];
	*fn = (struct func){ .f = &m->elf.func[i], .elf = &m->elf, .entry = site_cnt, .ret = site_cnt + 1 };
	if (i && m->elf.func[i - 1].end > m->elf.func[i].start)
		return; /* inside another */
	elf_funcs_get(&m->elf, i, &f);
	rebase(m, &f);
	int n = patch_find_returns(&f, offs, cap, NULL);
	n = n < 0 || (uint32_t)n > cap ? 0 : n;
	struct patch_anchor *an = calloc((size_t)n + 2, sizeof(*an));
	uint32_t cnt = 0;
	if (!f.is_frag)
		an[cnt++] = (struct patch_anchor){ .kind = WIRE_SITE_ENTRY };
	for (int k = 0; k < n; k++)
		an[cnt++] = (struct patch_anchor){ .offset = offs[k], .kind = WIRE_SITE_RETURN };
	if (getenv("PATCH_OFFSETS")) {
		struct isa_insn in;
		cnt = 0;
		for (uint32_t off = 0; off < f.bytes && cnt < 2000; off += in.len) {
			if (isa_decode(f.code + off, f.bytes - off, f.addr + off, &in))
				break;
			an = realloc(an, (cnt + 1) * sizeof(*an));
			an[cnt++] = (struct patch_anchor){ .offset = off, .kind = WIRE_SITE_OFFSET };
		}
	}
	qsort(an, cnt, sizeof(*an), by_offset);
	fn->ret_cnt = (uint32_t)n;
	place(m, &f, fn, an, cnt);
	free(an);
	free((void *)f.targets);
	func_cnt++;
	site_cnt += 2;
}

static bool wanted(const char *path)
{
	const char *libs = getenv("PATCH_LIBS");
	const char *base = strrchr(path, '/');
	char name[256];
	if (!libs || !base || strlen(base + 1) >= sizeof(name))
		return false;
	strcpy(name, base + 1);
	if (strstr(name, ".so"))
		*strstr(name, ".so") = 0;
	const char *at = strstr(libs, name);
	size_t n = strlen(name);
	return at && (at == libs || at[-1] == ',') && (!at[n] || at[n] == ',');
}

static int add_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	const char *path = *info->dlpi_name ? info->dlpi_name : "/proc/self/exe";
	(void)size;
	(void)arg;
	if ((*info->dlpi_name && !wanted(path)) || (!*info->dlpi_name && getenv("PATCH_NO_EXE")) ||
	    module_cnt == ARRAY_CNT(modules))
		return 0;
	struct module *m = calloc(1, sizeof(*m));
	if (elf_funcs_open(&m->elf, path)) {
		free(m);
		return 0;
	}
	m->bias = info->dlpi_addr;
	m->tramp_bytes = align_up((m->elf.text_end - m->elf.text_start) * (getenv("PATCH_OFFSETS") ? 24 : 4) + (1 << 20), 4096);
	m->tramp = map_near(m->bias + m->elf.text_start, m->bias + m->elf.image_bytes, m->tramp_bytes);
	if (!m->tramp)
		abort();
	modules[module_cnt++] = m;
	return 0;
}

static void commit(void)
{
	for (uint32_t i = 0; i < module_cnt; i++) {
		const struct module *m = modules[i];
		uint64_t start = align_down(m->bias + m->elf.text_start, 4096);
		raw(SYS_mprotect, (long)start, (long)align_up(m->bias + m->elf.text_end - start, 4096), PROT_READ | PROT_WRITE | PROT_EXEC);
	}
	for (uint64_t i = 0; i < write_cnt; i++)
		for (uint32_t k = 0; k < writes[i].cnt; k++)
			((volatile uint8_t *)(uintptr_t)writes[i].addr)[k] = writes[i].bytes[k];
}

__attribute__((constructor)) static void patch_all(void)
{
	uint64_t insns = 0, cnt = 0;
	if (getenv("PATCH_ONLY") && strcmp(getenv("PATCH_ONLY"), program_invocation_short_name))
		return;
	dl_iterate_phdr(add_module, NULL);
	for (uint32_t i = 0; i < module_cnt; i++) {
		insns += modules[i]->elf.text_end - modules[i]->elf.text_start;
		cnt += modules[i]->elf.cnt;
	}
	funcs = calloc(cnt + 1, sizeof(*funcs));
	writes = calloc(insns / 2 + 16, sizeof(*writes));
	patch_counters = calloc(2 * cnt + 2, sizeof(*patch_counters));
	const char *lo = getenv("PATCH_FROM"), *hi = getenv("PATCH_TO");
	for (uint32_t i = 0; i < module_cnt; i++) {
		patching = modules[i];
		uint32_t from = lo ? (uint32_t)atoi(lo) : 0, to = hi ? (uint32_t)atoi(hi) : UINT32_MAX;
		for (uint32_t k = from; k < modules[i]->elf.cnt && k < to; k++)
			patch_one(modules[i], k);
	}
	commit();
}

__attribute__((destructor)) static void report(void)
{
	const char *path = getenv("PATCH_REPORT");
	FILE *out = path ? fopen(path, "a") : NULL;
	uint64_t hits = 0, odd = 0, used = 0;
	if (!out)
		return;
	for (uint32_t i = 0; i < func_cnt; i++) {
		const struct func *f = &funcs[i];
		uint64_t in = patch_counters[f->entry], ret = patch_counters[f->ret];
		hits += in + ret;
		used += !!in;
		if (in == ret || f->refused || f->f->is_frag)
			continue;
		odd++;
		fprintf(out, "  %#llx %s: entered %llu, left %llu (%u places)\n", (unsigned long long)f->f->start, f->f->name,
			(unsigned long long)in, (unsigned long long)ret, f->ret_cnt);
	}
	fprintf(out, "%s: %u functions, %llu entered, %llu hits, %llu not left as often as entered\n",
		program_invocation_short_name, func_cnt, (unsigned long long)used, (unsigned long long)hits,
		(unsigned long long)odd);
	fclose(out);
}
