/* SPDX-License-Identifier: MIT */
/* Arguments of USDT probes, by every form of descriptor. */
#include "../tap.h"
#include "shm.h"

#include <sys/mman.h>

static struct wire_shm *shm;
static struct rt_ctx *ctx;
static struct wire_uargs *args;

static void begin(uint32_t cnt)
{
	shm = shm_create(NULL);
	ctx = shm_enter(shm, 0, WIRE_SITE_USDT);
	uint32_t off = shm_intern(shm, "0123456789012345678901234567890123456789012345678901234567890123456789"
				       "0123456789012345678901234567890123456789012345678901234567890123456789"
				       "0123456789012345678901234567890123456789012345678901234567890123456789");
	shm_site(shm, WIRE_SITE_USDT)->args = off;
	args = (struct wire_uargs *)((uint8_t *)shm + shm->str_off + off);
	*args = (struct wire_uargs){ .cnt = cnt };
	for (unsigned i = 0; i < WIRE_REG_CNT; i++)
		ctx->regs[i] = 0x8182838485868788ULL + i;
}

static void end(void)
{
	rt_leave(ctx);
	shm_destroy(shm);
}

static uint64_t read_one(struct wire_uarg a)
{
	args->v[0] = a;
	ctx->fault = 0;
	return rt_site_arg(ctx, 0);
}

#define ARG(...) read_one((struct wire_uarg){ __VA_ARGS__ })
#define NO_BASE .reg = WIRE_UARG_NO_REG, .index = WIRE_UARG_NO_REG
#define BASE(r) .reg = (r), .index = WIRE_UARG_NO_REG

static void registers(void)
{
	begin(1);
	CHECK_EQ(ARG(.kind = WIRE_UARG_REG, .bytes = 8, .reg = WIRE_R15, .reg_bytes = 8), 0x8182838485868788ULL);
	CHECK_EQ(ARG(.kind = WIRE_UARG_REG, .bytes = 4, .reg = WIRE_R15, .reg_bytes = 8), 0x85868788ULL);
	CHECK_EQ(ARG(.kind = WIRE_UARG_REG, .bytes = 4, .is_signed = 1, .reg = WIRE_R15, .reg_bytes = 8), 0xffffffff85868788ULL);
	CHECK_EQ(ARG(.kind = WIRE_UARG_REG, .bytes = 8, .reg = WIRE_R15, .reg_bytes = 2), 0x8788ULL);
	CHECK_EQ(ARG(.kind = WIRE_UARG_REG, .bytes = 8, .is_signed = 1, .reg = WIRE_R15, .reg_bytes = 2), 0xffffffffffff8788ULL);
	CHECK_EQ(ARG(.kind = WIRE_UARG_REG, .bytes = 1, .reg = WIRE_R15, .shift = 8, .reg_bytes = 1), 0x87ULL);
	CHECK_EQ(ARG(.kind = WIRE_UARG_REG, .bytes = 8, .reg = 77, .reg_bytes = 8), 0);
	CHECK_EQ(ARG(.kind = WIRE_UARG_CONST, .bytes = 2, .is_signed = 1, .val = 0xfffe), (uint64_t)-2);
	CHECK_EQ(ARG(.kind = WIRE_UARG_NONE, .bytes = 8), 0);
	CHECK_EQ(rt_site_arg(ctx, 1), 0);
	CHECK_EQ(rt_site_arg(ctx, 99), 0);
	CHECK_EQ(ctx->fault, 0);
	end();
}

static void vectors(void)
{
	double d = 2.5;
	uint64_t bits;
	memcpy(&bits, &d, sizeof(bits));
	begin(1);
	args->v[0] = (struct wire_uarg){ .kind = WIRE_UARG_XMM, .bytes = 8, .reg = 15, .is_float = 1 };
	__asm__ volatile("movsd %0, %%xmm15" : : "m"(d) : "xmm15");
	CHECK_EQ(rt_site_arg(ctx, 0), bits);
	end();
}

static void memory(void)
{
	static const uint8_t data[] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0xf8, 0x99 };
	uint64_t at = (uint64_t)(uintptr_t)data;
	begin(1);
	ctx->regs[WIRE_RBX] = at - 16;
	ctx->regs[WIRE_RCX] = 2;
	CHECK_EQ(ARG(.kind = WIRE_UARG_MEM, .bytes = 4, NO_BASE, .val = at), 0x44332211);
	CHECK_EQ(ARG(.kind = WIRE_UARG_MEM, .bytes = 8, BASE(WIRE_RBX), .val = 16), 0xf877665544332211ULL);
	CHECK_EQ(ARG(.kind = WIRE_UARG_MEM, .bytes = 1, .is_signed = 1, .reg = WIRE_RBX, .index = WIRE_RCX, .shift = 3, .val = 7),
		 (uint64_t)-8);
	ctx->thr->key = at;
	CHECK_EQ(ARG(.kind = WIRE_UARG_MEM, .bytes = 2, BASE(WIRE_UARG_FS), .val = 1), 0x3322);
	ctx->thr->key = 0;
	end();
}

/* Mapped, gone, and the end of a page. */
static void what_cannot_be_read(void)
{
	uint8_t *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t at = (uint64_t)(uintptr_t)page;
	begin(3);
	munmap(page + 4096, 4096);
	page[4095] = 5;
	CHECK_EQ(ARG(.kind = WIRE_UARG_MEM, .bytes = 1, NO_BASE, .val = at + 4095), 5);
	CHECK_EQ(ctx->fault, 0);
	CHECK_EQ(ARG(.kind = WIRE_UARG_MEM, .bytes = 4, NO_BASE, .val = at + 4093), 0);
	CHECK_EQ(ctx->fault, WIRE_FAULT_BADADDR);
	CHECK_EQ(ctx->fault_value, at + 4093);
	/* All at once, as bodies do: nothing faults, and it is remembered which cannot be read. */
	args->v[1] = (struct wire_uarg){ .kind = WIRE_UARG_CONST, .bytes = 8, .val = 17 };
	args->v[2] = (struct wire_uarg){ .kind = WIRE_UARG_MEM, .bytes = 8, .reg = WIRE_UARG_NO_REG, .index = WIRE_UARG_NO_REG };
	ctx->fault = 0;
	rt_site_args(ctx, 0x207);
	CHECK_EQ(ctx->fault, 0);
	CHECK_EQ(ctx->args_bad, 5);
	CHECK_EQ(ctx->tool_args[0], at + 4093);
	CHECK_EQ(ctx->tool_args[1], 17);
	CHECK_EQ(ctx->tool_args[9], 0);
	munmap(page, 4096);
	end();
}

TAP_MAIN(TEST(registers), TEST(vectors), TEST(memory), TEST(what_cannot_be_read))
