/* SPDX-License-Identifier: MIT */
/* Where processors spend their time: samples by stack, folded. */
#pragma D option foldstacks

profile-$1
/wanted[pid]/
{
	@sample[execname, ustack(), stack()] = count();
}

END
{
	printa("%s%k%k %@d\n", @sample);
}
