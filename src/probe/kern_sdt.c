/* SPDX-License-Identifier: MIT */
/*
 * Providers that name what happens, not where (DTrace guide, "proc", "sched",
 * "io", "lockstat"): made of tracepoints and system calls.  Where a kernel has
 * no place for a probe, the probe is not there.
 */
#include "probe/probe_int.h"

#define RAW(g, n, r) { .at = PROBE_KERN_RAW, .group = g, .name = n, .recipe = PROBE_KERN_##r }
#define ENTER(n, r) { .at = PROBE_KERN_ENTER, .name = n, .recipe = PROBE_KERN_##r }
#define FUNC(n) { .at = PROBE_KERN_KPROBE, .name = n, .recipe = PROBE_KERN_NONE_LEFT, .instead = true }
#define EXIT(n, r) { .at = PROBE_KERN_EXIT, .name = n, .recipe = PROBE_KERN_##r }

#define LWP_AND_PROCESS { "struct task_struct *", "lwpsinfo_t *", 0 }, { "struct task_struct *", "psinfo_t *", 0 }
#define IO_ARGS { { "struct bio *", "bufinfo_t *", 0 }, { "struct bio *", "devinfo_t *", 0 }, { "struct file *", "fileinfo_t *", 1 } }

/* A new thread's first moment in its own context is the end of the call that made it. */
#define BORN(r) { EXIT("clone", r), EXIT("clone3", r), EXIT("fork", r), EXIT("vfork", r) }

static const struct probe_kern proc[] = {
	{ "proc", "create", { RAW("sched", "sched_process_fork", NEW_PROCESS) }, { { "struct task_struct *", "psinfo_t *", 0 } } },
	{ "proc", "exec", { ENTER("execve", AS_IS), ENTER("execveat", SECOND) }, { { "string", NULL, 0 } } },
	{ "proc", "exec-failure", { EXIT("execve", IF_NOT_ZERO), EXIT("execveat", IF_NOT_ZERO) }, { { "int", NULL, 0 } } },
	{ "proc", "exec-success", { EXIT("execve", IF_ZERO), EXIT("execveat", IF_ZERO) }, { } },
	{ "proc", "exit", { RAW("sched", "sched_process_exit", LEADER_EXIT) }, { { "int", NULL, 0 } } },
	{ "proc", "lwp-create", { RAW("sched", "sched_process_fork", SECOND) }, { LWP_AND_PROCESS } },
	{ "proc", "lwp-exit", { RAW("sched", "sched_process_exit", NONE_LEFT) }, { } },
	{ "proc", "lwp-start", BORN(IF_ZERO), { } },
	{ "proc", "signal-clear", { EXIT("rt_sigtimedwait", IF_POSITIVE) }, { { "int", NULL, 0 } } },
	{ "proc", "signal-discard", { RAW("signal", "signal_generate", SIGNAL_DROPPED) },
	  { LWP_AND_PROCESS, { "int", NULL, 1 } } },
	{ "proc", "signal-handle", { RAW("signal", "signal_deliver", SIGNAL_HANDLED) },
	  { { "int", NULL, 0 }, { "siginfo_t *", NULL, 1 }, { "void (*)(void)", NULL, 2 } } },
	{ "proc", "signal-send", { RAW("signal", "signal_generate", SIGNAL_SENT) }, { LWP_AND_PROCESS, { "int", NULL, 1 } } },
	{ "proc", "start", BORN(LEADER_ZERO), { } },
	{ "proc", "fault", { RAW("exceptions", "page_fault_user", AS_IS) }, { { "unsigned long", NULL, 0 } } },
};

static const struct probe_kern sched[] = {
	{ "sched", "change-pri", { RAW("sched", "sched_pi_setprio", NEW_PRIO) }, { LWP_AND_PROCESS, { "int", NULL, 2 } } },
	{ "sched", "dequeue", { RAW("sched", "sched_switch", SWITCH_OUT) },
	  { LWP_AND_PROCESS, { "int", "cpuinfo_t *", 2 }, { "int", NULL, 3 } } },
	{ "sched", "enqueue", { RAW("sched", "sched_wakeup", ENQUEUED), RAW("sched", "sched_wakeup_new", ENQUEUED) },
	  { LWP_AND_PROCESS, { "int", "cpuinfo_t *", 2 } } },
	{ "sched", "off-cpu", { RAW("sched", "sched_switch", NEXT) }, { LWP_AND_PROCESS } },
	/* Before Linux 6.16 the first function that runs in the thread's own context. */
	{ "sched", "on-cpu", { RAW("sched", "sched_exit_tp", IF_FIRST), FUNC("finish_task_switch"), FUNC("finish_task_switch.isra.0") }, { } },
	{ "sched", "preempt", { RAW("sched", "sched_switch", IF_FIRST) }, { } },
	{ "sched", "remain-cpu", { RAW("sched", "sched_exit_tp", IF_ZERO) }, { } },
	{ "sched", "sleep", { RAW("sched", "sched_switch", IF_SLEEPS) }, { } },
	{ "sched", "surrender", { ENTER("sched_yield", CURRENT) }, { LWP_AND_PROCESS } },
	{ "sched", "tick", { { .at = PROBE_KERN_CLOCK, .recipe = PROBE_KERN_CURRENT, .name = "tick" } }, { LWP_AND_PROCESS } },
	{ "sched", "wakeup", { RAW("sched", "sched_wakeup", AS_IS), RAW("sched", "sched_wakeup_new", AS_IS) }, { LWP_AND_PROCESS } },
};

