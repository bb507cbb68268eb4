/* SPDX-License-Identifier: MIT */
/* The kernel's memory for the tool's own probes: a program that is run in place, when the first of them wants it. */
#include "ebpf/ebpf_int.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHUNK 2048u /* bytes at a time; a power of two */

struct ebpf_peek {
	bool tried;
	int map_fd, prog_fd;
	uint8_t *page;
};

struct ebpf_peek *ebpf_peek_create(void)
{
	struct ebpf_peek *p = calloc(1, sizeof(*p));
	if (p)
		*p = (struct ebpf_peek){ .map_fd = -1, .prog_fd = -1, .page = MAP_FAILED };
	return p;
}

void ebpf_peek_destroy(struct ebpf_peek *p)
{
	if (!p)
		return;
	if (p->page != MAP_FAILED)
		munmap(p->page, WIRE_PAGE);
	if (p->prog_fd >= 0)
		close(p->prog_fd);
	if (p->map_fd >= 0)
		close(p->map_fd);
	free(p);
}

#define INSN(c, d, s, o, i) { .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) }

/* Words: where, how many bytes (0: the thread's task is wanted). What was read is in the map; the result is 0 then. */
static int load(struct ebpf_peek *p)
{
	const struct bpf_insn code[] = {
		INSN(BPF_LDX | BPF_MEM | BPF_DW, 3, 1, 0, 0),
		INSN(BPF_LDX | BPF_MEM | BPF_DW, 2, 1, 8, 0),
		INSN(BPF_LD | BPF_IMM | BPF_DW, 6, BPF_PSEUDO_MAP_VALUE, 0, p->map_fd), INSN(0, 0, 0, 0, 0),
		INSN(BPF_JMP | BPF_JEQ | BPF_K, 2, 0, 4, 0),
		INSN(BPF_ALU64 | BPF_AND | BPF_K, 2, 0, 0, 2 * CHUNK - 1),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 1, 6, 0, 0),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_probe_read_kernel),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_current_task),
		INSN(BPF_STX | BPF_MEM | BPF_DW, 6, 0, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	return bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "dt_peek", "Dual MIT/GPL", code, ARRAY_CNT(code), NULL);
}

static bool ready(struct ebpf_peek *p)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	if (p->tried)
		return p->prog_fd >= 0;
	p->tried = true;
	p->map_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "dt_peek", 4, WIRE_PAGE, 1, &opts);
	if (p->map_fd < 0)
		return false;
	p->page = mmap(NULL, WIRE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, p->map_fd, 0);
	if (p->page != MAP_FAILED)
		p->prog_fd = load(p);
	return p->prog_fd >= 0;
}

static int run(struct ebpf_peek *p, uint64_t addr, uint64_t bytes)
{
	uint64_t words[2] = { addr, bytes };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = words, .ctx_size_in = sizeof(words));
	return !ready(p) || bpf_prog_test_run_opts(p->prog_fd, &opts) || opts.retval ? -EFAULT : 0;
}

int ebpf_peek_read(struct ebpf_peek *p, void *dst, uint64_t addr, uint64_t bytes)
{
	for (uint64_t done = 0, n; done < bytes; done += n) {
		n = bytes - done < CHUNK ? bytes - done : CHUNK;
		if (run(p, addr + done, n))
			return -EFAULT;
		memcpy((uint8_t *)dst + done, p->page, n);
	}
	return 0;
}

uint64_t ebpf_peek_task(struct ebpf_peek *p)
{
	uint64_t task = 0;
	if (!run(p, 0, 0))
		memcpy(&task, p->page, sizeof(task));
	return task;
}
