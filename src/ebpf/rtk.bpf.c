/* SPDX-License-Identifier: MIT */
/* One object of all: calls between its parts need no linker. */
#include "ebpf/rtk_ctx.bpf.c"
#include "ebpf/rtk_agg.bpf.c"
#include "ebpf/rtk_env.bpf.c"
#include "ebpf/rtk_tuple.bpf.c"
#include "ebpf/rtk_mem.bpf.c"
#include "ebpf/rtk_str.bpf.c"
#include "ebpf/rtk_dyn.bpf.c"
#include "ebpf/rtk_path.bpf.c"
#include "ebpf/rtk_file.bpf.c"
#include "ebpf/rtk_rest.bpf.c"
#include "ebpf/rtk_stack.bpf.c"
#include "ebpf/rtk_unwind.bpf.c"
