struct s { int a; }; provider web { probe x(int i) : (struct s *i); }; BEGIN { exit(0); }
