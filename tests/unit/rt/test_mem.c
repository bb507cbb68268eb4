/* SPDX-License-Identifier: MIT */
/* Reading memory that may not be there. */
#include "../tap.h"
#include "shm.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define DST 1024u
#define PAGE 4096u

static struct wire_shm *shm;
static struct rt_ctx *ctx;
static uint8_t *pages; /* one readable, then one that is not */

static void begin(void)
{
	shm = shm_create(NULL);
	ctx = shm_enter(shm, 0, WIRE_SITE_ENTRY);
	pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(pages, 'p', PAGE);
	mprotect(pages + PAGE, PAGE, PROT_NONE);
}

static void end(void)
{
	munmap(pages, 2 * PAGE);
	shm_destroy(shm);
}

static void check_fault(uint32_t want, uint64_t value)
{
	CHECK_EQ(ctx->fault, want);
	CHECK_EQ(ctx->fault_value, value);
	ctx->fault = 0;
}

static void copyin_u(void)
{
	begin();
	uint64_t v = 0x8182838485868788ULL, *at = (uint64_t *)(pages + 8);
	*at = v;
	CHECK_EQ(rt_copyin_u(ctx, (uint64_t)at, 8, 0, 0), v);
	CHECK_EQ(rt_copyin_u(ctx, (uint64_t)at, 4, 0, 0), 0x85868788u);
	CHECK_EQ(rt_copyin_u(ctx, (uint64_t)at, 4, 1, 0), (int32_t)0x85868788u);
	CHECK_EQ(rt_copyin_u(ctx, (uint64_t)at, 2, 1, 0), (int16_t)0x8788);
	CHECK_EQ(rt_copyin_u(ctx, (uint64_t)at, 1, 0, 0), 0x88);
	CHECK_EQ(rt_copyin_u(ctx, (uint64_t)at, 1, 1, 0), (int8_t)0x88);
	CHECK_EQ(ctx->fault, 0);
	rt_copyin_u(ctx, 0, 8, 0, 0);
	check_fault(WIRE_FAULT_BADADDR, 0);
	rt_copyin_u(ctx, (uint64_t)pages + PAGE - 4, 8, 0, 0);
	check_fault(WIRE_FAULT_BADADDR, (uint64_t)pages + PAGE - 4);
	rt_copyin_u(ctx, ~7ULL, 8, 0, 0);
	check_fault(WIRE_FAULT_BADADDR, ~7ULL);
	rt_copyin_u(ctx, 0x8000000000000000ULL, 1, 0, 0);
	check_fault(WIRE_FAULT_BADADDR, 0x8000000000000000ULL);
	end();
}

static const char *str_at(const void *p, uint64_t max)
{
	return shm_text(ctx, rt_copyinstr(ctx, (uint64_t)p, max, DST, 0));
}

static void copyinstr(void)
{
	begin();
	char *end_of_page = (char *)pages + PAGE;
	strcpy(end_of_page - 6, "hello");
	CHECK_STR(str_at(end_of_page - 6, 0), "hello");
	CHECK_STR(str_at(end_of_page - 6, 3), "hel");
	CHECK_STR(str_at(end_of_page - 1, 0), "");
	CHECK_STR(str_at("a constant", 0), "a constant");
	CHECK_EQ(strlen(str_at(pages, 0)), SHM_STRSIZE);
	CHECK_EQ(strlen(str_at(pages, 10000)), SHM_STRSIZE);
	CHECK_EQ(ctx->fault, 0);
	memcpy(end_of_page - 6, "hellox", 6); /* goes on into what cannot be read */
	CHECK_STR(str_at(end_of_page - 6, 0), "");
	check_fault(WIRE_FAULT_BADADDR, (uint64_t)end_of_page);
	CHECK_STR(str_at(end_of_page - 6, 6), "hellox"); /* not looked at */
	CHECK_EQ(ctx->fault, 0);
	str_at(NULL, 0);
	check_fault(WIRE_FAULT_BADADDR, 0);
	mprotect(pages + PAGE, PAGE, PROT_READ | PROT_WRITE);
	strcpy((char *)pages + PAGE, "y");
	CHECK_STR(str_at(end_of_page - 6, 0), "helloxy");
	end();
}

