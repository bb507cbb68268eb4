/* A script that makes such a structure itself has its own. */
#pragma D option quiet

typedef struct psinfo { int pr_own; } psinfo_t;
translator psinfo_t < int N > { pr_own = N + 1; };

BEGIN { printf("%d\n", xlate <psinfo_t> (4).pr_own); exit(0); }
