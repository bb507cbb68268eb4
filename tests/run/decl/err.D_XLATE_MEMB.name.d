struct s { int a; }; translator struct s < int i > { c = i; }; BEGIN { exit(0); }
