/* @@opts: -x amin=Evolving/Evolving/Common */
#pragma D attributes Evolving/Evolving/ISA less
int less;
BEGIN { trace(less + 1); exit(0); }
