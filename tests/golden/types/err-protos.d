BEGIN { chill("x"); raise(); panic(1); stop(2); }
BEGIN { trace(progenyof("1")); trace(strtok("a", 1)); trace(strtok("a")); }
BEGIN { trace(inet_ntoa6((int *)0x1000)); trace(inet_ntoa("x")); n = 1; trace(inet_ntoa6(NULL, n)); }
BEGIN { trace(htons("x")); trace(getmajor()); trace(link_ntop(1, 2, 3)); }
BEGIN { copyoutstr("a", 1); copyout(1, 2, 3); trace(mutex_owned(1)); trace(rw_read_held()); }
BEGIN { trace(alloca(4097)); trace(copyin(0, 5000)); trace(substr("a", "b")); setopt(1); exit("x"); }
