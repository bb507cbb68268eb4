#pragma D option quiet
struct conn { int fd; };
typedef struct info { int number; } info_t;
translator info_t < struct conn *c > { number = c->fd; };
provider web { probe start(struct conn *c, int n) : (info_t *c, int n); probe end__all(); };
provider web { probe start(struct conn *c, int n) : (info_t *c, int n); probe end__all(); };
#pragma D attributes Evolving/Evolving/Common provider web provider
BEGIN { printf("ok\n"); exit(0); }
