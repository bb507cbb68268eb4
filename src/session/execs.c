/* SPDX-License-Identifier: MIT */
/*
 * Who runs a new program, anywhere on the machine: the kernel's tracepoint sched:sched_process_exec, sampled without a
 * program of ours into a ring per processor.  Only root may (or CAP_PERFMON).
 */
#include "session/session.h"

#include "ebpf/ebpf.h"
#include "kern/kern.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define RING_PAGES 8 /* of 16 bytes for each exec: 2,048 of them between two looks */

struct session_execs {
	struct ring {
		int fd;
		struct perf_event_mmap_page *page;
	} *rings;
	uint32_t cnt;
	uint32_t page_bytes;
	bool lost;
};

static int open_ring(struct session_execs *e, uint64_t id, int cpu)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .config = id, .sample_period = 1,
					.sample_type = PERF_SAMPLE_TID };
	struct ring *r = &e->rings[e->cnt];
	r->fd = ebpf_event_open(&attr, -1, cpu);
	if (r->fd < 0)
		return r->fd == -ENODEV ? 0 : r->fd; /* a processor that is not there now */
	r->page = mmap(NULL, (1 + RING_PAGES) * (size_t)e->page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (r->page == MAP_FAILED) {
		int rc = -errno;
		close(r->fd);
		return rc;
	}
	e->cnt++;
	return 0;
}

struct session_execs *session_execs_open(struct err *reterr)
{
	int64_t id = kern_event_id("sched", "sched_process_exec");
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	struct session_execs *e = calloc(1, sizeof(*e));
	if (e)
		e->rings = calloc((size_t)cpus, sizeof(*e->rings));
	if (!e || !e->rings) {
		free(e);
		err_setf(reterr, -ENOMEM, "out of memory");
		return NULL;
	}
	e->page_bytes = (uint32_t)sysconf(_SC_PAGESIZE);
	int rc = id < 0 ? (int)id : 0;
	for (int i = 0; i < cpus && !rc; i++)
		rc = open_ring(e, (uint64_t)id, i);
	if (!rc)
		return e;
	session_execs_close(e);
	err_setf(reterr, rc, "the kernel does not tell this user who runs which program: %s", strerror(-rc));
	return NULL;
}

void session_execs_close(struct session_execs *e)
{
	for (uint32_t i = 0; e && i < e->cnt; i++) {
		munmap(e->rings[i].page, (1 + RING_PAGES) * (size_t)e->page_bytes);
		close(e->rings[i].fd);
	}
	if (e)
		free(e->rings);
	free(e);
}

/* Records are multiples of 8 bytes, so no field of a sample crosses the ring's end. */
static const void *at(const struct session_execs *e, const struct ring *r, uint64_t pos)
{
	return (const uint8_t *)r->page + e->page_bytes + pos % ((uint64_t)RING_PAGES * e->page_bytes);
}

static pid_t next_of(struct session_execs *e, struct ring *r)
{
	uint64_t tail = r->page->data_tail, head = LOAD_ACQUIRE(&r->page->data_head);
	pid_t pid = 0;
	while (tail != head && !pid) {
		const struct perf_event_header *h = at(e, r, tail);
		if (h->type == PERF_RECORD_SAMPLE)
			pid = *(const int32_t *)at(e, r, tail + sizeof(*h));
		e->lost |= h->type == PERF_RECORD_LOST || (h->type == PERF_RECORD_SAMPLE && pid <= 0);
		pid = pid > 0 ? pid : 0;
		tail += h->size;
	}
	STORE_RELEASE(&r->page->data_tail, tail);
	return pid;
}

pid_t session_execs_next(struct session_execs *e, bool *ret_lost)
{
	pid_t pid = 0;
	for (uint32_t i = 0; i < e->cnt && !pid; i++)
		pid = next_of(e, &e->rings[i]);
	*ret_lost = e->lost;
	e->lost = false;
	return pid;
}
