/* SPDX-License-Identifier: MIT */
/* Plans of entries that are kept from one run to the next are those that are made without, whatever became of what was kept and of
 * the process. */
#include "../kept.h"
#include "session/arm_int.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* More than are worth it: plain ones, ones that are no longer than a byte, ones that save flags, ones that are jumped into. */
__asm__(".pushsection .text\n"
	".macro some a\n"
	".p2align 4\n"
	".type some_\\@, @function\n"
	"some_\\@: \\a\n"
	".size some_\\@, . - some_\\@\n"
	".endm\n"
	".rept 300\n"
	"some \"push %rbp; mov %rsp, %rbp; xor %eax, %eax; pop %rbp; ret\"\n"
	"some \"ret\"\n"
	"some \"setc %al; movzx %al, %eax; ret\"\n"
	"some \"mov $5, %ecx; 1: dec %ecx; jnz 1b; ret\"\n"
	"some \"xor %eax, %eax; 1: inc %eax; cmp %edi, %eax; jb 1b; ret\"\n"
	".endr\n"
	".p2align 4\n"
	".globl victim\n"
	".type victim, @function\n"
	"victim: push %rbp; mov %rsp, %rbp; sub $16, %rsp; xor %eax, %eax; nop; nop; nop; nop; leave; ret\n"
	".size victim, . - victim\n"
	".popsection\n");
extern uint8_t victim[];
#define SOME 1500u
#define JUMPS_AT 10 /* bytes from there on, in its nops, are to jump to its second but one instruction */

static const uint8_t numbers[3 * 4096] = { 1, 2, 3 };

/* What a process's module gets at all its functions. */
struct plans {
	struct session s;
	struct target t;
	struct job j;
	struct probe *probes;
	struct session_probe *sp;
	struct request *req;
	uint32_t cnt, kept;
};

enum how { WITHOUT, WITH, SHARED };

static struct obj_module *module_of(struct obj_proc *p, const char *name)
{
	for (uint32_t i = 0; i < obj_module_cnt(p); i++) {
		struct obj_module *m = obj_module_at(p, i);
		if (*name ? !strncmp(m->name, name, strlen(name)) : m->is_exe)
			return m;
	}
	return NULL;
}

static bool returns_too;

static void ask_of(struct plans *p, struct obj_module *m, const struct obj_range *r, uint8_t kind)
{
	uint32_t k = p->cnt++;
	p->probes[k] = (struct probe){ .prov = "pid", .mod = m->name, .func = "", .name = "", .kind = kind, .module = m,
				       .func_addr = r->start, .func_bytes = r->end - r->start };
	p->sp[k] = (struct session_probe){ .probe = &p->probes[k] };
	p->req[k] = (struct request){ r->start, k };
}

static void ask(struct plans *p, struct obj_module *m, uint32_t most)
{
	const struct obj_range *r;
	uint32_t n;
	CHECK(!obj_module_ranges(p->t.obj, m, &r, &n, NULL));
	p->probes = calloc(2 * n + 1, sizeof(*p->probes));
	p->sp = calloc(2 * n + 1, sizeof(*p->sp));
	p->req = calloc(2 * n + 1, sizeof(*p->req));
	for (uint32_t i = 0; i < n && p->cnt < most; i++) {
		if (r[i].kind != OBJ_RANGE_FUNC)
			continue;
		ask_of(p, m, &r[i], WIRE_SITE_ENTRY);
		if (returns_too)
			ask_of(p, m, &r[i], WIRE_SITE_RETURN);
	}
}

