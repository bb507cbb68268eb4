provider web { probe x(int); }; provider web { probe x(char *); }; BEGIN { exit(0); }
