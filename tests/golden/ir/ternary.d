BEGIN { x = arg0 ? arg1 ? 1 : 2 : (char)3; s = arg0 ? "a" : execname; p = arg0 ? (int *)arg1 : NULL; }
