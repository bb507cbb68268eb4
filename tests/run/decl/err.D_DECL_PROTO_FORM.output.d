provider web { probe x(int i) : (int j); }; BEGIN { exit(0); }
