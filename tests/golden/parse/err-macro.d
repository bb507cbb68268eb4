BEGIN { trace($1); }
BEGIN { trace($nothing); }
BEGIN { trace($); }
