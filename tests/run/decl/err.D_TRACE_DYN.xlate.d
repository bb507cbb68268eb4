struct s { int a; }; translator struct s < int i > { a = i; }; BEGIN { trace(xlate < struct s > (1)); }
