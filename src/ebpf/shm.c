/* SPDX-License-Identifier: MIT */
/* The shared memory as a BPF array of one element, and the numbers of a session that programs know. */
#include "ebpf/ebpf_int.h"

#include "rt/rt.h"
#include "wire/layout.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define VALUE_MAX (1ULL << 29) /* offsets of pointers that the kernel's verifier follows */
#define STR_MAX 65000u
#define KEY_MAX 32768u /* what is behind that does not tell keys apart */
#define SELFS_MIN 1024ULL
#define SELFS_MAX 65536ULL

_Static_assert(sizeof(struct rtk_ctx) <= offsetof(struct rt_ctx, scratch), "one layout for both");
_Static_assert(offsetof(struct rtk_ctx, tsc) == offsetof(struct rt_ctx, tsc), "consumers read it of either");

static uint32_t cpu_cnt(void)
{
	int n = libbpf_num_possible_cpus();
	return n > 0 ? (uint32_t)n : 1;
}

/* An interrupt may come while each CPU's has one. */
#define PREEMPTED_LEAST 4u

static uint32_t preempted_cnt(void)
{
	return cpu_cnt() > PREEMPTED_LEAST ? cpu_cnt() : PREEMPTED_LEAST;
}

uint32_t ebpf_slot_cnt(bool preempts)
{
	return preempts ? cpu_cnt() + preempted_cnt() : cpu_cnt();
}

bool ebpf_is_preempted(enum ebpf_kind kind)
{
	return kind == EBPF_UPROBE || kind == EBPF_FENTRY || kind == EBPF_FEXIT;
}

void ebpf_layout(struct wire_layout_in *in, const struct ir_image *img)
{
	uint64_t most = 0;
	for (uint32_t i = 0; i < img->prog_cnt; i++)
		if (img->progs[i].vreg_cnt > most)
			most = img->progs[i].vreg_cnt;
	most += align_up(sizeof(struct rtk_more), 16) / 8 + 2;
	if (in->spill_bytes < 8 * most)
		in->spill_bytes = 8 * most;
	if (in->ctx_bytes < sizeof(struct rt_ctx))
		in->ctx_bytes = sizeof(struct rt_ctx);
}

static uint64_t pow2_below(uint64_t v)
{
	return 1ULL << (63 - __builtin_clzll(v | 1));
}

/* As many threads as dynvarsize has room for. */
static uint64_t selfs_cnt(const struct wire_shm *head)
{
	uint64_t n = head->dyn_bytes / (sizeof(struct rtk_self) + head->geom.self_bytes);
	return pow2_below(n < SELFS_MIN ? SELFS_MIN : n > SELFS_MAX ? SELFS_MAX : n);
}

void ebpf_extra(const struct wire_shm *head, struct ebpf_extra *x)
{
	x->tail_off = align_up(head->bytes, WIRE_PAGE);
	x->selfs_off = align_up(x->tail_off + sizeof(struct rtk_tail), 64);
	x->selfs_cnt = selfs_cnt(head);
	x->limit = x->selfs_off + x->selfs_cnt * (sizeof(struct rtk_self) + head->geom.self_bytes);
	uint64_t used = x->limit;
	for (x->limit = WIRE_PAGE; x->limit < used; x->limit *= 2)
		;
	x->limit--;
	uint64_t most = head->geom.ctx_stride > RTK_GUARD ? head->geom.ctx_stride : RTK_GUARD;
	x->bytes = align_up(x->limit + 1 + most, WIRE_PAGE);
}

static int no_map(int r, uint64_t bytes, struct err *reterr)
{
	if (r == -EPERM)
		return ebpf_not_permitted(r, reterr);
	if (r == -ENOSYS)
		return err_setf(reterr, r, "this kernel has no BPF: no probes of the kernel");
	return err_setf(reterr, r, "the kernel gives no %llu KiB of memory for buffers: %s; lower bufsize, aggsize or dynvarsize",
			(unsigned long long)(bytes >> 10), strerror(-r));
}

int ebpf_shm_create(const struct wire_shm *head, int *ret_fd, struct wire_shm **ret_shm, struct err *reterr)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	struct ebpf_extra x;
	ebpf_extra(head, &x);
	if (x.bytes > VALUE_MAX)
		return err_setf(reterr, -E2BIG, "buffers of %llu MiB in all are more than the 512 MiB that a kernel program can reach; "
				"lower bufsize, aggsize or dynvarsize", (unsigned long long)(x.bytes >> 20));
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "dyntrace", 4, (uint32_t)x.bytes, 1, &opts);
	if (fd < 0)
		return no_map(fd, x.bytes, reterr);
	void *p = mmap(NULL, x.tail_off, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		int r = -errno;
		close(fd);
		return err_setf(reterr, r, "cannot map the kernel's buffers: %s", strerror(-r));
	}
	memcpy(p, head, sizeof(*head));
	*ret_fd = fd;
	*ret_shm = p;
	return 0;
}

