# A reader that goes away ends tracing.
timeout 10 $dyntrace -q -n 'tick-1ms { printf("%d\n", ++n); }' 2>/dev/null | head -1
