tick-1s /n < 5/ { n++; }
BEGIN /(m = 3)/ { trace(m); }
