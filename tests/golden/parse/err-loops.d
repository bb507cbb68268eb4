BEGIN { while (1) x++; }
BEGIN { for (;;) ; }
BEGIN { return; }
