/* SPDX-License-Identifier: MIT */
/*
 * Processes that nobody named and whose user stacks the kernel was asked for: it notes their numbers, here their unwind
 * tables are made, and from then on it finds its way (ADR 22).
 *
 * A number can come to mean another program, by exec or when it is used again: where its stack began, which is as good
 * as random, tells them apart.
 */
#include "session/kern_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KNOWN_MAX 56u /* of the places for processes, from their end */
#define AT_ONCE 8u    /* a look at a large program takes a while */

/* /proc/PID/stat (proc(5)): the field behind 25 others that follow the name. 0: not shown to us. */
static uint64_t stack_start(uint32_t pid)
{
	char path[64], text[1024];
	unsigned long long v = 0;
	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	FILE *fp = fopen(path, "re");
	size_t n = fp ? fread(text, 1, sizeof(text) - 1, fp) : 0;
	if (fp)
		fclose(fp);
	text[n] = 0;
	const char *p = strrchr(text, ')');
	for (int i = 0; p && i < 26; i++) {
		p = strchr(p, ' ');
		p += p != NULL;
	}
	return p && sscanf(p, "%llu", &v) == 1 ? v : 0;
}

static struct seen *seen_of(struct session *s, uint32_t pid)
{
	for (uint32_t i = 0; i < s->seen_cnt; i++)
		if (s->seen[i].pid == pid)
			return &s->seen[i];
	return NULL;
}

static struct target *known_create(struct session *s, struct seen *seen)
{
	uint32_t cnt = s->shm->proc_cnt < EBPF_UNWINDS ? s->shm->proc_cnt : EBPF_UNWINDS, slot = cnt - 1 - s->known_cnt;
	struct target *t = s->known_cnt < KNOWN_MAX && slot > s->target_cnt ? calloc(1, sizeof(*t)) : NULL;
	if (!t)
		return NULL;
	*t = (struct target){ .s = s, .proc = slot, .pid = (pid_t)seen->pid, .obj = seen->obj, .is_watched = true, .memfd = -1 };
	s->known_cnt++;
	seen->known = t;
	return t;
}

void stranger_identify(struct target *t)
{
	STORE_RELEASE(&target_proc(t)->start_stack, stack_start((uint32_t)t->pid));
}

static void look_at(struct session *s, uint32_t pid)
{
	for (uint32_t i = 1; i < s->target_cnt; i++)
		if (s->targets[i] && (uint32_t)s->targets[i]->pid == pid)
			return;
	session_proc_of(s, pid);
	struct seen *seen = seen_of(s, pid);
	struct target *t = seen && seen->obj ? seen->known ? seen->known : known_create(s, seen) : NULL;
	if (!t)
		return;
	STORE_RELEASE(&target_proc(t)->pid, 0);
	obj_proc_refresh(t->obj, NULL);
	watch_unwind(t);
	stranger_identify(t);
	STORE_RELEASE(&target_proc(t)->pid, pid);
}

void stranger_look(struct session *s)
{
	uint32_t pids[AT_ONCE], cnt = s->opts.unwinds && s->uses_stacks ? skern_strangers(s->kern, pids, AT_ONCE) : 0;
	for (uint32_t i = 0; i < cnt; i++)
		look_at(s, pids[i]);
	/* Who asked while we looked was told no, and would be until the next look. */
	if (cnt)
		skern_strangers(s->kern, pids, AT_ONCE);
}

void stranger_deinit(struct session *s)
{
	for (uint32_t i = 0; i < s->seen_cnt; i++)
		free(s->seen[i].known);
}
