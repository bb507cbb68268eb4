provider p { probe x(); };
translator a < b *c > { d = 1; };
BEGIN { trace(1); }
