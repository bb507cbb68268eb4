BEGIN
{
	trace(0); trace(017); trace(0x1F); trace(4294967295); trace(18446744073709551615);
	trace(1u); trace(2L); trace(3ULL); trace(0xffffffff);
	trace('a'); trace('\n'); trace('\''); trace('\0'); trace('\377'); trace('ab'); trace('abcd');
	trace("s"); trace(""); trace("\t\"q\" \\ \x41\101 \q");
}
