float f; BEGIN { trace(f * 2); }
