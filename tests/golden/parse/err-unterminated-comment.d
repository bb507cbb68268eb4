BEGIN { }
  /* begins here
and never ends