static const struct probe_kern io[] = {
	{ "io", "done", { RAW("block", "block_bio_complete", SECOND), RAW("block", "block_rq_complete", RQ_BIO) }, IO_ARGS },
	{ "io", "start", { RAW("block", "block_bio_queue", AS_IS) }, IO_ARGS },
	{ "io", "wait-done", { RAW("xfs", "xfs_buf_iowait_done", NONE_LEFT) }, IO_ARGS },
	{ "io", "wait-start", { RAW("xfs", "xfs_buf_iowait", NONE_LEFT) }, IO_ARGS },
};

#define IP_ARGS { { "struct sk_buff *", "pktinfo_t *", 0 }, { "struct sock *", "csinfo_t *", 1 }, { "struct iphdr *", "ipinfo_t *", 2 }, \
	{ "struct net_device *", "ifinfo_t *", 3 }, { "struct iphdr *", "ipv4info_t *", 4 }, { "struct ipv6hdr *", "ipv6info_t *", 5 } }

static const struct probe_kern ip[] = {
	{ "ip", "receive", { RAW("net", "netif_receive_skb", RECEIVED) }, IP_ARGS },
	{ "ip", "send", { RAW("net", "net_dev_queue", SENT) }, IP_ARGS },
};

/* Where no packet is at hand (arg0 is 0), addresses and ports are the socket's. */
#define TCP_ARGS { { "struct sk_buff *", "pktinfo_t *", 0 }, { "struct sock *", "csinfo_t *", 1 }, { "struct inet_sock *", "ipinfo_t *", 2 }, \
	{ "struct tcp_sock *", "tcpsinfo_t *", 3 }, { "struct tcphdr *", "tcpinfo_t *", 4 }, { "int", "tcplsinfo_t *", 5 } }
#define STATE(r) { RAW("sock", "inet_sock_set_state", r) }
#define TO_DEVICE(r) { RAW("net", "net_dev_queue", r) }
#define FROM_DEVICE(r) { RAW("net", "netif_receive_skb", r) }

static const struct probe_kern tcp[] = {
	{ "tcp", "accept-established", STATE(TCP_ACCEPTED), TCP_ARGS },
	{ "tcp", "accept-refused", TO_DEVICE(TCP_REFUSES), TCP_ARGS },
	{ "tcp", "connect-established", STATE(TCP_CONNECTED), TCP_ARGS },
	{ "tcp", "connect-refused", STATE(TCP_REFUSED), TCP_ARGS },
	{ "tcp", "connect-request", TO_DEVICE(TCP_CONNECTS), TCP_ARGS },
	{ "tcp", "receive", FROM_DEVICE(TCP_RECEIVED), TCP_ARGS },
	{ "tcp", "send", TO_DEVICE(TCP_SENT), TCP_ARGS },
	{ "tcp", "state-change", STATE(TCP_STATE), TCP_ARGS },
};

#define UDP_ARGS { { "struct sk_buff *", "pktinfo_t *", 0 }, { "struct sock *", "csinfo_t *", 1 }, { "struct iphdr *", "ipinfo_t *", 2 }, \
	{ "struct udp_sock *", "udpsinfo_t *", 3 }, { "struct udphdr *", "udpinfo_t *", 4 } }

static const struct probe_kern udp[] = {
	{ "udp", "receive", FROM_DEVICE(UDP_RECEIVED), UDP_ARGS },
	{ "udp", "send", TO_DEVICE(UDP_SENT), UDP_ARGS },
};

/* Linux tells who begins to wait for a lock (5.19), nothing of locks that are free when they are taken: there are no probes
 * of acquiring and releasing. */
#define WAIT(r) { RAW("lock", "contention_begin", r) }
#define LOCK(type) { type, NULL, 0 }, { "uint64_t", NULL, 1 }

static const struct probe_kern lockstat[] = {
	{ "lockstat", "adaptive-block", WAIT(MUTEX_BLOCKS), { LOCK("struct mutex *") } },
	{ "lockstat", "adaptive-spin", WAIT(MUTEX_SPINS), { LOCK("struct mutex *") } },
	{ "lockstat", "rw-block", WAIT(RW_BLOCKS), { LOCK("struct rw_semaphore *"), { "int", NULL, 2 } } },
	{ "lockstat", "rw-spin", WAIT(RW_SPINS), { LOCK("rwlock_t *"), { "int", NULL, 2 } } },
	{ "lockstat", "spin-spin", WAIT(SPINS), { LOCK("spinlock_t *") } },
};

const struct probe_kern *const probe_kern_sdt[] = { proc, sched, io, ip, tcp, udp, lockstat };
const uint32_t probe_kern_sdt_cnt[] = { ARRAY_CNT(proc), ARRAY_CNT(sched), ARRAY_CNT(io), ARRAY_CNT(ip), ARRAY_CNT(tcp), ARRAY_CNT(udp),
	ARRAY_CNT(lockstat) };
const uint32_t probe_kern_sdt_provs = ARRAY_CNT(probe_kern_sdt);
