/* SPDX-License-Identifier: MIT */
/*
 * Pages of code that are the file's are copied by the kernel when they are first written to, which takes as long as all else that
 * a program stands for while ten thousand of them change.  So they are made its own before: for some milliseconds at a time it stands,
 * and what stands in them is written to them; then it runs for as long, but PAUSE_NS at most.  All of its threads stand when that is read and
 * written, and nobody else can write there, so nobody sees a difference.
 */
#include "session/arm_int.h"

#include <stdlib.h>
#include <time.h>

#define PAGE 4096u
#define GROUP_MAX (256u << 10)
#define WORTH 1024u        /* pages: fewer are copied sooner than a program is stopped a few times more */
#define STAND_NS 6000000u  /* at a time; longer where to stop takes longer */
#define PAUSE_NS 50000000u /* at most: whoever waits for the probes waits for this, too */

struct copies {
	const struct job *j;
	uint32_t at; /* in j->writes */
	uint8_t *buf;
	bool none; /* it cannot be done */
};

/* The pages of writes from @at on, as far as they follow each other; the first write behind them. */
static uint32_t group(const struct job *j, uint32_t at, uint64_t *ret_start, uint64_t *ret_end)
{
	uint64_t start = align_down(j->writes[at].addr, PAGE), end = start;
	for (; at < j->write_cnt && align_down(j->writes[at].addr, PAGE) <= end && end - start < GROUP_MAX; at++) {
		uint64_t to = align_up(j->writes[at].addr + j->writes[at].cnt, PAGE);
		end = to > end ? to : end;
	}
	*ret_start = start;
	*ret_end = end;
	return at;
}

bool copies_worth(const struct job *j)
{
	uint64_t start, end, pages = 0;
	for (uint32_t at = 0; at < j->write_cnt && pages < WORTH; pages += (end - start) / PAGE)
		at = group(j, at, &start, &end);
	return pages >= WORTH && !inject_is_live(j->t->inj);
}

/* What was unloaded meanwhile, in part too, or may be written to by others, is left to who writes. */
static void copy_for(struct copies *c, uint64_t stand_ns)
{
	struct inject *inj = c->j->t->inj;
	struct text_maps maps = { 0 };
	text_maps_read(&maps, inject_pid(inj));
	uint64_t end_ns = host_now_ns() + stand_ns;
	while (c->at < c->j->write_cnt && !c->none && host_now_ns() < end_ns) {
		uint64_t start, end;
		uint32_t next = group(c->j, c->at, &start, &end);
		if (text_maps_closed(&maps, start, end))
			c->none = inject_own_pages(inj, start, c->buf, end - start) == -EIO;
		c->at = next;
	}
	free(maps.v);
}

static void pause_ns(uint64_t ns)
{
	const struct timespec ts = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
	nanosleep(&ts, NULL);
}

int copies_make(struct job *j, struct err *reterr)
{
	struct copies c = { .j = j, .buf = malloc(GROUP_MAX + 4 * PAGE) };
	int r = 0;
	while (c.buf && !c.none && !r && c.at < j->write_cnt) {
		uint64_t begin = host_now_ns();
		r = inject_stop(j->t->inj, reterr);
		uint64_t stood = host_now_ns();
		if (r)
			break;
		copy_for(&c, stood - begin > STAND_NS ? stood - begin : STAND_NS);
		r = inject_resume(j->t->inj, reterr);
		uint64_t took = host_now_ns() - begin;
		if (c.at < j->write_cnt)
			pause_ns(took < PAUSE_NS ? took : PAUSE_NS);
	}
	free(c.buf);
	return r;
}