static void alloca_and_what_may_be_written(void)
{
	begin();
	uint64_t a = rt_alloca(ctx, 10, 0, 0, 0), b = rt_alloca(ctx, 16, 0, 0, 0);
	CHECK(a && b >= a + 10 && a % 8 == 0 && b % 8 == 0);
	rt_poke(ctx, b, 0x1122334455667788ULL, 4, 0);
	CHECK_EQ(rt_copyin_u(ctx, b, 8, 0, 0), 0x55667788);
	rt_copyinto(ctx, (uint64_t)pages, 10, a, 0);
	CHECK(!memcmp((void *)a, "pppppppppp", 10));
	rt_bcopy(ctx, a, b, 5, 0);
	CHECK(!memcmp((void *)b, "ppppp\0\0\0", 8));
	uint64_t c = rt_copyin(ctx, (uint64_t)pages, 100, 0, 0);
	CHECK(!memcmp((void *)c, pages, 100));
	CHECK_EQ(ctx->fault, 0);
	rt_poke(ctx, (uint64_t)pages, 1, 1, 0);
	check_fault(WIRE_FAULT_BADADDR, (uint64_t)pages);
	rt_poke(ctx, (uint64_t)shm, 1, 1, 0);
	check_fault(WIRE_FAULT_BADADDR, (uint64_t)shm);
	rt_copyinto(ctx, (uint64_t)pages, 2000, a, 0);
	check_fault(WIRE_FAULT_BADSIZE, 2000);
	rt_copyin(ctx, (uint64_t)pages + PAGE, 8, 0, 0);
	check_fault(WIRE_FAULT_BADADDR, (uint64_t)pages + PAGE);
	rt_alloca(ctx, SHM_ALLOCA_BYTES, 0, 0, 0);
	check_fault(WIRE_FAULT_NOSCRATCH, SHM_ALLOCA_BYTES);
	rt_alloca(ctx, ~0ULL, 0, 0, 0);
	check_fault(WIRE_FAULT_NOSCRATCH, ~0ULL);
	end();
}

static void stack_arguments(void)
{
	begin();
	volatile uint64_t stack[8] = { 0xaaaa, 6, 7, 8, 9 };
	ctx->regs[WIRE_RSP] = (uint64_t)stack;
	for (uint64_t n = 6; n < 10; n++)
		CHECK_EQ(rt_arg(ctx, n, 0, 0, 0), n);
	CHECK_EQ(rt_uaddr_caller(ctx, 0, 0, 0, 0), 0xaaaa);
	ctx->site = shm_site(shm, WIRE_SITE_RETURN);
	CHECK_EQ(rt_arg(ctx, 6, 0, 0, 0), 0);
	ctx->site = shm_site(shm, WIRE_SITE_TOOL);
	ctx->tool_args[7] = 77;
	CHECK_EQ(rt_arg(ctx, 7, 0, 0, 0), 77);
	CHECK_EQ(ctx->fault, 0);
	end();
}

static void without_system_calls(void)
{
	begin();
	volatile uint64_t here = 5;
	ctx->proc->flags |= WIRE_PROC_NO_SYSCALL;
	rt_leave(ctx);
	ctx = rt_enter(shm, shm_proc(shm, 0), shm_thread(shm, 0), shm_site(shm, WIRE_SITE_ENTRY), (uint64_t)&here);
	CHECK_EQ(rt_copyin_u(ctx, (uint64_t)&here, 8, 0, 0), 5); /* the page of the stack pointer is there */
	CHECK_EQ(rt_copyin_u(ctx, (uint64_t)shm, 8, 0, 0), shm->magic);
	CHECK_EQ(ctx->fault, 0);
	rt_copyin_u(ctx, (uint64_t)pages, 8, 0, 0);
	check_fault(WIRE_FAULT_BADADDR, (uint64_t)pages);
	end();
}

static int child_reads(void *arg)
{
	(void)arg;
	uint64_t *p = (uint64_t *)pages;
	return rt_copyin_u(ctx, (uint64_t)p, 8, 0, 0) != 0x7070707070707070ULL || ctx->fault;
}

