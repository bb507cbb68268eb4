/* SPDX-License-Identifier: MIT */
#include "host/host.h"

#include <sys/mman.h>

#define HUGE_PAGE (2u << 20)

/* Large pages where the system has some to spare: of small ones each costs a fault. */
void *host_big_alloc(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (bytes >= HUGE_PAGE)
		madvise(p, bytes, MADV_HUGEPAGE);
	return p;
}

void host_big_free(void *p, uint64_t bytes)
{
	if (p)
		munmap(p, bytes);
}
