BEGIN { if x trace(1); }
BEGIN { if (1 { trace(1); } }
BEGIN { else trace(1); }
