BEGIN { trace(vtimestamp); trace(curthread); speculate(1); raise(9); print(1); }
