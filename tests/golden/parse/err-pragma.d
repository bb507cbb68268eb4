#pragma D nothing
#pragma D option
#pragma error this is wrong
#pragma D attributes x
#bogus
BEGIN { }
