BEGIN { trace(''); }
BEGIN { trace('abcdefghi'); }
BEGIN { trace('a
b'); }
BEGIN { trace('x); }
