provider web { probe x(); probe x(int); }; BEGIN { exit(0); }