/* Children that share our memory under another id, as vfork makes them: before and after we have asked for ours. */
static void child_with_our_memory(void)
{
	static uint8_t stack[64 << 10] __attribute__((aligned(16)));
	for (int i = 0; i < 2; i++) {
		begin();
		if (i)
			rt_copyin_u(ctx, (uint64_t)pages, 8, 0, 0);
		int pid = clone(child_reads, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL), status = -1;
		waitpid(pid, &status, 0);
		CHECK_EQ(status, 0);
		CHECK_EQ(rt_copyin_u(ctx, (uint64_t)pages, 8, 0, 0), 0x7070707070707070ULL);
		end();
	}
}

static void records_and_tuples(void)
{
	begin();
	CHECK_EQ(rt_rec_open(ctx, 400, 24), 0);
	rt_rec_str(ctx, 0, shm_str(ctx, 0, "text"), 0, 0);
	rt_rec_mem(ctx, 8, (uint64_t)pages, 100, 12);
	rt_rec_mem(ctx, 16, (uint64_t)pages, 0, 12);
	const struct wire_vref *v = (const struct wire_vref *)ctx->rec->payload;
	CHECK(v[0].off == 24 && v[0].bytes == 4 && v[1].off == 32 && v[1].bytes == 12 && v[2].bytes == 0);
	CHECK(!memcmp(ctx->rec->payload + 24, "text\0\0\0\0pppppppppppp\0\0\0\0", 24));
	CHECK_EQ(ctx->rec_used, sizeof(struct wire_rec) + 48);
	CHECK_EQ(ctx->fault, 0);
	rt_rec_mem(ctx, 8, (uint64_t)pages + PAGE, 8, 8);
	check_fault(WIRE_FAULT_BADADDR, (uint64_t)pages + PAGE);
	rt_rec_commit(ctx);

	struct wire_tuple *t = rt_slot(ctx, 2048);
	rt_tuple_begin(ctx, 2048, 16, 0, 0);
	rt_tuple_str(ctx, 2048, 0, shm_str(ctx, 0, "12345678"), 0);
	rt_tuple_mem(ctx, 2048, 8, (uint64_t)pages, 3);
	CHECK_EQ(t->bytes, 16 + 8 + 8);
	CHECK(!memcmp(t->data + 16, "12345678ppp\0\0\0\0", 16));
	CHECK_EQ(ctx->fault, 0);
	rt_tuple_mem(ctx, 2048, 8, (uint64_t)pages, SHM_STRSIZE + 1);
	check_fault(WIRE_FAULT_TUPOFLOW, SHM_STRSIZE + 1);
	rt_tuple_mem(ctx, 2048, 8, (uint64_t)pages, ~0ULL);
	check_fault(WIRE_FAULT_TUPOFLOW, ~0ULL);
	end();
}

static void errno_of_the_thread(void)
{
	begin();
	uint64_t fs;
	__asm__("mov %%fs:0, %0" : "=r"(fs));
	CHECK_EQ(rt_errno(ctx, 0, 0, 0, 0), 0);
	ctx->thr->key = fs;
	ctx->proc->errno_off = (int64_t)((uint64_t)&errno - fs);
	errno = EXDEV;
	CHECK_EQ(rt_errno(ctx, 0, 0, 0, 0), EXDEV);
	end();
}

static void loader_hook_does_not_wait_for_nobody(void)
{
	begin();
	ctx->proc->flags |= WIRE_PROC_NO_SYSCALL;
	rt_hook_dl(ctx, 0, 0, 0, 0);
	CHECK_EQ(ctx->proc->dl_seq, 0);
	ctx->proc->flags = 0;
	shm->armed = 0;
	rt_hook_dl(ctx, 0, 0, 0, 0);
	CHECK_EQ(ctx->proc->dl_seq, 1);
	shm->armed = 1;
	ctx->proc->dl_ack = 2;
	uint32_t bell = shm->doorbell;
	rt_hook_dl(ctx, 0, 0, 0, 0);
	CHECK_EQ(ctx->proc->dl_seq, 2);
	CHECK_EQ(shm->doorbell, bell + 1);
	end();
}

TAP_MAIN(TEST(copyin_u), TEST(copyinstr), TEST(alloca_and_what_may_be_written), TEST(stack_arguments),
	 TEST(without_system_calls), TEST(child_with_our_memory), TEST(records_and_tuples), TEST(errno_of_the_thread),
	 TEST(loader_hook_does_not_wait_for_nobody))
