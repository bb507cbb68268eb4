struct s { int a, b; }; translator struct s < int i > { a = i; }; BEGIN { trace(xlate < struct s > (1).b); }
