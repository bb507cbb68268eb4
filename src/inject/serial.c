/* SPDX-License-Identifier: MIT */
/*
 * Code was changed while threads stood: each has to go through a serialising instruction before it runs it (Intel SDM volume 3,
 * "Handling Self- and Cross-Modifying Code").
 *
 * The kernel leaves to user code by iret, which is one, or by sysret, which is not, and sysret cannot restore the resume flag:
 * with that set the kernel takes iret (arch/x86/entry).  The flag only keeps a hardware breakpoint on the first instruction
 * from being met, and goes with it.  membarrier(2) does the same for threads that run, but has to be announced, which takes
 * more than ten milliseconds in a process with threads.
 */
#include "inject/inject_int.h"

#include <cpuid.h>
#include <sys/ptrace.h>

#define EFLAGS_RF 0x10000u
#define CPUID_FRED (1u << 17) /* leaf 7.1, eax: both ways are others there */

bool inject_serial_can(const struct inject *in)
{
	unsigned a, b, c, d;
	return in->link < 0 && !(__get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & CPUID_FRED));
}

bool inject_serial_mark(struct inject *in)
{
	bool all = true;
	for (uint32_t i = 0; i < in->thread_cnt; i++) {
		struct inject_thread *t = &in->threads[i];
		t->regs.eflags |= EFLAGS_RF;
		bool later = in->remote.active && in->remote.idx == i; /* inject_settle() does */
		if (!later && ptrace(PTRACE_SETREGS, t->tid, 0, &t->regs) && errno != ESRCH) /* who is being killed runs nothing */
			all = false;
	}
	return all;
}
