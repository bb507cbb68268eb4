BEGIN { speculate(1); @a = count(); }
BEGIN { speculate(1); speculate(2); }
BEGIN { printf("x"); speculate(1); exit(0); }
BEGIN { commit(1); speculate(1); }
BEGIN { commit(1); printf("x"); @a = count(); }
BEGIN { commit(1); @a = count(); }
BEGIN { @a = count(); commit(1); }
BEGIN { speculate(1); exit(0); }
BEGIN { speculate(1); raise(9); }
BEGIN { speculate(1); system("true"); }
BEGIN { speculate(1); copyout(alloca(4), 0, 4); }
BEGIN { discard(1); printf("x"); discard(2); }
BEGIN { speculate(speculation()); trace(1); stack(); }
