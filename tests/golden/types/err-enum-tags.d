# 1 "state.h" 1
enum state { idle, running, pid, strlen };
# 1 "script.d" 2
enum state s;
BEGIN /s == pid/ { exit(0); }
BEGIN /s < strlen/ { exit(0); }
BEGIN /pid == s/ { exit(0); }
