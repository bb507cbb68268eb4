BEGIN { trace(089); }
BEGIN { trace(0xg); }
BEGIN { trace(12ab); }
BEGIN { trace(18446744073709551616); }
BEGIN { trace(1.5); }
