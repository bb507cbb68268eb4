BEGIN
{
	trace(arg0); trace(arg9); trace(pid); trace(tid); trace(ppid); trace(uid); trace(gid); trace(execname);
	trace(timestamp); trace(walltimestamp); trace(probeprov); trace(probemod); trace(probefunc); trace(probename);
	trace(id); trace(epid); trace(cpu); trace(uregs[R_RSP]); trace(ucaller); trace(errno); trace(ipl);
}