static struct plans *plan(pid_t pid, const char *mod, uint32_t most, enum how how)
{
	struct plans *p = calloc(1, sizeof(*p));
	struct err e = { .msg = "" };
	p->s.opts.shared = how == SHARED;
	p->t = (struct target){ .s = &p->s, .pid = pid };
	if (!CHECK_MSG(!obj_proc_open(pid, &p->t.obj, &e), "%s", e.msg))
		return p;
	ask(p, module_of(p->t.obj, mod), most);
	p->j = (struct job){ .s = &p->s, .t = &p->t, .probes = p->sp, .probe_cnt = p->cnt };
	CHECK_MSG(!(how == WITHOUT ? job_plan_requests : job_plan_many)(&p->j, p->req, p->cnt, &e), "%s", e.msg);
	for (uint32_t i = 0; i < p->j.func_cnt; i++)
		p->kept += p->j.funcs[i].was_kept;
	return p;
}

static void drop(struct plans *p)
{
	job_free(&p->j);
	branches_free(&p->t);
	rseq_free(&p->t);
	obj_proc_close(p->t.obj);
	free(p->probes);
	free(p->sp);
	free(p->req);
	free(p);
}

static bool same_func(const struct plan_func *a, const struct plan_func *b)
{
	bool same = a->addr == b->addr && a->bytes == b->bytes && a->anchor_cnt == b->anchor_cnt && a->win_cnt == b->win_cnt;
	for (uint32_t i = 0; same && i < a->anchor_cnt; i++) {
		const struct patch_anchor *x = &a->anchors[i], *y = &b->anchors[i];
		same = x->offset == y->offset && x->kind == y->kind && x->refusal == y->refusal && x->sp_adj == y->sp_adj &&
		       x->window == y->window && x->by_sources == y->by_sources && x->save_flags == y->save_flags &&
		       x->skip_redzone == y->skip_redzone && a->probe_of[i] == b->probe_of[i];
	}
	for (uint32_t i = 0; same && i < a->win_cnt; i++) {
		const struct patch_window *x = &a->wins[i], *y = &b->wins[i];
		same = x->addr == y->addr && x->bytes == y->bytes && x->form == y->form && x->write_bytes == y->write_bytes &&
		       x->tramp_max == y->tramp_max && x->moves_as_is == y->moves_as_is && x->hole_addr == y->hole_addr && !memcmp(x->old, y->old, x->bytes);
	}
	return same;
}

static bool same_plans(const struct plans *a, const struct plans *b)
{
	bool same = a->j.func_cnt == b->j.func_cnt && a->cnt == b->cnt;
	for (uint32_t i = 0; same && i < a->j.func_cnt; i++)
		same = CHECK_MSG(same_func(&a->j.funcs[i], &b->j.funcs[i]), "function %u at 0x%llx", i, (unsigned long long)a->j.funcs[i].addr);
	return same;
}

/* Whether a plan with what is kept is that without; how many functions of it were known. */
static bool compare(pid_t pid, const char *mod, uint32_t *ret_kept)
{
	struct plans *a = plan(pid, mod, UINT32_MAX, WITHOUT), *b = plan(pid, mod, UINT32_MAX, WITH);
	bool same = same_plans(a, b);
	*ret_kept = b->kept;
	drop(a);
	drop(b);
	return same;
}

static uint32_t known; /* the last time that same() looked */

static bool same(void)
{
	return compare(getpid(), "", &known);
}

static bool begin(void)
{
	kept_begin();
	return CHECK(!kept_find("entries") && same() && !known && kept_find("entries"));
}

#define OWN_ONLY() do { if (kept_is_exposed()) SKIP("others may write to this program"); } while (0)

static void known_ones_are_as_others(void)
{
	OWN_ONLY();
	begin();
	ino_t was = kept_inode();
	CHECK(same() && known >= SOME && kept_inode() == was);
	kept_end();
}

static void check_program(pid_t pid, const char *mod)
{
	kept_begin();
	struct plans *a = plan(pid, mod, UINT32_MAX, WITHOUT), *b = plan(pid, mod, UINT32_MAX, WITH), *c = plan(pid, mod, UINT32_MAX, WITH);
	printf("# %s: %u of %u are kept\n", *mod ? mod : "python3", c->kept, c->cnt);
	CHECK(same_plans(a, b) && same_plans(a, c) && !b->kept);
	CHECK(c->cnt < 1000 || c->kept > c->cnt / 10 * 9);
	drop(a);
	drop(b);
	drop(c);
	kept_end();
}

