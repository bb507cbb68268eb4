/* A script says itself how stable its names are. */
/* @@opts: -q -x amin=Evolving/Evolving/Common */
#pragma D attributes Evolving/Evolving/Common ours
#pragma D attributes Evolving/Evolving/ISA less
#pragma D binding "1.2" ours
inline int ours = 1;
int less;
BEGIN { printf("%d\n", ours); exit(0); }
