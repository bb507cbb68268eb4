/* SPDX-License-Identifier: MIT */
/* How long threads that could run wait for a processor. */

sched:::enqueue
/wanted[args[1]->pr_pid]/
{
	queued[args[0]->pr_lwpid] = timestamp;
}

/* Preempted: it could go on. */
sched:::off-cpu
/wanted[pid] && curlwpsinfo->pr_sname == 'R'/
{
	queued[tid] = timestamp;
}

sched:::off-cpu
/queued[args[0]->pr_lwpid]/
{
	@["usecs"] = quantize((timestamp - queued[args[0]->pr_lwpid]) / 1000);
	queued[args[0]->pr_lwpid] = 0;
}
