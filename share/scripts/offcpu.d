/* SPDX-License-Identifier: MIT */
/* Where threads wait: microseconds off the processor by stack, folded. */
#pragma D option foldstacks

sched:::off-cpu
/wanted[pid]/
{
	self->from = timestamp;
}

sched:::on-cpu
/self->from/
{
	@wait[execname, ustack(), stack()] = sum(timestamp - self->from);
	self->from = 0;
}

END
{
	normalize(@wait, 1000);
	printa("%s%k%k %@d\n", @wait);
}
