enum { N = 4 };
inline int DOUBLE = N * 2;
inline string WHO = execname;
BEGIN { trace(DOUBLE); trace(WHO); trace(N); }
