/* SPDX-License-Identifier: MIT */
/* Programs, attached: until the descriptors are closed. */
#include "ebpf/ebpf_int.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int ebpf_attach_raw_tp(int prog_fd, const char *name, int *ret_fd, struct err *reterr)
{
	int fd = bpf_raw_tracepoint_open(name, prog_fd);
	if (fd == -EINVAL) /* one that was loaded for the tracepoint's types */
		fd = bpf_raw_tracepoint_open(NULL, prog_fd);
	if (fd < 0)
		return err_setf(reterr, fd, "cannot attach to the kernel's tracepoint %s: %s", name,
				fd == -ENOENT ? "there is no such tracepoint" : strerror(-fd));
	*ret_fd = fd;
	return 0;
}

int ebpf_event_open(const struct perf_event_attr *attr, pid_t pid, int cpu)
{
	int fd = (int)syscall(SYS_perf_event_open, attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* ---- functions of the kernel ---- */

int ebpf_attach_function(int prog_fd, int *ret_fd, struct err *reterr)
{
	int fd = bpf_raw_tracepoint_open(NULL, prog_fd);
	if (fd < 0)
		return err_setf(reterr, fd, "the kernel does not attach a program to its function: %s", strerror(-fd));
	*ret_fd = fd;
	return 0;
}

/* What BPF_LINK_CREATE takes for them (linux/bpf.h of 5.18 and later). */
struct kprobes_attr {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint32_t multi_flags, cnt;
	uint64_t syms, addrs, cookies;
};
#define IS_RETURN 1u /* BPF_F_KPROBE_MULTI_RETURN */

static int kprobes_link(const struct kprobes_attr *a)
{
	int fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, a, sizeof(*a));
	return fd < 0 ? -errno : fd;
}

/* A program that does nothing, to ask with; or a negative errno. */
static int load_nothing(int attach_type)
{
	static const struct bpf_insn nothing[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K }, { .code = BPF_JMP | BPF_EXIT } };
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = (enum bpf_attach_type)attach_type);
	return bpf_prog_load(BPF_PROG_TYPE_KPROBE, "dt_ask", "Dual MIT/GPL", nothing, ARRAY_CNT(nothing), &opts);
}

/* At what the kernel's own tests attach to: nobody else calls it. */
static bool ask_kprobes(void)
{
	static const char *const harmless[] = { "bpf_fentry_test1" };
	int prog = load_nothing(EBPF_KPROBE_MULTI_TYPE);
	if (prog < 0)
		return false;
	int link = kprobes_link(&(struct kprobes_attr){ .prog_fd = (uint32_t)prog, .attach_type = EBPF_KPROBE_MULTI_TYPE, .cnt = 1,
							.syms = (uintptr_t)harmless });
	close(prog);
	if (link >= 0)
		close(link);
	return link >= 0;
}

bool ebpf_has_kprobe_multi(void)
{
	static int known; /* 1: no, 2: yes */
	if (!known)
		known = 1 + ask_kprobes();
	return known == 2;
}

int ebpf_attach_kprobes(int prog_fd, bool is_return, const char *const *funcs, const uint32_t *sites, uint32_t cnt, int *ret_fd,
			struct err *reterr)
{
	uint64_t *cookies = calloc(cnt, sizeof(*cookies));
	if (!cookies)
		return err_setf(reterr, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < cnt; i++)
		cookies[i] = sites[i];
	int fd = kprobes_link(&(struct kprobes_attr){ .prog_fd = (uint32_t)prog_fd, .attach_type = EBPF_KPROBE_MULTI_TYPE,
						      .multi_flags = is_return ? IS_RETURN : 0, .cnt = cnt, .syms = (uintptr_t)funcs,
						      .cookies = (uintptr_t)cookies });
	free(cookies);
	if (fd < 0)
		return err_setf(reterr, fd, "the kernel does not let its function %s%s be traced: %s", funcs[0], cnt > 1 ? " (or another)" : "",
				strerror(-fd));
	*ret_fd = fd;
	return 0;
}

int ebpf_attach_perf(int prog_fd, int perf_fd, struct err *reterr)
{
	if (!ioctl(perf_fd, PERF_EVENT_IOC_SET_BPF, prog_fd) && !ioctl(perf_fd, PERF_EVENT_IOC_ENABLE, 0))
		return 0;
	return err_setf(reterr, -errno, "cannot attach to the event: %s", strerror(errno));
}

/* ---- uprobes ---- */

/* What BPF_LINK_CREATE takes for them (linux/bpf.h of 6.6 and later; the installed one may be older). */
struct multi_attr {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, ref_ctr_offsets, cookies;
	uint32_t cnt, multi_flags, pid, pad;
};

static int multi_link(const struct multi_attr *a)
{
	int fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, a, sizeof(*a));
	return fd < 0 ? -errno : fd;
}

/* A kernel that knows them says of a folder that it is no file; others do not get so far.  Those of 6.6 to 6.9 take the number of
 * a process for that of a thread, and look at it after the file, not before. */
