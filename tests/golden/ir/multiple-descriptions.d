BEGIN, END, pid$target::f:entry, tick-1s { trace(probename); }
3 { trace(1); }