/* ---- numbers ---- */

static void agg_table(const struct wire_thread_geom *g, uint64_t *k)
{
	if (g->agg_bytes < 1024) /* as rt/agg.c lays it out */
		return;
	uint64_t cnt = pow2_below(g->agg_bytes / 24), off = align_up(cnt * sizeof(uint32_t), 8);
	k[RTK_K_AGG_INDEX_CNT] = cnt;
	k[RTK_K_AGG_ARENA] = off;
	k[RTK_K_AGG_ARENA_BYTES] = g->agg_bytes - off;
}

/* As rt/dynvar.c lays it out. */
#define DYN_HEAD_BYTES (8 * (8 + 64 + 1 + 16))
#define DYN_BUCKET_BYTES 16

static void dyn_table(const struct wire_shm *s, uint64_t *k)
{
	if (s->dyn_bytes < 4096)
		return;
	uint64_t cnt = pow2_below(s->dyn_bytes / 128);
	k[RTK_K_DYN_CNT] = cnt;
	k[RTK_K_DYN_BUCKETS] = s->dyn_off + DYN_HEAD_BYTES;
	k[RTK_K_DYN_ARENA] = k[RTK_K_DYN_BUCKETS] + cnt * DYN_BUCKET_BYTES;
	k[RTK_K_DYN_ARENA_BYTES] = s->dyn_bytes - DYN_HEAD_BYTES - cnt * DYN_BUCKET_BYTES;
}

static void geometry(const struct wire_shm *s, uint64_t *k)
{
	const struct wire_thread_geom *g = &s->geom;
	k[RTK_K_STRIDE] = g->stride;
	k[RTK_K_CTX] = g->ctx_off;
	k[RTK_K_CTX_STRIDE] = g->ctx_stride;
	k[RTK_K_SCRATCH] = offsetof(struct rt_ctx, scratch);
	k[RTK_K_SCRATCH_BYTES] = s->scratch_bytes;
	k[RTK_K_THIS_BYTES] = s->this_bytes;
	k[RTK_K_ALLOCA] = s->alloca_off;
	k[RTK_K_ALLOCA_BYTES] = s->alloca_bytes;
	k[RTK_K_MORE] = s->alloca_off - align_up(sizeof(struct rtk_more), 16);
	k[RTK_K_RING] = g->ring_off;
	k[RTK_K_RING_BYTES] = g->ring_bytes;
	k[RTK_K_AGG] = g->agg_off;
	k[RTK_K_COUNTS] = g->counts_off;
	agg_table(g, k);
	k[RTK_K_AGG_MAX] = s->agg_max;
	k[RTK_K_AGG_DESC] = s->agg_desc_off;
	k[RTK_K_DROPS] = g->drops_off;
	k[RTK_K_ERRORS] = g->errors_off;
	k[RTK_K_SELF] = g->self_off;
	k[RTK_K_SELF_BYTES] = g->self_bytes;
}

static void areas(const struct wire_shm *s, uint64_t *k)
{
	k[RTK_K_STRSIZE] = s->strsize;
	k[RTK_K_STR] = s->str_off;
	k[RTK_K_STR_CAP] = s->str_cap;
	k[RTK_K_SITE] = s->site_off;
	k[RTK_K_PROC] = s->proc_off;
	k[RTK_K_PROC_CNT] = s->proc_cnt;
	k[RTK_K_GLOBAL] = s->global_off;
	k[RTK_K_GLOBAL_BYTES] = s->global_bytes;
	k[RTK_K_DYN] = s->dyn_off;
	k[RTK_K_DYN_MAX] = s->dyn_max;
	k[RTK_K_SPEC] = s->spec_off;
	k[RTK_K_SPEC_CNT] = s->spec_cnt;
	k[RTK_K_SPEC_BYTES] = s->spec_bytes;
	k[RTK_K_TSC_BASE] = s->tsc_base;
	k[RTK_K_NS_BASE] = s->ns_base;
	k[RTK_K_WALL_BASE] = s->wall_base;
	k[RTK_K_TSC_MULT] = s->tsc_mult;
}

