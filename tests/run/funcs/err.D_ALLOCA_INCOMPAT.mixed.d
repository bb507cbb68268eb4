BEGIN { p = (char *)alloca(8); p = p + 1; p = NULL; }
BEGIN { q[1] = (void *)0x1000; q[2] = alloca(3); }
