#!/usr/sbin/dtrace -s
#pragma D option quiet
#pragma ident "x"
# 100 "included.d"
BEGIN
{
	oops;
	+;
}