/* Bytes of the largest tuple: what follows a slot that tuple_begin() names is bounded by the scratch memory. */
static uint64_t longest_key(const struct ir_image *img, const struct wire_shm *s)
{
	uint64_t most = 0;
	for (uint32_t i = 0; i < img->prog_cnt; i++) {
		const struct ir_prog *p = &img->progs[i];
		uint64_t bytes = 0;
		for (uint32_t pc = 0; pc < p->insn_cnt; pc++) {
			const struct ir_insn *in = &p->insns[pc];
			if (in->op != IR_OP_CALL)
				continue;
			const uint64_t *args = &p->args[in->a];
			if (in->imm == IR_HELPER_tuple_begin && args[1] > bytes)
				bytes = args[1];
			if (in->imm == IR_HELPER_tuple_str || in->imm == IR_HELPER_tuple_mem)
				bytes += ir_tail_bytes(s->strsize);
			if (in->imm == IR_HELPER_tuple_ustack)
				bytes += 8 * args[2];
		}
		if (bytes > most)
			most = bytes;
	}
	most = most < s->scratch_bytes ? most : s->scratch_bytes;
	return most < KEY_MAX ? most : KEY_MAX;
}

static uint64_t longest_str(const struct ir_image *img, const struct wire_shm *s)
{
	uint64_t most = s->strsize;
	for (uint32_t off = 0; off + sizeof(struct wire_str) <= img->str_bytes;) {
		const struct wire_str *str = (const struct wire_str *)(img->strs + off);
		if (str->len > most)
			most = str->len;
		off += (uint32_t)align_up(sizeof(*str) + str->len + 1, 8);
	}
	return most < STR_MAX ? most : STR_MAX;
}

static void of_script(const struct ir_image *img, const struct wire_shm *s, uint64_t *k)
{
	k[RTK_K_KEY_WORDS] = longest_key(img, s) / 8 + 1;
	k[RTK_K_STR_MOST] = longest_str(img, s);
	uint64_t zero = s->alloca_bytes;
	zero = zero > s->global_bytes ? zero : s->global_bytes;
	zero = zero > s->geom.self_bytes ? zero : s->geom.self_bytes;
	zero = zero > s->this_bytes ? zero : s->this_bytes;
	k[RTK_K_ZERO_WORDS] = (zero < KEY_MAX ? zero : KEY_MAX) / 8 + 1;
	k[RTK_K_VAL_WORDS] = 1;
	k[RTK_K_LLQ_STEPS] = 1;
	for (uint32_t i = 0; i < img->agg_cnt; i++) {
		const struct wire_agg *a = &img->aggs[i];
		if (a->val_cnt > k[RTK_K_VAL_WORDS])
			k[RTK_K_VAL_WORDS] = a->val_cnt;
		if (a->fn == WIRE_AGG_LLQUANTIZE && a->ll_high + 1u > k[RTK_K_LLQ_STEPS])
			k[RTK_K_LLQ_STEPS] = a->ll_high + 1u;
	}
}

void ebpf_numbers(struct ebpf *e)
{
	const struct wire_shm *s = e->in.shm;
	uint64_t *k = e->k;
	struct ebpf_extra x;
	ebpf_extra(s, &x);
	e->value_bytes = x.bytes;
	k[RTK_K_SHM] = (uint32_t)e->in.shm_fd;
	k[RTK_K_DOORBELL] = (uint32_t)e->doorbell_fd;
	k[RTK_K_LIMIT] = x.limit;
	k[RTK_K_TAIL] = x.tail_off;
	k[RTK_K_SELFS] = x.selfs_off;
	k[RTK_K_SELFS_CNT] = x.selfs_cnt;
	k[RTK_K_SELF_IN_SLOT] = e->in.as_in_tool;
	k[RTK_K_OWN] = e->in.as_in_tool ? (uint64_t)(uintptr_t)s : RTK_ADDR;
	k[RTK_K_THREAD] = s->thread_off + e->in.first_slot * s->geom.stride;
	k[RTK_K_CPU_CNT] = cpu_cnt();
	k[RTK_K_PREEMPTED_CNT] = preempted_cnt();
	k[RTK_K_USERS] = e->in.shares_self ? e->in.first_slot : 0;
	if (e->in.shares_self)
		pid_offsets(e);
	geometry(s, k);
	areas(s, k);
	dyn_table(s, k);
	of_script(e->in.img, s, k);
}
