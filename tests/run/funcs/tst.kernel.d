/* What only the kernel knows compiles, and fails or shows nothing where it runs. */
#pragma D option quiet

BEGIN { trace(mutex_owned((void *)8)); }
BEGIN { trace(rw_iswriter((void *)8)); }
ERROR { printf("fault %d\n", (int)arg4); }
BEGIN { stack(); sym(0x1000); mod(0x1000); @[stack(3), func(8)] = count(); printf("\n"); exit(0); }
