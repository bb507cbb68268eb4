BEGIN
{
	x = arg0 + arg5 + arg6 + arg9 + pid + tid + uid + timestamp + walltimestamp + id + epid + cpu;
	y = uregs[R_RAX] + uregs[16] + ucaller + errno + ipl;
	z = probefunc == "main" && probemod != probeprov;
}
