/* Built-in variables where they are in the tool itself. */
#pragma D option quiet

BEGIN
{
	wall = walltimestamp;
	time = timestamp;
	spin = 0;
	printf("%d %d\n", vtimestamp > 0, vtimestamp - vtimestamp);
	printf("caller %d, depths %d %d, ipl %d\n", caller, stackdepth, ustackdepth, ipl);
	printf("%d %d\n", curthread != 0, execname == "dtrace" || execname == "dyntrace");
	printf("%d %d\n", timestamp - time, walltimestamp > wall);
	printf("%d %d %d %d %s:%s:%s:%s\n", pid > 0, tid > 0, ppid > 0, epid, probeprov, probemod, probefunc, probename);
	exit(0);
}
