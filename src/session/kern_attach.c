/* SPDX-License-Identifier: MIT */
/* Programs in the kernel and the places that they are attached to: until the descriptors are closed. */
#include "session/kern_int.h"

#include "kern/kern.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int skern_fds_keep(struct skern_fds *f, int fd, struct err *reterr)
{
	if (f->cnt == f->cap) {
		uint32_t cap = f->cap ? f->cap * 2 : 16;
		struct skern_fd *v = realloc(f->v, cap * sizeof(*v));
		if (!v) {
			close(fd);
			return err_setf(reterr, -ENOMEM, "out of memory");
		}
		f->v = v;
		f->cap = cap;
	}
	f->v[f->cnt++] = (struct skern_fd){ fd, f->proc };
	return 0;
}

void skern_fds_deinit(struct skern_fds *f)
{
	/* Links and events before the programs. */
	while (f->cnt)
		close(f->v[--f->cnt].fd);
	free(f->v);
	*f = (struct skern_fds){ 0 };
}

void skern_fds_drop(struct skern_fds *f, uint32_t proc)
{
	uint32_t kept = 0;
	for (uint32_t i = f->cnt; i--;)
		if (f->v[i].proc == proc)
			close(f->v[i].fd);
	for (uint32_t i = 0; i < f->cnt; i++)
		if (f->v[i].proc != proc)
			f->v[kept++] = f->v[i];
	f->cnt = kept;
}

/* Takes the event over, also where it fails. */
static int attach_opened(struct skern_fds *f, int prog_fd, int event, struct err *reterr)
{
	int r = ebpf_attach_perf(prog_fd, event, reterr);
	if (!r)
		return skern_fds_keep(f, event, reterr);
	close(event);
	return r;
}

static int attach_event(struct skern_fds *f, int prog_fd, const struct perf_event_attr *attr, uint32_t cpu, struct err *reterr)
{
	int fd = ebpf_event_open(attr, -1, (int)cpu);
	if (fd < 0)
		return err_setf(reterr, fd, "cannot open the event on CPU %u: %s%s", cpu, strerror(-fd), fd == -EACCES ?
				" (where /proc/sys/kernel/perf_event_paranoid is above 2, CAP_SYS_ADMIN is wanted for it)" : "");
	return attach_opened(f, prog_fd, fd, reterr);
}

/* Its clock or counter on every CPU that is there, or on the one that is asked for. */
static int attach_everywhere(struct skern_fds *f, const struct session_opts *opts, int prog_fd, const struct probe_kern_place *p, struct err *reterr)
{
	struct perf_event_attr attr = { .size = sizeof(attr), .type = PERF_TYPE_SOFTWARE, .config = PERF_COUNT_SW_CPU_CLOCK,
					.sample_period = p->period };
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	uint32_t done = 0;
	int r = 0;
	if (p->at == PROBE_KERN_COUNTER) {
		attr.type = p->counter_type;
		attr.config = p->counter;
		attr.exclude_user = p->not_user;
		attr.exclude_kernel = p->not_kernel;
	}
	for (uint32_t cpu = 0; cpu < (uint32_t)cpus; cpu++) {
		if (opts->one_cpu && opts->cpu != cpu)
			continue;
		r = attach_event(f, prog_fd, &attr, cpu, reterr);
		if (r == -ENODEV)
			continue; /* it is off */
		if (r < 0)
			return r;
		done++;
	}
	return done ? 0 : r;
}

static int attach_tracepoint(struct skern_fds *f, int prog_fd, const struct probe_kern_place *p, struct err *reterr)
{
	int64_t id = kern_event_id(p->group, p->name);
	if (id < 0)
		return err_setf(reterr, (int)id, "cannot read the tracepoint %s:%s: %s", p->group, p->name, strerror((int)-id));
	struct perf_event_attr attr = { .size = sizeof(attr), .type = PERF_TYPE_TRACEPOINT, .config = (uint64_t)id, .sample_period = 1 };
	return attach_event(f, prog_fd, &attr, 0, reterr);
}

/* On all processors: an event of this kind is opened on one, and is not tied to it. */
static int attach_kprobe(struct skern_fds *f, int prog_fd, const struct probe_kern_place *p, struct err *reterr)
{
	int type = ebpf_event_source("kprobe/type"), bit = ebpf_event_source("kprobe/format/retprobe");
	struct perf_event_attr attr = { .size = sizeof(attr), .type = (uint32_t)type, .config1 = (uint64_t)(uintptr_t)p->name };
	if (type < 0 || bit < 0)
		return err_setf(reterr, -ENOTSUP, "this kernel has no kprobes, which probes of its functions are");
	attr.config = p->at == PROBE_KERN_KRETPROBE ? 1ull << bit : 0;
	int fd = ebpf_event_open(&attr, -1, 0);
	if (fd == -EINVAL || fd == -ENOENT || fd == -EADDRNOTAVAIL)
		return err_setf(reterr, fd, "the kernel does not let its function %s be traced: %s", p->name,
				fd == -EADDRNOTAVAIL ? "several have that name" : "it is one that tracing itself needs, or none");
	if (fd < 0)
		return err_setf(reterr, fd, "cannot place a kprobe at the kernel's function %s: %s%s", p->name, strerror(-fd),
				fd == -EPERM || fd == -EACCES ? " (is the kernel locked down?)" : "");
	return attach_opened(f, prog_fd, fd, reterr);
}

int skern_attach(struct skern_fds *f, const struct session_opts *opts, int prog_fd, const struct probe_kern_place *p, struct err *reterr)
{
	int fd, r;
	switch (p->at) {
	case PROBE_KERN_KPROBE:
	case PROBE_KERN_KRETPROBE:
		return attach_kprobe(f, prog_fd, p, reterr);
	case PROBE_KERN_EVENT:
		return attach_tracepoint(f, prog_fd, p, reterr);
	case PROBE_KERN_CLOCK:
	case PROBE_KERN_COUNTER:
		return attach_everywhere(f, opts, prog_fd, p, reterr);
	default:
		r = ebpf_attach_raw_tp(prog_fd, p->at == PROBE_KERN_ENTER ? "sys_enter" : p->at == PROBE_KERN_EXIT ? "sys_exit" : p->name,
				       &fd, reterr);
		return r < 0 ? r : skern_fds_keep(f, fd, reterr);
	}
}