static bool ask_multi(void)
{
	uint64_t off = 0;
	int prog = load_nothing(EBPF_UPROBE_MULTI);
	if (prog < 0)
		return false;
	struct multi_attr a = { .prog_fd = (uint32_t)prog, .attach_type = EBPF_UPROBE_MULTI, .path = (uintptr_t)"/",
				.offsets = (uintptr_t)&off, .cnt = 1 };
	int of_folder = multi_link(&a);
	a.pid = UINT32_MAX;
	int of_nobody = multi_link(&a);
	close(prog);
	return of_folder == -EBADF && of_nobody == -EINVAL;
}

bool ebpf_has_uprobe_multi(void)
{
	static int known; /* 1: no, 2: yes */
	if (!known)
		known = 1 + ask_multi();
	return known == 2;
}

static int refused_by_kernel(pid_t pid, int r, struct err *reterr)
{
	return err_setf(reterr, r, "the kernel places no uprobe there in process %d: %s", (int)pid,
			r == -EOPNOTSUPP || r == -ENOTSUP || r == -524 ? "it cannot watch this instruction" : strerror(-r));
}

static int attach_multi(int prog_fd, const char *path, pid_t pid, const struct ebpf_place *v, uint32_t cnt, int *ret_fd,
			struct err *reterr)
{
	uint64_t *words = calloc(cnt, 3 * sizeof(*words));
	if (!words)
		return err_setf(reterr, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < cnt; i++) {
		words[i] = v[i].off;
		words[cnt + i] = v[i].site | (uint64_t)(uint32_t)v[i].word << 32;
		words[2ul * cnt + i] = v[i].count_off;
	}
	const struct multi_attr a = { .prog_fd = (uint32_t)prog_fd, .attach_type = EBPF_UPROBE_MULTI, .path = (uintptr_t)path,
				      .offsets = (uintptr_t)words, .cookies = (uintptr_t)(words + cnt), .ref_ctr_offsets = (uintptr_t)(words + 2 * cnt),
				      .cnt = cnt, .pid = (uint32_t)pid };
	int fd = multi_link(&a);
	free(words);
	if (fd < 0)
		return refused_by_kernel(pid, fd, reterr);
	*ret_fd = fd;
	return 0;
}

int ebpf_event_source(const char *what)
{
	char path[128], line[64] = "";
	snprintf(path, sizeof(path), "/sys/bus/event_source/devices/%s", what);
	FILE *f = fopen(path, "re");
	bool ok = f && fgets(line, sizeof(line), f);
	if (f)
		fclose(f);
	const char *colon = strchr(line, ':'); /* "config:32-63" */
	return ok ? atoi(colon ? colon + 1 : line) : -1;
}

static int uprobe_event(const char *path, pid_t pid, const struct ebpf_place *v, struct err *reterr)
{
	int type = ebpf_event_source("uprobe/type"), bit = v->count_off ? ebpf_event_source("uprobe/format/ref_ctr_offset") : 0;
	struct perf_event_attr attr = { .size = sizeof(attr), .type = (uint32_t)type, .config = v->count_off << (bit & 63),
					.config1 = (uint64_t)(uintptr_t)path, .config2 = v->off };
	if (type < 0 || bit < 0)
		return err_setf(reterr, -ENOTSUP, "this kernel has no uprobes (CONFIG_UPROBES), which these probes would be");
	int fd = ebpf_event_open(&attr, pid, -1);
	return fd < 0 ? refused_by_kernel(pid, fd, reterr) : fd;
}

/* Of one process's memory: its threads, and children that vfork() gave the same memory. */
static int attach_event(int prog_fd, const char *path, pid_t pid, const struct ebpf_place *v, int *ret_fd, struct err *reterr)
{
	int event = uprobe_event(path, pid, v, reterr);
	if (event < 0)
		return event;
	LIBBPF_OPTS(bpf_link_create_opts, opts, .perf_event.bpf_cookie = v->site | (uint64_t)(uint32_t)v->word << 32);
	int link = bpf_link_create(prog_fd, event, BPF_PERF_EVENT, &opts);
	int r = link < 0 ? link : ioctl(event, PERF_EVENT_IOC_ENABLE, 0) ? -errno : 0;
	close(event); /* the link holds it */
	if (!r) {
		*ret_fd = link;
		return 0;
	}
	if (link >= 0)
		close(link);
	return refused_by_kernel(pid, r, reterr);
}

int ebpf_attach_uprobes(int prog_fd, const char *path, pid_t pid, const struct ebpf_place *v, uint32_t cnt, int *ret_fds,
			uint32_t *ret_cnt, struct err *reterr)
{
	uint32_t n = 0;
	int r = 0;
	if (ebpf_has_uprobe_multi()) {
		r = attach_multi(prog_fd, path, pid, v, cnt, ret_fds + *ret_cnt, reterr);
		*ret_cnt += !r;
		return r;
	}
	for (; n < cnt && !r; n += !r)
		r = attach_event(prog_fd, path, pid, &v[n], ret_fds + *ret_cnt + n, reterr);
	if (!r)
		*ret_cnt += cnt;
	else
		while (n)
			close(ret_fds[*ret_cnt + --n]);
	return r;
}
