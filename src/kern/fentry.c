/* SPDX-License-Identifier: MIT */
/* Whether programs can be attached to functions: one that does nothing is, for a moment. */
#include "kern/kern_int.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <string.h>
#include <unistd.h>

static int try_on(const char *function)
{
	static const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 }, { .code = BPF_JMP | BPF_EXIT },
	};
	int32_t id = kern_btf_id(function, BTF_KIND_FUNC);
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_FENTRY, .attach_btf_id = (uint32_t)(id > 0 ? id : 0));
	if (id < 0)
		return id;
	int prog = bpf_prog_load(BPF_PROG_TYPE_TRACING, "dyntrace_try", "GPL", code, ARRAY_CNT(code), &opts);
	if (prog < 0)
		return -errno;
	int link = bpf_raw_tracepoint_open(NULL, prog), rc = link < 0 ? -errno : 0;
	if (link >= 0)
		close(link);
	close(prog);
	return rc;
}

bool kern_can_fentry(struct err *reterr)
{
	if (!kern_may_trace(reterr))
		return false;
	int rc = try_on("do_nanosleep");
	if (!rc)
		return true;
	bool kprobes = !access("/sys/bus/event_source/devices/kprobe", F_OK);
	err_setf(reterr, rc, "this kernel does not let programs be attached to its functions: fentry is refused (%s; it wants "
		 "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS and a kernel whose text may be written), and it has %s; the providers syscall, "
		 "rawtp, sdt, proc, sched and profile do not need that", strerror(-rc), kprobes ? "kprobes only" : "no kprobes (CONFIG_KPROBES)");
	return false;
}
