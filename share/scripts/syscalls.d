/* SPDX-License-Identifier: MIT */
/* System calls: time, calls and errors of each.  Calls that never come back are counted, too. */
#pragma D option aggsortrev

syscall:::entry
/wanted[pid]/
{
	self->from = timestamp;
	@calls[probefunc] = count();
}

syscall:::return
/self->from/
{
	@time[probefunc] = sum(timestamp - self->from);
	@mean[probefunc] = avg(timestamp - self->from);
	@errors[probefunc] = sum(errno != 0);
	self->from = 0;
}

END
{
	normalize(@time, 1000);
	normalize(@mean, 1000);
	printf("%12s %10s %10s %8s  %s\n", "usecs", "usecs/call", "calls", "errors", "syscall");
	printa("%@12u %@10u %@10u %@8u  %s\n", @time, @mean, @calls, @errors);
}