static void libraries(void)
{
	dlopen("libLLVM-14.so.1", RTLD_NOW);
	dlopen("libcrypto.so.3", RTLD_NOW);
	struct obj_proc *p;
	static const char *const names[] = { "libc.so.6", "libLLVM-14", "libcrypto", "libdw" };
	if (!CHECK(!obj_proc_open(getpid(), &p, NULL)))
		return;
	for (size_t i = 0; i < ARRAY_CNT(names); i++)
		if (module_of(p, names[i]))
			check_program(getpid(), names[i]);
	obj_proc_close(p);
}

static void another_process(void)
{
	int fd[2];
	char byte;
	CHECK(!pipe(fd));
	pid_t pid = fork();
	if (!pid) {
		dup2(fd[1], 1);
		execl("/usr/bin/python3", "python3", "-c", "print('x', flush=True)\nimport time\ntime.sleep(600)", (char *)NULL);
		_exit(1);
	}
	close(fd[1]);
	bool there = read(fd[0], &byte, 1) == 1;
	if (there)
		check_program(pid, "");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fd[0]);
	if (!there)
		SKIP("there is no python3");
}

/* Then functions are planned as a whole. */
static void with_returns(void)
{
	OWN_ONLY();
	returns_too = true;
	kept_begin();
	CHECK(same() && !known);
	returns_too = false;
	CHECK(same() && kept_find("entries"));
	returns_too = true;
	CHECK(same() && !known);
	returns_too = false;
	kept_end();
}

static void more_and_more(void)
{
	OWN_ONLY();
	kept_begin();
	struct plans *p = plan(getpid(), "", 511, WITH);
	CHECK(p->cnt == 511 && !kept_find("entries")); /* too few */
	drop(p);
	drop(plan(getpid(), "", 600, WITH));
	CHECK(kept_find("entries"));
	CHECK(same());
	CHECK_MSG(known > 400 && known <= 600, "%u", known);
	CHECK(same() && known >= SOME);
	p = plan(getpid(), "", 600, WITH);
	CHECK_MSG(p->kept > 400, "%u", p->kept);
	drop(p);
	CHECK(same() && known >= SOME);
	kept_end();
}

static void damaged(void)
{
	OWN_ONLY();
	if (begin())
		kept_damage(same);
	kept_end();
}

struct entry {
	uint32_t off, bytes;
	uint8_t window, save_flags, zero[2];
};
enum wrong { NOT_WRONG, ORDER, TWICE, OFF, BYTES, TINY, HUGE_WINDOW, FLAGS, ZERO, SHORT, WRONG_CNT };

static uint64_t make_wrong(int w, uint8_t *data, uint64_t bytes)
{
	struct entry *v = (struct entry *)data, *last = v + bytes / sizeof(*v) - 1;
	switch (w) {
	case ORDER: v[7].off = last->off; break;
	case TWICE: v[7].off = v[6].off; break;
	case OFF: last->off = UINT32_MAX - 1; break;
	case BYTES: v[7].bytes = UINT32_MAX; break;
	case TINY: v[7].window = 4; break;
	case HUGE_WINDOW: v[7].window = PATCH_KNOWN_BYTES; break;
	case FLAGS: v[7].save_flags = 2; break;
	case ZERO: v[7].zero[1] = 1; break;
	case SHORT: return bytes - 1;
	default: break;
	}
	return bytes;
}

static void wrong(void)
{
	OWN_ONLY();
	if (begin())
		kept_wrong("entries", make_wrong, WRONG_CNT, same);
	kept_end();
}

