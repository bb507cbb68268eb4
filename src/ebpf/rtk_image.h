/* SPDX-License-Identifier: MIT */
/* The run-time library as tools/embed-bpf.py puts it into the program. */
#ifndef EBPF_RTK_IMAGE_H
#define EBPF_RTK_IMAGE_H

#include <stdint.h>

struct rtk_func {
	const char *name;
	uint32_t first, cnt; /* in rtk_insns */
	uint32_t btf_id;
};
struct rtk_call {
	uint32_t insn; /* in rtk_insns */
	uint32_t func; /* in rtk_funcs */
};
extern const uint64_t rtk_insns[]; /* struct bpf_insn */
extern const struct rtk_func rtk_funcs[]; /* sorted by first */
extern const uint32_t rtk_func_cnt;
extern const struct rtk_call rtk_calls[]; /* sorted by insn */
extern const uint32_t rtk_call_cnt;
extern const uint8_t rtk_btf[];
extern const uint32_t rtk_btf_bytes;

#endif
