# 1 "state.h" 1
enum state { idle, running, pid };
# 1 "script.d" 2
enum state s;
BEGIN { s = running; }
BEGIN /s == idle || s != running/ { exit(0); }
