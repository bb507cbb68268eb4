/* SPDX-License-Identifier: MIT */
/*
 * Restartable sequences.  A thread that is preempted between start_ip and the end of such a sequence goes on at
 * abort_ip.  In a trampoline it would not, and the sequence would be done twice or not at all; and a thread that is
 * preempted between the instruction in front of start_ip, which tells the kernel of the sequence, and start_ip is forgotten.
 * In front of abort_ip stands a signature that the kernel compares.  So no window goes there.  (struct rseq_cs, include/uapi/linux/rseq.h of the kernel; programs keep theirs in section __rseq_cs.)
 */
#include "session/session_int.h"

#include <stdlib.h>

#define SIGNATURE_BYTES 4u
#define TELL_BYTES 16u /* of the instruction that stores the address of the struct, at most, and one between */

struct rseqs {
	const struct obj_module *mod;
	uint64_t start; /* of the module when it was looked at */
	struct patch_range *ranges;
	uint32_t cnt;
};

/* struct rseq_cs as words: version and flags; start_ip; post_commit_offset; abort_ip. */
enum { CS_START = 1, CS_BYTES, CS_ABORT, CS_WORDS };

static bool read_all(struct target *t, struct obj_module *mod, struct rseqs *q)
{
	uint64_t *words, cnt;
	if (obj_module_words(t->obj, mod, "__rseq_cs", &words, &cnt))
		return true;
	q->ranges = calloc(cnt / CS_WORDS * 2 + 1, sizeof(*q->ranges));
	for (uint64_t i = 0; q->ranges && i + CS_WORDS <= cnt; i += CS_WORDS) {
		uint64_t start = words[i + CS_START] + mod->bias, abort = words[i + CS_ABORT] + mod->bias;
		q->ranges[q->cnt++] = (struct patch_range){ start - TELL_BYTES, start + words[i + CS_BYTES] };
		q->ranges[q->cnt++] = (struct patch_range){ abort - SIGNATURE_BYTES, abort };
	}
	free(words);
	return q->ranges != NULL;
}

int rseq_ranges(struct target *t, struct obj_module *mod, const struct patch_range **ret, uint32_t *ret_cnt)
{
	for (uint32_t i = 0; i < t->rseq_cnt; i++)
		if (t->rseqs[i].mod == mod && t->rseqs[i].start == mod->start) {
			*ret = t->rseqs[i].ranges;
			*ret_cnt = t->rseqs[i].cnt;
			return 0;
		}
	struct rseqs *more = realloc(t->rseqs, (t->rseq_cnt + 1) * sizeof(*more)), q = { .mod = mod, .start = mod->start };
	t->rseqs = more ? more : t->rseqs;
	if (!more || !read_all(t, mod, &q))
		return -1;
	more[t->rseq_cnt++] = q;
	*ret = q.ranges;
	*ret_cnt = q.cnt;
	return 0;
}

void rseq_free(struct target *t)
{
	for (uint32_t i = 0; i < t->rseq_cnt; i++)
		free(t->rseqs[i].ranges);
	free(t->rseqs);
}
