    PID    PPID    UID   ERR  COMMAND
  22314   22312      0     0  sh -c /bin/true one two; /nonexistent/program; true
  22393   22314      0     0  /bin/true one two
  22394   22314      0     2  /nonexistent/program
