/* SPDX-License-Identifier: MIT */
/* Stacks, which the main program has put into the context (a pointer to what the kernel passed cannot be passed on). */
#include "ebpf/rtk_bpf.h"

#define LOWEST 4096ULL                 /* no code is below it */
#define USER_END 0x7ffffffff000ULL     /* nor between here and the kernel's half */
#define KERNEL_START 0xffff800000000000ULL

/* Frames that are there, at most @max. */
GLOBAL uint64_t rtk_frames(uint64_t ctx, uint64_t max)
{
	int32_t bytes = (int32_t)ld32(ctx + MORE(frame_bytes));
	uint64_t n = bytes < 0 ? 0 : (uint64_t)bytes / 8;
	n = n < max ? n : max;
	return n < RTK_FRAMES ? n : RTK_FRAMES;
}

#define LOOK 8u /* frames of one call */

/* Which of the frames from @first on is the first that no code can be at; LOOK: none. */
GLOBAL uint64_t rtk_bad_frame(uint64_t ctx, uint64_t first)
{
	volatile uint64_t *pc = at(ctx + MORE(frames) + 8 * first);
	for (uint64_t i = 0; i < LOOK; i++)
		if (pc[i] - LOWEST >= USER_END - LOWEST && pc[i] < KERNEL_START)
			return i;
	return LOOK;
}

/* Of a program without frame pointers the kernel takes whatever the register holds for one: where an address is none,
 * the rest is no stack. */
GLOBAL uint64_t rtk_cut_frames(uint64_t ctx)
{
	uint64_t cnt = rtk_frames(ctx, RTK_FRAMES);
	for (uint64_t n = 0; n < RTK_FRAMES && n < cnt; n += LOOK) {
		uint64_t bad = rtk_bad_frame(ctx, n);
		if (bad >= LOOK)
			continue;
		if (n + bad < cnt)
			st32(ctx + MORE(frame_bytes), (uint32_t)(8 * (n + bad)));
		break;
	}
	return 0;
}

INLINE uint64_t tail_frames(uint64_t ctx, uint64_t base, uint64_t used, uint64_t room, uint64_t field, uint64_t max)
{
	uint64_t n = capped(rtk_frames(ctx, max), RTK_FRAMES);
	if (used + 8 * n > room)
		n = (room - used) / 8;
	uint64_t end = tail_take(base, used, room, field, 8 * n);
	if (!end)
		return used;
	copy(base + used, ctx + MORE(frames), 8 * n);
	return end;
}

GLOBAL uint64_t rtk_tuple_ustack(uint64_t ctx, uint64_t slot, uint64_t field, uint64_t max)
{
	uint64_t tuple = scratch(ctx, slot);
	st32(tuple, (uint32_t)tail_frames(ctx, tuple + sizeof(struct wire_tuple), ld32(tuple), tuple_room(slot), field, max));
	return 0;
}

GLOBAL uint64_t rtk_rec_ustack(uint64_t ctx, uint64_t field, uint64_t max)
{
	struct rtk_ctx *c = ctx_at(ctx);
	uint64_t head = sizeof(struct wire_rec);
	uint64_t used = tail_frames(ctx, c->rec + head, c->rec_used - head, c->rec_max - head, field, max);
	c->rec_used = (uint32_t)(used + head);
	return 0;
}

GLOBAL uint64_t rtk_ustackdepth(uint64_t ctx)
{
	return rtk_frames(ctx, RTK_FRAMES);
}

/* The second frame: who called what runs. */
GLOBAL uint64_t rtk_uaddr_caller(uint64_t ctx)
{
	return rtk_frames(ctx, 2) == 2 ? ld64(ctx + MORE(frames) + 8) : 0;
}
