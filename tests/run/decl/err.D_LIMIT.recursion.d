struct s { int a; }; translator struct s < int i > { a = i ? xlate < struct s > (i - 1).a : 0; }; BEGIN { trace(xlate < struct s > (3).a); }
