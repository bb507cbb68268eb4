/* SPDX-License-Identifier: MIT */
/*
 * Whether anybody can still be in our code, where no thread can be stopped.
 *
 * Nothing leads there any more.  So a thread that was seen once, asleep, outside of it and with no address of it
 * on its stack, never comes back.  /proc/PID/task/TID/syscall tells where a thread that sleeps stands; that it did not wake
 * while its stack was read, the counts of its context switches tell.
 */
#include "session/session_int.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_NS 2000000000ull
#define PAUSE_NS 2000000
#define SCAN_MAX (1ull << 20) /* bytes of each stack that are searched */

struct sleeper {
	uint64_t sp, pc, switches;
};

static uint64_t switches_of(pid_t pid, pid_t tid)
{
	char path[64], *line = NULL;
	size_t cap = 0;
	uint64_t sum = 0, cnt = 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, (int)tid);
	FILE *f = fopen(path, "re");
	while (f && getline(&line, &cap, f) > 0) {
		unsigned long long v;
		if (sscanf(line, "voluntary_ctxt_switches: %llu", &v) != 1 && sscanf(line, "nonvoluntary_ctxt_switches: %llu", &v) != 1)
			continue;
		sum += v;
		cnt++;
	}
	free(line);
	if (f)
		fclose(f);
	return cnt == 2 ? sum : 0;
}

/* false: it runs, or this cannot be told. */
static bool asleep(pid_t pid, pid_t tid, struct sleeper *ret)
{
	char path[64], line[512] = "";
	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", (int)pid, (int)tid);
	FILE *f = fopen(path, "re");
	bool got = f && fgets(line, sizeof(line), f);
	if (f)
		fclose(f);
	unsigned long long sp, pc;
	char *end = strrchr(line, ' '), *begin = end;
	while (begin && begin > line && begin[-1] != ' ')
		begin--;
	if (!got || !begin || sscanf(begin, "%llx %llx", &sp, &pc) != 2)
		return false;
	*ret = (struct sleeper){ sp, pc, switches_of(pid, tid) };
	return ret->switches != 0;
}

struct calm {
	struct target *t;
	struct patch_range *holes; /* jumps of ours that are not in our memory; sorted */
	uint32_t hole_cnt;
};

static bool is_ours(const void *arg, uint64_t addr)
{
	const struct calm *c = arg;
	uint32_t lo = 0, hi = c->hole_cnt;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (c->holes[mid].end > addr)
			hi = mid;
		else
			lo = mid + 1;
	}
	return (lo < c->hole_cnt && addr >= c->holes[lo].start) || target_is_ours(c->t, addr);
}

int calm_stack_has(struct obj_proc *obj, struct inject *inj, uint64_t sp, calm_ours_fn *ours, const void *arg)
{
	uint64_t from = align_down(sp, 8), bytes = 0;
	for (uint32_t i = 0; i < obj_map_cnt(obj); i++) {
		const struct obj_map *m = obj_map_at(obj, i);
		if (from >= m->start && from < m->end)
			bytes = m->end - from;
	}
	if (!bytes)
		return -1;
	bytes = bytes < SCAN_MAX ? bytes : SCAN_MAX;
	uint64_t *words = malloc(bytes);
	bool found = !words || inject_read(inj, from, words, bytes, NULL);
	for (uint64_t i = 0; i < bytes / 8 && !found; i++)
		found = ours(arg, words[i]);
	free(words);
	return found;
}

static bool is_out(const struct calm *c, struct obj_proc *obj, struct inject *inj, pid_t tid)
{
	struct sleeper before, after;
	return asleep(inject_pid(inj), tid, &before) && !is_ours(c, before.pc) && !calm_stack_has(obj, inj, before.sp, is_ours, c) &&
	       asleep(inject_pid(inj), tid, &after) && !memcmp(&before, &after, sizeof(before));
}

struct tids {
	pid_t *v;
	uint32_t cnt;
};

static bool has(const struct tids *s, pid_t tid)
{
	for (uint32_t i = 0; i < s->cnt; i++)
		if (s->v[i] == tid)
			return true;
	return false;
}

static void add(struct tids *s, pid_t tid)
{
	pid_t *more = realloc(s->v, (s->cnt + 1ul) * sizeof(*more));
	if (!more)
		return;
	s->v = more;
	more[s->cnt++] = tid;
}

/* Looks at those that were not seen out yet; how many of them still were not. */
static uint32_t look(const struct calm *c, struct obj_proc *obj, struct inject *inj, struct tids *out)
{
	char path[64];
	uint32_t left = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)inject_pid(inj));
	DIR *d = obj_proc_refresh(obj, NULL) ? NULL : opendir(path);
	for (struct dirent *e; d && (e = readdir(d));) {
		pid_t tid = (pid_t)atoi(e->d_name);
		if (tid <= 0 || tid == inject_offered_tid(inj) || has(out, tid))
			continue;
		if (is_out(c, obj, inj, tid))
			add(out, tid);
		else
			left++;
	}
	left += !d;
	if (d)
		closedir(d);
	return left;
}

bool calm_await(struct target *t, struct obj_proc *obj, struct inject *inj)
{
	uint64_t end = host_now_ns() + PATIENCE_NS;
	struct tids out = { 0 };
	struct calm c = { .t = t };
	uint32_t left = 1;
	c.holes = holes_list(t, &c.hole_cnt);
	while (c.holes && (left = look(&c, obj, inj, &out)) && host_now_ns() < end)
		nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
	free(c.holes);
	free(out.v);
	return !left;
}