/* What is possible, but not of that function: its code says otherwise. */
static void of_other_functions(void)
{
	struct host_cache_key key;
	uint8_t id[64];
	uint64_t bytes;
	OWN_ONLY();
	begin();
	CHECK(same() && kept_key("entries", &key, id));
	uint32_t all = known;
	struct entry *v = host_cache_load(&key, &bytes);
	if (CHECK(v)) {
		for (uint32_t i = 0; i < 10; i++)
			v[i].window++;
		for (uint32_t i = 10; i < 20; i++)
			v[i].bytes++;
		host_cache_store(&key, v, bytes);
		free(v);
		CHECK(same());
		CHECK_EQ(known, all - 20);
	}
	kept_end();
}

static void of_another_file(void)
{
	OWN_ONLY();
	begin();
	ino_t was = kept_inode();
	kept_of_another_file();
	CHECK(same() && !known && kept_inode() != was);
	kept_end();
}

static void of_others(void)
{
	OWN_ONLY();
	begin();
	ino_t was = kept_inode();
	CHECK(!chmod(kept_path, 0666) && same() && !known && kept_inode() != was);
	kept_end();
}

static void not_of_the_daemon(void)
{
	kept_begin();
	drop(plan(getpid(), "", UINT32_MAX, SHARED));
	CHECK(!kept_find("entries"));
	kept_end();
}

static void write_to(const void *at, const void *bytes, size_t cnt, int prot)
{
	uint8_t *page = (uint8_t *)align_down((uint64_t)(uintptr_t)at, 4096);
	CHECK(!mprotect(page, 8192, prot | PROT_WRITE));
	memcpy((void *)(uintptr_t)at, bytes, cnt);
	CHECK(!mprotect(page, 8192, prot));
}

static struct patch_window window_of_victim(void)
{
	struct plans *p = plan(getpid(), "", UINT32_MAX, WITH);
	struct patch_window w = { 0 };
	for (uint32_t i = 0; i < p->j.func_cnt; i++)
		if (p->j.funcs[i].addr == (uint64_t)(uintptr_t)victim && p->j.funcs[i].win_cnt)
			w = p->j.funcs[i].wins[p->j.funcs[i].anchors[0].window];
	drop(p);
	return w;
}

/* Who changes its code is planned as it is now, and nothing of that is kept. */
static void changed_text(void)
{
	static const uint8_t jump[] = { 0xeb, 0x100 + 4 - JUMPS_AT - 2 };
	uint8_t old[sizeof(jump)];
	OWN_ONLY();
	begin();
	CHECK(window_of_victim().bytes == 8);
	ino_t was = kept_inode();
	memcpy(old, victim + JUMPS_AT, sizeof(old));
	write_to(victim + JUMPS_AT, jump, sizeof(jump), PROT_READ | PROT_EXEC);
	CHECK(same() && !known);
	struct patch_window w = window_of_victim();
	CHECK(w.bytes < 8 || w.form != PATCH_JMP5);
	CHECK(kept_inode() == was);
	write_to(victim + JUMPS_AT, old, sizeof(old), PROT_READ | PROT_EXEC);
	CHECK(same() && known >= SOME && kept_inode() == was); /* its own page, as the file's */
	kept_end();
}

/* Nor where it changes what jump tables may stand in. */
static void changed_tables(void)
{
	const uint8_t other = 5, was = numbers[4096];
	OWN_ONLY();
	begin();
	CHECK(same() && known >= SOME);
	write_to(numbers + 4096, &other, 1, PROT_READ);
	CHECK(same() && !known);
	write_to(numbers + 4096, &was, 1, PROT_READ);
	CHECK(same());
	kept_end();
}

TAP_MAIN(TEST(known_ones_are_as_others), TEST(libraries), TEST(another_process), TEST(with_returns), TEST(more_and_more), TEST(damaged),
	 TEST(wrong),
	 TEST(of_other_functions), TEST(of_another_file), TEST(of_others), TEST(not_of_the_daemon), TEST(changed_text), TEST(changed_tables))
