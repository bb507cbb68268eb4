/* SPDX-License-Identifier: MIT */
/* How a probe of the kernel would be attached. */
#include "session/kern_int.h"

#include "kern/kern.h"

static const char *const recipes[PROBE_KERN_RECIPE_CNT] = {
	[PROBE_KERN_AS_IS] = "", [PROBE_KERN_SECOND] = "", [PROBE_KERN_NEXT] = "", [PROBE_KERN_CURRENT] = "",
	[PROBE_KERN_RQ_BIO] = "", [PROBE_KERN_ENQUEUED] = "", [PROBE_KERN_SIGNAL_HANDLED] = "", [PROBE_KERN_NONE_LEFT] = "",
	[PROBE_KERN_NEW_PROCESS] = ", where a process is made, not only a thread",
	[PROBE_KERN_IF_ZERO] = ", where its first argument is 0", [PROBE_KERN_IF_NOT_ZERO] = ", where its first argument is not 0",
	[PROBE_KERN_IF_POSITIVE] = ", where its first argument is above 0", [PROBE_KERN_IF_FIRST] = ", where its first argument is not 0",
	[PROBE_KERN_LEADER_ZERO] = ", where its first argument is 0, in the first thread of a process",
	[PROBE_KERN_LEADER_EXIT] = ", in the first thread of a process",
	[PROBE_KERN_SIGNAL_SENT] = ", where the signal was delivered", [PROBE_KERN_SIGNAL_DROPPED] = ", where the signal was ignored",
	[PROBE_KERN_SENT] = ", for packets of IP", [PROBE_KERN_RECEIVED] = ", for packets of IP",
	[PROBE_KERN_MUTEX_BLOCKS] = ", where a mutex is waited for asleep", [PROBE_KERN_MUTEX_SPINS] = ", where a mutex is waited for awake",
	[PROBE_KERN_SPINS] = ", where it is a spin lock", [PROBE_KERN_RW_BLOCKS] = ", where a lock of readers and writers is waited for asleep",
	[PROBE_KERN_RW_SPINS] = ", where a lock of readers and writers is waited for awake",
	[PROBE_KERN_IF_SLEEPS] = ", where the thread sleeps", [PROBE_KERN_SWITCH_OUT] = ", where the thread sleeps",
};

static void explain_function(const struct probe_kern_place *p, FILE *out)
{
	const char *where = p->at == PROBE_KERN_KPROBE ? "entry" : "return";
	struct kern_fentry f;
	if (p->recipe == PROBE_KERN_AS_IS && kern_can_fentry(NULL) && !kern_fentry_of(p->name, p->group, &f))
		fprintf(out, "  BPF program in a trampoline (%s) at the %s of the kernel's function %s; in scripts with more than %u such "
			"probes a kprobe\n", p->at == PROBE_KERN_KPROBE ? "fentry" : "fexit", where, p->name, SKERN_FENTRY_MAX);
	else
		fprintf(out, "  BPF program in a kprobe at the %s of the kernel's function %s\n", where, p->name);
}

static void explain_place(const struct probe_kern_place *p, FILE *out)
{
	const char *how = recipes[p->recipe] ? recipes[p->recipe] : "";
	switch (p->at) {
	case PROBE_KERN_ENTER:
	case PROBE_KERN_EXIT:
		fprintf(out, "  BPF program at the raw tracepoint %s, which all system calls pass; this one is number %d%s\n",
			p->at == PROBE_KERN_ENTER ? "sys_enter" : "sys_exit", kern_syscall_nr(p->name), how);
		break;
	case PROBE_KERN_RAW:
		fprintf(out, "  BPF program at the raw tracepoint %s%s%s%s\n", p->group, *p->group ? ":" : "", p->name, how);
		break;
	case PROBE_KERN_EVENT:
		fprintf(out, "  BPF program behind the perf event of tracepoint %s:%s (its arguments are what the event records)\n",
			p->group, p->name);
		break;
	case PROBE_KERN_CLOCK:
		fprintf(out, "  BPF program in the timer interrupt of a perf event on each CPU%s\n", how);
		break;
	case PROBE_KERN_COUNTER:
		fprintf(out, "  BPF program in the interrupt of a counter on each CPU, every %llu %s\n", (unsigned long long)p->period,
			p->name);
		break;
	case PROBE_KERN_KPROBE:
	case PROBE_KERN_KRETPROBE:
		explain_function(p, out);
		break;
	case PROBE_KERN_NONE:
		break;
	}
}

void explain_kernel(const struct probe *p, FILE *out)
{
	fprintf(out, "%s:%s:%s:%s\n", p->prov, p->mod, p->func, p->name);
	if (!p->kern) {
		explain_place(&p->place, out);
		return;
	}
	for (uint32_t i = 0; i < PROBE_KERN_PLACES; i++)
		if (probe_kern_place_counts(p->kern, i))
			explain_place(&p->kern->places[i], out);
}
