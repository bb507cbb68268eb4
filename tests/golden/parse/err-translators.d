struct s { int a; };
translator struct s < int > { a = 1; };
translator struct s < int i > a = 1;
provider p { probe };
provider q { probe x(int;); };
provider r { probe x(...); };
BEGIN { xlate < struct s > 1; }
BEGIN { xlate struct s (1); }
